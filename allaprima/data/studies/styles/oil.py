"""Oil: the drawing is laid in flat, modelled by the light, and then dragged about by directed, bristly strokes.

Strokes live on a jittered lattice in units. Each pixel blends the few strokes near it, the uppermost strongest, and
takes its paint from where those strokes began: so an edge breaks up along the brush, and no stroke is drawn twice.

Use: ``paint(compose(factors, canvas.extent), canvas)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allaprima.core.seeds import numpy_stream
from allaprima.data.studies.canvas import Canvas, Floats, coverage, direction, slope
from allaprima.data.studies.palette import is_dark, mix
from allaprima.data.studies.scene import Scene

WORD = "oil-painted"

CELLS = 9.0  # strokes per unit of length, each way
LENGTH, WIDTH = 1.75, 0.6  # half axes of a stroke, in cells
# how much of the way back to its beginning a stroke carries its paint: around the subject, and on it
DRAG, DRAG_FINE = 0.7, 0.15


@dataclass(frozen=True, slots=True)
class Brushwork:
    """What the strokes do at each pixel, each float32 [H, W]."""

    dx: Floats  # where the paint comes from, units
    dy: Floats
    tint: Floats  # lighter or darker paint, -0.5 … 0.5
    hue: Floats  # cooler or warmer paint, -0.5 … 0.5
    across: Floats  # place across the stroke, -1 … 1
    height: Floats  # thickness of the paint, 0 … 1


def paint(scene: Scene, canvas: Canvas) -> NDArray[np.uint8]:
    """The scene in oil, uint8 [H, W, 3]."""
    rng = numpy_stream(scene.factors.texture, "oil")
    light = direction(scene.factors.light)
    body = canvas.mask([(p.points, 255) for p in scene.subject if p.raised] + [(p.points, 0) for p in scene.front])
    solid = coverage(body)
    soft = canvas.soft(body, 0.1)
    turn = slope(soft, canvas.unit)
    work = _strokes(canvas, rng, turn)
    near = np.minimum(np.maximum(soft * 3.0, solid), 1.0)
    colour = _drag(_underpainting(scene, canvas, solid, turn, light), canvas, work, near)
    return _varnish(colour, canvas, work, light, rng)


def _underpainting(
    scene: Scene, canvas: Canvas, solid: Floats, turn: tuple[Floats, Floats], light: tuple[float, float]
) -> Floats:
    """Flat shapes with a cast shadow, modelled in warm light and cool shade: float32 [H, W, 3] in 0 … 255."""
    strength = {"glow": 0.9, "far": 1.5, "near": 1.5, "front": 1.5}  # no paper edge helps here, so the tints must
    tones = scene.tones | {t: mix(scene.tones["back"], scene.tones[t], s) for t, s in strength.items()}
    cast = (-light[0] * 0.13, -light[1] * 0.09 + 0.02)
    shadow = mix(tones["front"], tones["deep"], 0.3)
    shapes = [(p.points, tones[p.tone]) for p in scene.behind]
    shapes += [(p.points + cast, shadow) for p in scene.subject if p.raised]
    under = (-light[0] * 0.028, -light[1] * 0.028)
    for part in scene.subject:
        if part.raised:  # a dark edge on its far side sets each piece off from the one beneath
            shapes.append((part.points + under, mix(tones[part.tone], tones["deep"], 0.4)))
        shapes.append((part.points, tones[part.tone]))
    shapes += [(p.points, tones[p.tone]) for p in scene.front]
    flat = np.asarray(canvas.flat(shapes, tones["back"]), dtype=np.float32)
    form = (turn[0] * light[0] + turn[1] * light[1]) * -0.16  # above 0 where the surface turns to the light
    # on a dark ground a deep shade would sink into it
    shade = mix(tones["dark"], tones["deep"], 0.25 if is_dark(scene.factors.background) else 1.0)
    x, y = canvas.grid
    warm = np.clip(form, 0, 1) * solid
    cool = np.clip(-form, 0, 1) * solid
    fall = 0.07 * (light[0] * x + light[1] * y) * (1 - solid)
    flat += warm[:, :, None] * (np.array((255, 240, 200), np.float32) - flat) * 0.75
    flat += cool[:, :, None] * (np.array(mix(shade, (40, 44, 96), 0.35), np.float32) - flat) * 0.9
    return np.asarray(flat * (1 + fall[:, :, None]), dtype=np.float32)


def _strokes(canvas: Canvas, rng: np.random.Generator, turn: tuple[Floats, Floats]) -> Brushwork:
    """Blends the strokes of the lattice around each pixel."""
    ex, ey = canvas.extent
    nx, ny = int(2 * ex * CELLS) + 7, int(2 * ey * CELLS) + 7
    jitter = rng.random((6, ny, nx), dtype=np.float32)
    sx = (np.arange(nx, dtype=np.float32)[None] - 3 + jitter[0]) / CELLS - ex
    sy = (np.arange(ny, dtype=np.float32)[:, None] - 3 + jitter[1]) / CELLS - ey
    angle = _flow(canvas, turn, sx, sy, rng) + 0.7 * (jitter[2] - 0.5)
    ca, sa = np.cos(angle) * CELLS / LENGTH, np.sin(angle) * CELLS / LENGTH
    table = [t.ravel() for t in (sx, sy, ca, sa, np.exp(9.0 * jitter[3]), jitter[4] - 0.5, jitter[5] - 0.5)]
    x, y = (np.broadcast_to(g, turn[0].shape).ravel() for g in canvas.grid)
    cell = (np.floor((y + ey) * CELLS).astype(np.intp) + 3) * nx + np.floor((x + ex) * CELLS).astype(np.intp) + 3
    sums = np.zeros((7, x.size), dtype=np.float32)
    for step in (j * nx + i for j in range(-2, 3) for i in range(-2, 3) if abs(i * j) < 4):  # corners are out of reach
        px, py, c, s, rank, tint, hue = (t.take(cell + step) for t in table)
        px -= x
        py -= y
        u = px * c + py * s
        u *= u
        u *= u  # a fourth power, for blunt ends
        w = py * c - px * s
        w *= LENGTH / WIDTH
        u += w * w
        inside = np.maximum(1.0 - u, 0.0, out=u)
        weight = inside * rank
        sums[0] += weight
        for k, value in enumerate((px, py, tint, hue, w, inside), 1):
            value *= weight
            sums[k] += value
    sums[1:] /= sums[0] + 1e-6
    return Brushwork(*(part.reshape(turn[0].shape) for part in sums[1:]))


def _flow(canvas: Canvas, turn: tuple[Floats, Floats], sx: Floats, sy: Floats, rng: np.random.Generator) -> Floats:
    """The direction of each stroke, radians: sweeping in the background, around the form near the subject."""
    a, b, c = rng.random(3) * 2 * math.pi
    sweep = 0.5 * a + 0.9 * np.sin(1.3 * sx + b) * np.cos(1.1 * sy + c)
    h, w = turn[0].shape
    px = np.clip(((sx * canvas.unit) + w / 2).astype(np.int64), 0, w - 1)
    py = np.clip(((sy * canvas.unit) + h / 2).astype(np.int64), 0, h - 1)
    gx, gy = turn[0][py, px], turn[1][py, px]
    strength = np.hypot(gx, gy)
    # directions are blended as doubled angles, for a stroke has no front
    along = np.arctan2(gx, -gy) * 2
    pull = np.minimum(strength * 0.6, 1.0)
    twice_x = pull * np.cos(along) + (1 - pull) * np.cos(2 * sweep)
    twice_y = pull * np.sin(along) + (1 - pull) * np.sin(2 * sweep)
    return np.asarray(0.5 * np.arctan2(twice_y, twice_x), dtype=np.float32)


def _drag(flat: Floats, canvas: Canvas, work: Brushwork, near: Floats) -> Floats:
    """Takes each pixel's paint from where its stroke began: float32 [H, W, 3]."""
    h, w = near.shape
    # less drag, and so finer drawing, within the subject
    reach = (DRAG + (DRAG_FINE - DRAG) * near) * canvas.unit
    px = np.arange(w, dtype=np.float32)[None] + work.dx * reach
    py = np.arange(h, dtype=np.float32)[:, None] + work.dy * reach
    px, py = np.clip(px, 0, w - 1.001), np.clip(py, 0, h - 1.001)
    ix, iy = px.astype(np.int64), py.astype(np.int64)
    fx, fy = (px - ix)[:, :, None], (py - iy)[:, :, None]
    rows = np.concatenate([flat, flat[:, -1:]], axis=1).reshape(-1, 3)
    k = iy * (w + 1) + ix
    below = np.minimum(k + w + 1, len(rows) - 2)
    top = rows[k] * (1 - fx) + rows[k + 1] * fx
    low = rows[below] * (1 - fx) + rows[below + 1] * fx
    return np.asarray(top * (1 - fy) + low * fy, dtype=np.float32)


def _varnish(
    colour: Floats, canvas: Canvas, work: Brushwork, light: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The tint of each stroke and the light that rakes over its ridges."""
    corner = rng.random(2)
    noise = canvas.noise("bristle", (corner[0], corner[1]))
    bristle = np.sin(11.0 * work.across + 40.0 * work.hue + 0.6 * noise)
    if (finer := min((canvas.unit - 40) / 120, 1.0)) > 0:  # single hairs, where there are pixels to show them
        bristle += 0.5 * finer * np.sin(33.0 * work.across + 90.0 * work.hue + 1.3 * noise)
    height = work.height + (0.06 + 0.08 * work.tint) * bristle + 0.05 * noise
    gx, gy = slope(height, canvas.unit)
    rake = np.clip((gx * light[0] + gy * light[1]) * 0.05, -0.6, 0.6)
    shade = (1 + 0.24 * work.tint - 0.12 * rake)[:, :, None]
    hue = np.array((22.0, 0.0, -24.0), np.float32) * work.hue[:, :, None]
    shine = np.maximum(-rake, 0.0)[:, :, None] * 34
    out = colour * shade + hue + shine
    return np.asarray(np.clip(out + 0.5, 0, 255).astype(np.uint8))
