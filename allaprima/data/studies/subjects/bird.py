"""A songbird on a twig."""

from __future__ import annotations

from allaprima.data.studies.geometry import (
    Part,
    Points,
    between,
    disc,
    join,
    mark,
    pick,
    place,
    polygon,
    ribbon,
    sheet,
    spline,
)

SETTINGS = ("hills", "clouds", "rays", "arch")
SWAY = 9.0


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: plumpness, tail, wing, crest, breast, beak."""
    plump, tail = between(0.38, 0.54, v[0]), between(-0.12, 0.4, v[1])
    back = spline([(0.52, -0.72), (0.3, -0.76), (0.1, -0.56), (-0.2, -0.26), (-0.56, 0.06)])
    front = spline(
        [
            (-0.5, 0.2),
            (-0.24, 0.2 + plump * 0.62),
            (0.2, 0.12 + plump),
            (0.56, 0.16),
            (0.66, -0.18),
            (0.7, -0.44),
            (0.52, -0.72),
        ]
    )
    breast = spline(
        [(0.62, -0.34), (0.62, -0.08), (0.5, 0.16), (0.2, 0.06 + plump), (0.0, plump), (0.14, 0.22), (0.34, -0.08)],
        closed=True,
    )
    parts = [*_twig(plump), *_tail(tail)]
    if v[3] > 0.55:
        parts.append(
            sheet(
                spline([(0.34, -0.62), (0.22, -0.98), (0.36, -0.94), (0.44, -1.0), (0.56, -0.66)], closed=True), "dark"
            )
        )
    parts.append(sheet(_beak(v[5]), "accent"))
    parts += [sheet(join(back, front)), mark(breast, ("light", "pale", "accent")[pick(v[4], 3)])]
    if v[4] > 0.66:
        parts.append(mark(spline([(0.36, -0.74), (0.6, -0.72), (0.68, -0.5), (0.44, -0.56)], closed=True), "dark"))
    return [*parts, *_wing(v[2]), mark(disc(0.47, -0.46, 0.085), "pale"), mark(disc(0.485, -0.465, 0.06), "ink")]


def _beak(v: float) -> Points:
    reach = between(0.86, 1.0, v)
    return polygon((0.62, -0.54), (reach, -0.4), (0.64, -0.33))


def _twig(plump: float) -> list[Part]:
    y = plump + 0.34
    legs = [ribbon([(a + 0.06, plump * 0.7), (a, y)], 0.04, 0.035) for a in (0.0, 0.18)]
    twig = ribbon([(-0.95, y + 0.1), (-0.3, y + 0.03), (0.4, y + 0.05), (0.98, y - 0.06)], 0.03, 0.075, 0.08, 0.05)
    leaf = spline([(0, 0), (0.12, -0.09), (0.3, 0.0), (0.12, 0.07)], closed=True)
    leaves = [
        place(leaf, 0.62, y, 1.0, -0.7),
        place(leaf, -0.6, y + 0.08, 1.0, 2.4),
        place(leaf, 0.8, y - 0.02, 0.9, 0.7),
    ]
    return [*(mark(leg, "wood") for leg in legs), sheet(twig, "wood"), *(sheet(one, "stem") for one in leaves)]


def _tail(droop: float) -> list[Part]:
    feather = spline([(0, -0.08), (-0.3, -0.12), (-0.56, -0.07), (-0.56, 0.06), (-0.3, 0.08), (0, 0.08)], closed=True)
    return [
        sheet(place(feather, -0.42, 0.12, 1.0, -0.45 * droop + turn), tone)
        for turn, tone in ((-0.22, "deep"), (0.05, "dark"))
    ]


def _wing(v: float) -> list[Part]:
    lift = between(-0.08, 0.5, v)
    wing = spline([(0.26, -0.12), (0.1, 0.16), (-0.2, 0.24), (-0.66, 0.22), (-0.3, -0.08), (0.0, -0.3)], closed=True)
    inner = spline(
        [(0.22, -0.12), (0.08, 0.06), (-0.14, 0.1), (-0.34, 0.06), (-0.12, -0.12), (0.02, -0.24)], closed=True
    )
    lines = [ribbon([(-0.02 - i * 0.1, 0.1), (-0.24 - i * 0.12, 0.17 - i * 0.01)], 0.035, 0.015) for i in range(3)]
    pivot = (0.16, -0.1)
    turn = [place(p - pivot, *pivot, 1.0, lift) for p in (wing, inner, *lines)]
    return [sheet(turn[0], "dark"), mark(turn[1], "base"), *(mark(p, "deep") for p in turn[2:])]
