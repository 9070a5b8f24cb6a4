"""Paper-cut: flat sheets, one above the other, each with its soft shadow and its lit edge.

Use: ``paint(compose(factors, canvas.extent), canvas)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from allaprima.core.seeds import numpy_stream
from allaprima.data.studies.canvas import Canvas, direction
from allaprima.data.studies.geometry import Part
from allaprima.data.studies.palette import RGB, mix
from allaprima.data.studies.scene import Scene

WORD = "paper-cut"

LIFT, LIFT_BEHIND, LIFT_FRONT = 0.045, 0.05, 0.06  # how far a sheet's shadow falls, units
EDGE = 0.016  # width of a sheet's lit edge, units


def paint(scene: Scene, canvas: Canvas) -> NDArray[np.uint8]:
    """The scene in cut paper, uint8 [H, W, 3]."""
    tones, (lx, ly) = scene.tones, direction(scene.factors.light)
    image = Image.new("RGB", canvas.size, tones["back"])
    for parts, lift in ((scene.behind, LIFT_BEHIND), (scene.subject, LIFT), (scene.front, LIFT_FRONT)):
        for part in parts:
            _lay(image, canvas, part, tones, (lx, ly), lift if part.raised else 0.0)
    return _finish(image, canvas, scene, (lx, ly))


def _lay(
    image: Image.Image, canvas: Canvas, part: Part, tones: dict[str, RGB], light: tuple[float, float], lift: float
) -> None:
    """Puts one sheet down: first its shadow, then its lit edge, then its face."""
    corners = canvas.pixels(part.points)
    reach = int(lift * canvas.unit * 2.6) + 1  # pixels that the shadow may extend
    (w, h), fine = canvas.size, canvas.fine
    x0, y0 = max(int(corners[:, 0].min()) - reach, -reach), max(int(corners[:, 1].min()) - reach, -reach)
    x1, y1 = min(int(corners[:, 0].max()) + 1 + reach, w + reach), min(int(corners[:, 1].max()) + 1 + reach, h + reach)
    if x1 <= x0 or y1 <= y0:
        return
    rgb, box = tones[part.tone], (x0, y0)
    face = _shape(canvas, part, box, (x1 - x0, y1 - y0), fine)
    if lift:
        dx, dy = -light[0] * lift, -light[1] * lift
        cast = _shape(canvas, Part(np.add(part.points, (dx, dy)), part.tone, True), box, (x1 - x0, y1 - y0), 1, 120)
        blurred = cast.filter(ImageFilter.GaussianBlur(lift * 0.75 * canvas.unit))
        image.paste(mix(tones["ink"], tones["back"], 0.12), box, blurred)
        image.paste(mix(rgb, (255, 252, 244), 0.42 if lift == LIFT else 0.22), box, face)
        inner = Part(np.add(part.points, (-light[0] * EDGE, -light[1] * EDGE)), part.tone, True)
        within = _shape(canvas, inner, box, (x1 - x0, y1 - y0), fine)
        face = ImageChops.multiply(face, within)
    image.paste(rgb, box, face)


def _shape(
    canvas: Canvas, part: Part, box: tuple[int, int], size: tuple[int, int], fine: int, value: int = 255
) -> Image.Image:
    """The part's L mask in the window ``size`` at ``box``."""
    mask = Image.new("L", (size[0] * fine, size[1] * fine))
    ImageDraw.Draw(mask).polygon(canvas.outline(part.points, fine, box), fill=value)
    return mask.reduce(fine) if fine > 1 else mask


def _finish(image: Image.Image, canvas: Canvas, scene: Scene, light: tuple[float, float]) -> NDArray[np.uint8]:
    """The fibres of the paper and the fall of the light."""
    corner = numpy_stream(scene.factors.texture, "paper").random(2)
    x, y = canvas.grid
    shade = 1.0 + 0.022 * canvas.noise("grain", (corner[0], corner[1])) + 0.035 * (light[0] * x + light[1] * y)
    out = np.asarray(image, dtype=np.float32) * shade[:, :, None]
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)
