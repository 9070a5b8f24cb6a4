"""A pear with its leaf, whole or with a cut half beside it."""

from __future__ import annotations

import numpy as np

from allaprima.data.studies.geometry import Part, Points, between, disc, join, mark, place, ribbon, sheet, spline

SETTINGS = ("table", "arch", "rays")
SWAY = 10.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: roundness, length of the neck, leaf, cut half, speckles, lean."""
    body = _outline(v)
    leaf = spline([(0, 0), (0.2, -0.18), (0.52, -0.16), (0.3, 0.04), (0.12, 0.08)], closed=True)
    turn = between(-0.5, 0.35, v[2])
    top = body[:, 1].min()
    tip = body[body[:, 1].argmin(), 0]
    stem = ribbon(
        [(tip, top + 0.06), (tip + 0.03, top - 0.1), (tip + between(-0.1, 0.14, v[5]), top - 0.22)], 0.075, 0.06, 0.085
    )
    leaves = [
        sheet(place(leaf, tip + 0.03, top - 0.06, 1.0, turn), "stem"),
        mark(place(ribbon([(0.06, 0.0), (0.4, -0.12)], 0.035, 0.015), tip + 0.03, top - 0.06, 1.0, turn), "deep"),
    ]
    side = body[(body[:, 0] > 0.1) & (body[:, 1] > -0.1)]  # the shaded flank follows the outline
    inner = side.copy()
    inner[:, 0] *= 0.66 + 0.34 * np.linspace(-1, 1, len(inner)) ** 2
    blush = join(side, inner[::-1])
    glint = spline([(-0.26, 0.12), (-0.18, 0.16), (-0.28, 0.42), (-0.38, 0.5), (-0.38, 0.3)], closed=True)
    parts = [sheet(stem, "wood"), sheet(body), mark(blush, "dark"), mark(glint, "pale")]
    if v[2] > 0.25:
        parts[1:1] = leaves
    if v[4] > 0.5:
        spots = [(-0.1, 0.5), (0.08, 0.28), (-0.22, 0.68), (0.12, 0.6), (0.0, 0.02), (-0.04, 0.76), (0.2, 0.44)]
        parts += [mark(disc(x, y, 0.028, n=8), "deep") for x, y in spots]
    return [*parts, *_half(v)] if v[3] > 0.55 else parts


def _outline(v: tuple[float, ...]) -> Points:
    wide, neck, lean = between(0.52, 0.68, v[0]), between(0.19, 0.3, v[1]), between(-0.1, 0.1, v[5])
    top = between(-0.5, -0.72, v[1])
    # half widths from the neck down, each with its height and how much of the lean it feels
    rows = [(neck * 0.85, top + 0.1, 1.0), (neck * 1.12, -0.16, 0.6), (wide * 0.86, 0.16, 0.0), (wide, 0.5, 0.0)]
    rows += [(wide * 0.74, 0.84, 0.0), (wide * 0.2, 0.95, 0.0)]
    right = [(w + lean * f, y) for w, y, f in rows]
    left = [(-w + lean * f, y) for w, y, f in rows]
    return spline([(lean, top), *right, *left[::-1]], closed=True)


def _half(v: tuple[float, ...]) -> list[Part]:
    shape = _outline((v[0], v[1], 0.0, 0.0, 0.0, 0.5))
    lay = [place(shape * s, *at, 0.62, 1.0) for s, at in ((1.0, (0.42, 0.66)), (0.87, (0.42, 0.66)))]
    core = place(disc(0, 0.42, 0.2, 0.26), 0.42, 0.66, 0.62, 1.0)
    pips = [
        place(spline([(s * 0.06, 0.3), (s * 0.13, 0.44), (s * 0.06, 0.5)], closed=True), 0.42, 0.66, 0.62, 1.0)
        for s in (-1, 1)
    ]
    return [sheet(lay[0], "base"), mark(lay[1], "pale"), mark(core, "light"), *(mark(p, "ink") for p in pips)]
