"""From units to pixels: antialiased masks, flat paintings, and noise that is the same at every size.

Use: ``canvas = Canvas((64, 64)); canvas.flat([(points, (200, 60, 50))], (240, 230, 200))``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from allaprima.core.seeds import numpy_stream
from allaprima.data.studies.geometry import Points
from allaprima.data.studies.palette import RGB

Floats = NDArray[np.float32]

_TILE = 512  # pixels a side of the noise tile
_TILE_UNITS = 4.0  # units that it spans: two pictures wide, so that a picture finds a place of its own in it


class Canvas:
    """A picture of ``size`` (width, height) pixels whose shorter side spans 2 units about the centre."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.unit = min(size) / 2  # pixels per unit
        self.extent = (size[0] / min(size), size[1] / min(size))  # half width and half height in units
        self.fine = 4 if min(size) <= 96 else 3 if min(size) <= 192 else 2  # supersampling per axis

    def pixels(self, points: Points) -> Points:
        """Units → pixels, [N, 2]."""
        return points * self.unit + (self.size[0] / 2, self.size[1] / 2)

    @cached_property
    def grid(self) -> tuple[Floats, Floats]:
        """The units at each pixel's centre: x [1, W] and y [H, 1]."""
        w, h = self.size
        x = (np.arange(w, dtype=np.float32) + 0.5 - w / 2) / self.unit
        y = (np.arange(h, dtype=np.float32) + 0.5 - h / 2) / self.unit
        return x[None, :], y[:, None]

    def outline(self, points: Points, scale: int, corner: tuple[int, int] = (0, 0)) -> list[float]:
        """Pillow's flat list of corners, at ``scale`` times the picture's pixels from ``corner``."""
        # Pillow's pixel centres lie on whole numbers, ours on halves
        x = (self.size[0] / 2 - corner[0]) * scale - 0.5
        y = (self.size[1] / 2 - corner[1]) * scale - 0.5
        out: list[float] = (points * (self.unit * scale) + (x, y)).ravel().tolist()
        return out

    def flat(self, shapes: Iterable[tuple[Points, RGB]], back: RGB, scale: int | None = None) -> Image.Image:
        """An antialiased RGB painting of flat shapes, the first at the bottom."""
        fine = scale or self.fine
        image = Image.new("RGB", (self.size[0] * fine, self.size[1] * fine), back)
        draw = ImageDraw.Draw(image)
        for points, rgb in shapes:
            draw.polygon(self.outline(points, fine), fill=rgb)
        return image.reduce(fine) if fine > 1 else image

    def mask(self, shapes: Iterable[tuple[Points, int]], scale: int | None = None) -> Image.Image:
        """An antialiased L mask; each shape is drawn with its own value, 0 … 255, the first at the bottom."""
        fine = scale or self.fine
        image = Image.new("L", (self.size[0] * fine, self.size[1] * fine))
        draw = ImageDraw.Draw(image)
        for points, value in shapes:
            draw.polygon(self.outline(points, fine), fill=value)
        return image.reduce(fine) if fine > 1 else image

    def soft(self, mask: Image.Image, radius: float) -> Floats:
        """An L mask blurred by ``radius`` units, float32 [H, W] in [0, 1]."""
        # a wide blur in 255 steps has slopes of whole steps, which show as rings; blurred small, it has none
        shrink = max(1, min(self.size) // 64)
        small = mask.resize((self.size[0] // shrink, self.size[1] // shrink), Image.Resampling.BOX)
        blurred = small.filter(ImageFilter.GaussianBlur(radius * self.unit / shrink))
        if shrink > 1:
            blurred = blurred.convert("F").resize(self.size, Image.Resampling.BICUBIC)
        return coverage(blurred)

    def noise(self, kind: str, corner: tuple[float, float], zoom: float = 1.0) -> Floats:
        """Smooth random values about 0 (standard deviation about 1), float32 [H, W].

        ``corner`` in [0, 1] chooses the place in the tile, so the same corner gives the same noise at every size.
        """
        w, h = self.size
        per_unit = _TILE / _TILE_UNITS / zoom
        bw, bh = min(w / self.unit * per_unit, _TILE), min(h / self.unit * per_unit, _TILE)
        x0, y0 = corner[0] * (_TILE - bw), corner[1] * (_TILE - bh)
        box = (x0, y0, x0 + bw, y0 + bh)
        return np.asarray(_tile(kind).resize((w, h), Image.Resampling.BILINEAR, box), dtype=np.float32)


@lru_cache(maxsize=8)
def _tile(kind: str) -> Image.Image:
    """A 512 × 512 field of noise: 'grain' (fine fibres), 'cloud' (broad), or 'bristle' (in between)."""
    scales = {"grain": (1, 2, 5), "cloud": (32, 64, 16), "bristle": (3, 7, 16)}[kind]
    field = np.zeros((_TILE, _TILE), dtype=np.float32)
    for i, scale in enumerate(scales):
        n = max(_TILE // scale, 2)
        coarse = Image.fromarray(numpy_stream(0, f"studies/{kind}", i).standard_normal((n, n)).astype(np.float32))
        octave = np.asarray(coarse.resize((_TILE, _TILE), Image.Resampling.BICUBIC))
        field += octave / float(octave.std()) * 0.7**i
    return Image.fromarray((field - field.mean()) / field.std())


def coverage(mask: Image.Image) -> Floats:
    """A mask of 0 … 255 → float32 [H, W] in [0, 1]."""
    return np.asarray(mask, dtype=np.float32) * np.float32(1 / 255)


def slope(field: Floats, per_unit: float) -> tuple[Floats, Floats]:
    """The slope of ``field`` [H, W] along x and y: per unit, if ``per_unit`` is the number of pixels in one."""
    dx, dy = np.zeros_like(field), np.zeros_like(field)
    np.subtract(field[:, 2:], field[:, :-2], out=dx[:, 1:-1])
    np.subtract(field[2:], field[:-2], out=dy[1:-1])
    half = np.float32(per_unit / 2)
    return dx * half, dy * half


def direction(degrees: float) -> tuple[float, float]:
    """The unit vector towards ``degrees`` (0 is right, 90 is down)."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
