"""A flower: two rings of petals, a disc of seeds, a stem with leaves."""

from __future__ import annotations

import math

from allaprima.data.studies.geometry import Part, between, disc, mark, pick, place, ribbon, sheet, spline

SETTINGS = ("hills", "rays", "arch", "clouds")
SWAY = 10.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: number of petals, their breadth, their tip, second ring, bend of the stem, turn."""
    n, bend = 5 + pick(v[0], 5), between(-0.22, 0.22, v[4])
    cx, cy = 0.0, -0.3
    stem = ribbon([(0.0, -0.1), (bend, 0.4), (bend * 0.3, 1.0)], 0.05, 0.06, 0.08)
    leaf = spline([(0, 0.02), (0.16, -0.16), (0.46, -0.2), (0.3, 0.06), (0.1, 0.1)], closed=True)
    leaves = [
        place(leaf, bend * 0.8, 0.64, 1.0, 0.1),
        place(leaf * (-1, 1), bend * 0.8, 0.76, 0.9, between(-0.3, 0.2, v[5])),
    ]
    parts = [sheet(stem, "stem"), *(sheet(p, "stem") for p in leaves)]
    parts += _ring(n, 0.68, v, v[5], cx, cy, ("base", "dark"))
    if v[3] > 0.4:
        parts += _ring(n, 0.44, v, v[5] + 0.5, cx, cy, ("light", "light"))
    parts.append(sheet(disc(cx, cy, 0.2), "accent"))
    seeds = [disc(cx + 0.1 * math.cos(a), cy + 0.1 * math.sin(a), 0.028, n=8) for a in (0.3, 1.35, 2.4, 3.4, 4.5, 5.5)]
    return [*parts, *(mark(s, "wood") for s in seeds), mark(disc(cx, cy, 0.03, n=8), "wood")]


def _ring(
    n: int, reach: float, v: tuple[float, ...], shift: float, cx: float, cy: float, tone: tuple[str, str]
) -> list[Part]:
    wide = reach * between(0.8, 1.12, v[1]) * math.sin(math.pi / n) * (1.0 if n > 5 else 0.86)
    tip = between(0.55, 1.05, v[2])  # below 1 the petal ends in a point, near 1 it is round
    edge = [(0.4, 0.8), (0.74, 1.0), (0.94, 0.6 * tip)]  # along and across, as parts of the petal's length and width
    upper = [(reach * a, -wide * b) for a, b in edge]
    petal = spline([(0.12, 0), *upper, (reach, 0), *((a, -b) for a, b in upper[::-1])], closed=True, n=4)
    line = ribbon([(reach * 0.3, 0), (reach * 0.8, 0)], 0.035, 0.012)
    parts = []
    for i in range(n):
        turn = 2 * math.pi * (i + shift) / n
        parts.append(sheet(place(petal, cx, cy, 1.0, turn), tone[0]))
        parts.append(mark(place(line, cx, cy, 1.0, turn), tone[1] if tone[1] != "light" else "base"))
    return parts
