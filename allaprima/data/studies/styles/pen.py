"""Pen: an ink line that swells on the side away from the light, hatching for shade, and a loose wash of colour.

Use: ``paint(compose(factors, canvas.extent), canvas)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from allaprima.core.seeds import numpy_stream
from allaprima.data.studies.canvas import Canvas, Floats, coverage, direction, slope
from allaprima.data.studies.geometry import Part, Points
from allaprima.data.studies.palette import RGB, is_dark, mix
from allaprima.data.studies.scene import Scene

WORD = "pen-drawn"

LINE = 0.02  # mean width of an outline, units
THIN = 0.046  # marks narrower than this are a single stroke of ink, units of the subject
HATCH = 11.0  # hatching lines per unit


def paint(scene: Scene, canvas: Canvas) -> NDArray[np.uint8]:
    """The scene in ink and wash, uint8 [H, W, 3]."""
    f, tones = scene.factors, scene.tones
    rng, light = numpy_stream(f.texture, "pen"), direction(f.light)
    around: RGB = mix(tones["back"], (246, 238, 220), 0.62) if is_dark(f.background) else tones["ink"]
    body = canvas.mask([(p.points, 255) for p in scene.subject if p.raised] + [(p.points, 0) for p in scene.front], 2)
    solid = coverage(body)
    soft = canvas.soft(body, 0.15)
    corner = rng.random(4)
    cloud = canvas.noise("cloud", (corner[0], corner[1]))
    form = _form(canvas, soft, light)
    paper = _wash(scene, canvas, cloud, form * solid, (corner[2], corner[3]))
    lines, setting = _lines(scene, canvas, light, rng)
    land, air = (field * (1 - solid) for field in _around(scene, canvas, body, light))
    hatch = _hatching(canvas, (np.clip(form, 0, 1) * solid, land, air), cloud, rng)
    # on dark paper the setting is drawn in chalk; the subject's gouache always bears dark ink
    inks = np.array(around, np.float32) + solid[:, :, None] * np.subtract(tones["ink"], around, dtype=np.float32)
    amount = np.maximum(np.maximum(lines, setting * (1 - solid)), hatch)[:, :, None]
    return np.asarray(np.clip(paper + amount * (inks - paper) + 0.5, 0, 255).astype(np.uint8))


def _wash(scene: Scene, canvas: Canvas, cloud: Floats, form: Floats, corner: tuple[float, float]) -> Floats:
    """Tinted paper with the wash on it, pooled unevenly and thin towards the light: float32 [H, W, 3]."""
    tones = scene.tones
    slip = (0.02, 0.016)  # the brush did not follow the pen exactly
    shapes = [(p.points, tones[p.tone]) for p in scene.behind]
    shapes += [(p.points + slip, tones[p.tone]) for p in scene.subject if p.tone != "ink"]
    shapes += [(p.points, tones[p.tone]) for p in scene.front]
    image = canvas.flat(shapes, tones["back"], 2)
    wash = np.asarray(image.filter(ImageFilter.GaussianBlur(0.014 * canvas.unit)), dtype=np.float32)
    bare = np.array(mix(tones["back"], (255, 251, 240), 0.6), np.float32)  # the reserve: paper left nearly dry
    dry = np.clip(0.1 - 0.07 * cloud - 0.55 * np.minimum(form, 0.0), 0, 0.5) * np.minimum(np.abs(form) * 20, 1.0)
    pool = 1 - 0.05 * np.maximum(cloud, 0.0) + 0.014 * canvas.noise("grain", corner)
    return np.asarray((wash + (bare - wash) * dry[:, :, None]) * pool[:, :, None], dtype=np.float32)


def _lines(scene: Scene, canvas: Canvas, light: tuple[float, float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The lines of subject and setting, hidden where a nearer piece covers them: each float32 [H, W] in [0, 1]."""
    outlines = _contours(scene.subject, light, rng)
    shapes: list[tuple[Points, int]] = []
    for part, (ring, mean_width) in zip(scene.subject, outlines, strict=True):
        if part.raised or mean_width > THIN * scene.factors.scale:
            solid_ink = part.tone == "ink"
            shapes += [(part.points, 255 if solid_ink else 0), (ring, 255)]
        elif part.tone not in ("light", "pale"):
            shapes.append((part.points, 235))
    shapes += [(p.points, 0) for p in scene.front]
    subject = canvas.mask(shapes)
    around: list[tuple[Points, int]] = []
    parts = [*scene.behind, *scene.front]
    for part, (ring, _) in zip(parts, _contours(parts, light, rng), strict=True):
        around += [(part.points, 0), (ring, 180)]
    return coverage(subject), coverage(canvas.mask(around, 3))


def _contours(parts: list[Part], light: tuple[float, float], rng: np.random.Generator) -> list[tuple[Points, float]]:
    """Each part's outline, a ring that swells away from the light and with the hand; and the part's mean width."""
    sizes = np.array([len(p.points) for p in parts])
    ends = np.cumsum(sizes)
    starts = ends - sizes
    points = np.concatenate([p.points for p in parts])
    after, before = np.arange(1, ends[-1] + 1), np.arange(-1, ends[-1] - 1)
    after[ends - 1], before[starts] = starts, ends - 1
    ahead = points[after] - points[before]
    length = np.hypot(ahead[:, 0], ahead[:, 1]) + 1e-9
    normal = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1) / length[:, None]
    cross = points[:, 0] * points[after, 1] - points[after, 0] * points[:, 1]
    area, around = np.add.reduceat(cross, starts) / 2, np.add.reduceat(length, starts) / 2
    away = -(normal @ np.array(light)) * np.repeat(np.sign(area), sizes)
    along = np.cumsum(length) * 1.6 + np.repeat(rng.random(len(parts)) * 6.3, sizes)
    heavy = np.repeat([LINE if p.raised else 0.7 * LINE for p in parts], sizes)
    half = (heavy / 2 * np.clip(0.9 + 0.55 * away + 0.35 * np.sin(along), 0.35, 1.8))[:, None] * normal
    outer, inner = points + half, points - half
    rings = [
        np.concatenate([outer[a:b], outer[a : a + 1], inner[a : a + 1], inner[a:b][::-1]])
        for a, b in zip(starts, ends, strict=True)
    ]
    return list(zip(rings, (2 * np.abs(area) / around).tolist(), strict=True))


def _form(canvas: Canvas, soft: Floats, light: tuple[float, float]) -> Floats:
    """The turn of the form, float32 [H, W]: above 0 away from the light, below 0 towards it."""
    gx, gy = slope(soft, canvas.unit)
    return (gx * np.float32(light[0]) + gy * np.float32(light[1])) * np.float32(0.26)


def _around(scene: Scene, canvas: Canvas, body: Image.Image, light: tuple[float, float]) -> tuple[Floats, Floats]:
    """Shade around the subject, each float32 [H, W] in [0, 1]: of the nearer land, and of the air on the far side."""
    near = {"near": 70, "front": 120, "far": 20}
    land = canvas.mask([(p.points, near.get(p.tone, 0)) for p in (*scene.behind, *scene.front)], 1)
    dx, dy = round(-light[0] * 0.2 * canvas.unit), round(-light[1] * 0.16 * canvas.unit)
    return coverage(land), canvas.soft(ImageChops.offset(body, dx, dy), 0.16)


def _hatching(canvas: Canvas, shades: tuple[Floats, Floats, Floats], cloud: Floats, rng: np.random.Generator) -> Floats:
    """Parallel strokes that thicken with the shade of body, land and air: float32 [H, W] in [0, 1].

    On the body they are crossed where the shade is deepest.
    """
    body, land, air = shades
    x, y = canvas.grid
    blur = HATCH / canvas.unit  # one pixel, in lines
    clear = np.float32(np.clip(3.2 - 4.0 * blur, 0, 1))  # lines too close to be resolved become their mean grey
    out = np.zeros_like(body)
    start = math.radians(-58 + 16 * rng.random())
    layers = (  # shade, direction, where it begins, thickest line (half, of a line's distance), blackest
        (body, start, 0.06, 0.17, 0.9),
        (body, start + 1.1, 0.45, 0.14, 0.8),
        (land, 1.5 + 0.2 * start, 0.1, 0.1, 0.62),
        (air, start + 0.12, 0.2, 0.09, 0.5),
    )
    for field, a, floor, most, black in layers:
        s = (x * math.cos(a) + y * math.sin(a)) * HATCH + 0.16 * cloud
        away = np.abs(s - np.round(s))  # 0 on a line, 0.5 between two
        thick = most * np.clip((field - floor) * 2.0, 0, 1)
        line = np.clip((thick - away) / blur + 0.5, 0, 1) * np.minimum(thick * 14, 1)
        line = black * (2 * thick + (line - 2 * thick) * clear)
        out = np.maximum(out, line)
    return np.asarray(out, dtype=np.float32)
