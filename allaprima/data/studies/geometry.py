"""Curves and closed shapes as point arrays, and the parts that a drawing is made of.

Everything lives in units: x to the right, y down, the picture's shorter side spans [-1, 1].

Use: ``sheet(spline([(0, -1), (1, 0), (0, 1)], closed=True), "base")``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [N, 2]
PointsLike = Sequence[tuple[float, float]] | Points


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One closed shape of a drawing.

    ``points`` is float64 [N, 2] in units. ``tone`` is a role of the palette: base, light, dark, deep, accent, pale,
    shade, ink, wood or stem for a subject; glow, far, near or front for a setting. A ``raised`` part is a piece of its
    own, which casts a shadow in paper and has an outline in pen; the others are marks upon the piece beneath them.
    """

    points: Points
    tone: str
    raised: bool


def sheet(points: Points, tone: str = "base") -> Part:
    """A piece of its own."""
    return Part(points, tone, True)


def mark(points: Points, tone: str = "ink") -> Part:
    """A mark upon the piece beneath it."""
    return Part(points, tone, False)


@lru_cache(maxsize=16)
def _catmull_rom(n: int) -> Points:
    """Weights [n, 4] of four neighbouring control points at n steps of one segment (Catmull and Rom, 1974)."""
    t = np.linspace(0.0, 1.0, n, endpoint=False)[:, None]
    powers = np.concatenate([np.ones_like(t), t, t**2, t**3], axis=1)
    return powers @ (0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], dtype=np.float64))


@lru_cache(maxsize=64)
def _even(n: int) -> NDArray[np.float64]:
    """n numbers spread evenly over 0 … 1; kept, because NumPy takes longer to make them than to use them."""
    return np.linspace(0.0, 1.0, n)


@lru_cache(maxsize=64)
def _circle(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cosines and sines of n directions spread evenly over the circle."""
    t = np.arange(n) * (2 * math.pi / n)
    return np.cos(t), np.sin(t)


def spline(points: PointsLike, closed: bool = False, n: int = 6) -> Points:
    """A smooth curve [N, 2] through ``points``, with ``n`` steps between each two."""
    p = np.asarray(points, dtype=np.float64)
    k = len(p) if closed else len(p) - 1
    padded = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    windows = padded[np.arange(k)[:, None] + np.arange(4)]  # [k, 4, 2]
    curve = (_catmull_rom(n) @ windows).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def join(*curves: PointsLike) -> Points:
    """Curves one after the other, with a corner where two meet."""
    return np.concatenate([np.asarray(c, dtype=np.float64) for c in curves])


def polygon(*points: tuple[float, float]) -> Points:
    """Straight edges between ``points``."""
    return np.array(points, dtype=np.float64)


def disc(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0, n: int = 26) -> Points:
    """An ellipse about (x, y) with half axes rx and ry (rx if not given), turned by ``turn`` radians."""
    cos, sin = _circle(n)
    a, b = rx * cos, (rx if ry is None else ry) * sin
    c, s = math.cos(turn), math.sin(turn)
    out = np.empty((n, 2))
    out[:, 0], out[:, 1] = x + a * c - b * s, y + a * s + b * c
    return out


def ribbon(points: PointsLike, *widths: float, n: int = 5) -> Points:
    """A closed stroke along a smooth spine; ``widths`` are full widths in units, spread evenly over its length."""
    spine = spline(points, n=n)
    along = np.empty_like(spine)
    along[1:-1], along[0], along[-1] = spine[2:] - spine[:-2], spine[1] - spine[0], spine[-1] - spine[-2]
    along /= np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9
    half = np.interp(_even(len(spine)), _even(len(widths)), widths)[:, None] / 2
    side = np.stack([-along[:, 1], along[:, 0]], axis=1) * half
    return np.concatenate([spine + side, (spine - side)[::-1]])


def place(points: Points, x: float = 0.0, y: float = 0.0, scale: float = 1.0, turn: float = 0.0) -> Points:
    """Scaled, turned by ``turn`` radians, and moved to (x, y)."""
    c, s = math.cos(turn) * scale, math.sin(turn) * scale
    out: Points = points @ np.array([[c, s], [-s, c]]) + (x, y)
    return out


def mirrored(points: Points) -> Points:
    """Left and right exchanged."""
    return points * (-1.0, 1.0)


def between(low: float, high: float, v: float) -> float:
    """The value a fraction ``v`` of the way from ``low`` to ``high``."""
    return low + (high - low) * v


def pick(v: float, n: int) -> int:
    """One of 0 … n-1, from ``v`` in [0, 1]."""
    return min(int(v * n), n - 1)
