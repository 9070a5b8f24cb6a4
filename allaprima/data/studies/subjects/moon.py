"""A crescent moon with craters or a sleeping face, and its stars."""

from __future__ import annotations

import math

import numpy as np

from allaprima.data.studies.geometry import (
    Part,
    Points,
    between,
    disc,
    join,
    mark,
    pick,
    polygon,
    ribbon,
    sheet,
    spline,
)

SETTINGS = ("clouds", "rays", "arch")
SWAY = 20.0


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: thickness, tilt, face or craters, number of stars, places of the stars, cloud."""
    inner_r, shift = 0.72, between(0.3, 0.46, v[0])
    crescent = _crescent(0.84, inner_r, shift)
    shade = _crescent(0.84, 0.93, between(0.12, 0.15, v[0]))
    parts = [sheet(crescent), mark(shade, "dark")]
    if v[2] < 0.5:
        for a, r, s in (
            (2.5, 0.64, 0.1),
            (3.3, 0.6, 0.075),
            (2.95, 0.74, 0.05),
            (3.9, 0.7, 0.065),
            (1.95, 0.68, 0.055),
        ):
            parts.append(mark(disc(r * math.cos(a), r * math.sin(a), s, n=16), "light" if s > 0.06 else "dark"))
    else:
        parts += _face()
    star = [(0.36, -0.2, 0.19), (0.62, 0.28, 0.13), (0.12, 0.2, 0.1), (0.72, -0.56, 0.1)]
    for i in range(1 + pick(v[3], 4)):
        x, y, r = star[i]
        parts.append(
            sheet(
                _star(x + 0.1 * (v[4] - 0.5), y + 0.12 * (v[1] - 0.5), r, v[4] + i), "accent" if i % 2 == 0 else "light"
            )
        )
    if v[5] > 0.5:
        parts += [sheet(_cloud(-0.1, 0.62), "light"), sheet(_cloud(0.26, 0.72) * (0.9, 1.0), "pale")]
    return parts


def _crescent(outer: float, inner: float, shift: float) -> Points:
    """The disc of radius ``outer`` without the disc of radius ``inner`` about (shift, 0)."""
    x = (outer**2 - inner**2 + shift**2) / (2 * shift)
    a = math.acos(max(-1.0, min(1.0, x / outer)))
    b = math.acos(max(-1.0, min(1.0, (x - shift) / inner)))
    s, t = np.linspace(a, 2 * math.pi - a, 40), np.linspace(2 * math.pi - b, b, 34)
    return join(outer * np.stack([np.cos(s), np.sin(s)], 1), inner * np.stack([np.cos(t), np.sin(t)], 1) + (shift, 0))


def _face() -> list[Part]:
    eye = ribbon([(-0.7, -0.2), (-0.62, -0.13), (-0.52, -0.15)], 0.02, 0.055, 0.02)
    mouth = ribbon([(-0.6, 0.24), (-0.52, 0.28), (-0.44, 0.24)], 0.02, 0.06, 0.02)
    return [mark(eye, "deep"), mark(mouth, "deep"), mark(disc(-0.64, 0.1, 0.085, n=16), "light")]


def _star(x: float, y: float, r: float, turn: float) -> Points:
    angles = [(i * math.pi / 5 + turn, r if i % 2 == 0 else r * 0.45) for i in range(10)]
    return polygon(*[(x + q * math.cos(a), y + q * math.sin(a)) for a, q in angles])


def _cloud(x: float, y: float) -> Points:
    top = spline(
        [
            (x - 0.56, y + 0.1),
            (x - 0.46, y - 0.08),
            (x - 0.28, y - 0.08),
            (x - 0.14, y - 0.22),
            (x + 0.08, y - 0.18),
            (x + 0.2, y - 0.04),
            (x + 0.4, y - 0.06),
            (x + 0.5, y + 0.1),
        ]
    )
    return join(top, polygon((x + 0.4, y + 0.17), (x - 0.48, y + 0.17)))
