"""A tree: a round crown of leaf masses, or the tiers of a fir."""

from __future__ import annotations

import math

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

SETTINGS = ("hills", "clouds", "arch")
SWAY = 4.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: kind, breadth, number of masses, lean, fruit, trunk."""
    return _fir(v) if v[0] < 0.35 else _broad(v)


def _broad(v: tuple[float, ...]) -> list[Part]:
    lean, wide, thick = between(-0.12, 0.12, v[3]), between(0.46, 0.62, v[1]), between(0.1, 0.17, v[5])
    left = spline([(lean - thick * 0.5, -0.2), (-thick * 0.55, 0.4), (-thick * 0.8, 0.75), (-thick * 1.9, 0.96)])
    right = spline([(thick * 1.9, 0.96), (thick * 0.8, 0.75), (thick * 0.55, 0.4), (lean + thick * 0.5, -0.2)])
    arms = [
        ribbon([(lean * 0.5, 0.34), (lean + s * 0.22, 0.12), (lean + s * 0.36, -0.12)], thick * 0.7, 0.05)
        for s in (-1, 1)
    ]
    parts = [*(sheet(arm, "wood") for arm in arms), sheet(join(left, right), "wood")]
    n = 5 + pick(v[2], 3)
    for i in range(n):
        a = math.pi * (0.92 + 1.16 * i / (n - 1))
        r = 0.3 + 0.07 * math.sin(9 * v[2] + 2.4 * i)
        parts.append(
            sheet(_mass(lean + wide * math.cos(a), -0.26 + 0.42 * math.sin(a), r, v[2] + i), ("dark", "base")[i % 2])
        )
    parts.append(sheet(_mass(lean, -0.3, 0.42, v[2]), "base"))
    parts.append(sheet(_mass(lean - 0.1, -0.46, 0.26, v[4]), "light"))
    if v[4] > 0.45:
        spots = [(-0.42, -0.2), (-0.12, -0.08), (0.26, -0.16), (0.42, -0.42), (0.1, -0.62), (-0.3, -0.52), (0.1, -0.34)]
        parts += [mark(disc(lean + x * wide * 1.7, y, 0.055, n=12), "accent") for x, y in spots]
    return parts


def _mass(x: float, y: float, r: float, shift: float) -> Points:
    """A clump of leaves: a circle with a soft, scalloped rim."""
    k = 7
    rim = [(r * (1 + 0.09 * (-1) ** i), math.pi * (i + shift) / k) for i in range(2 * k)]
    return spline([(x + q * math.cos(a), y + 0.9 * q * math.sin(a)) for q, a in rim], closed=True, n=4)


def _fir(v: tuple[float, ...]) -> list[Part]:
    tiers, wide = 3 + pick(v[2], 2), between(0.52, 0.7, v[1])
    parts = [sheet(polygon((-0.1, 0.5), (0.1, 0.5), (0.13, 0.97), (-0.13, 0.97)), "wood")]
    for i in range(tiers):
        low = 0.68 - 1.1 * i / tiers
        top = -1.0 if i == tiers - 1 else low - 1.7 / tiers
        w = wide * (1 - 0.62 * i / tiers)
        right = spline([(0, top), (w * 0.36, top + (low - top) * 0.56), (w, low - 0.02)])
        hem = spline(
            [
                (w, low - 0.02),
                (w * 0.66, low + 0.05),
                (w * 0.34, low + 0.02),
                (0, low + 0.09),
                (-w * 0.34, low + 0.02),
                (-w * 0.66, low + 0.05),
                (-w, low - 0.02),
            ],
            n=4,
        )
        left = spline([(-w, low - 0.02), (-w * 0.36, top + (low - top) * 0.56), (0, top)])
        parts.append(sheet(join(right, hem, left), ("dark", "base", "base", "light")[i + (tiers == 3 and i > 0)]))
        if v[4] > 0.45:
            parts += [mark(disc(s * w * 0.5, low - 0.07, 0.05, n=12), "accent") for s in (-1, 0.1, 1)]
    return parts
