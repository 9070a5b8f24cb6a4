"""A sitting cat, seen from the front."""

from __future__ import annotations

import numpy as np

from allaprima.data.studies.geometry import (
    Part,
    between,
    disc,
    join,
    mark,
    mirrored,
    pick,
    polygon,
    ribbon,
    sheet,
    spline,
)

SETTINGS = ("hills", "rays", "arch")
SWAY = 4.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: breadth, tail, ears, markings, eyes, tilt of the head."""
    wide, dx = between(0.42, 0.54, v[0]), between(-0.07, 0.07, v[5])
    reach, curl = between(0.74, 0.94, v[1]), between(0.0, 0.3, (v[1] * 5) % 1)
    tail = ribbon(
        [(0.2, 0.84), (0.62, 0.84), (reach, 0.52), (reach - 0.12, 0.2 - curl), (reach - 0.26, 0.12 - curl)],
        0.2,
        0.2,
        0.18,
        0.16,
        0.07,
    )
    tip = ribbon(
        [(reach - 0.08, 0.26 - curl * 0.9), (reach - 0.14, 0.2 - curl), (reach - 0.26, 0.12 - curl)], 0.165, 0.14, 0.07
    )
    body = spline(
        [
            (0.0, -0.3),
            (0.26, -0.16),
            (wide * 0.84, 0.3),
            (wide, 0.72),
            (wide * 0.8, 0.94),
            (0.0, 0.96),
            (-wide * 0.8, 0.94),
            (-wide, 0.72),
            (-wide * 0.84, 0.3),
            (-0.26, -0.16),
        ],
        closed=True,
    )
    bib = spline([(-0.16, -0.02), (0.16, -0.02), (0.2, 0.3), (0.0, 0.56), (-0.2, 0.3)], closed=True)
    paws = [disc(s * 0.15, 0.9, 0.14, 0.085) for s in (-1, 1)]
    legs = [ribbon([(s * 0.16, 0.42), (s * 0.15, 0.84)], 0.02, 0.035, n=3) for s in (-1, 1)]
    haunch = [
        ribbon([(s * wide * 0.62, 0.46), (s * wide * 0.5, 0.62), (s * wide * 0.62, 0.86)], 0.015, 0.04, 0.015)
        for s in (-1, 1)
    ]
    parts = [sheet(tail, "dark"), mark(tip, ("pale", "deep")[pick(v[3], 2)]), sheet(body), mark(bib, "light")]
    parts += [mark(p, "deep") for p in legs] + [mark(p, "dark") for p in haunch] + [sheet(p, "light") for p in paws]
    if v[3] > 0.4:
        bands = [
            ribbon([(s * wide * f, y), (s * wide * (f - 0.34), y + 0.05)], 0.075, 0.02, n=3)
            for s in (-1, 1)
            for f, y in ((0.72, 0.18), (0.84, 0.36), (0.92, 0.54))
        ]
        parts += [mark(b, "dark") for b in bands]
    return parts + _head(v, dx)


def _head(v: tuple[float, ...], dx: float) -> list[Part]:
    tall = between(0.86, 1.0, v[2])
    ear = join(
        spline([(0.1, -0.66), (0.24, -0.84), (0.38, -tall)]), spline([(0.38, -tall), (0.46, -0.74), (0.42, -0.5)])
    )
    inner = polygon((0.22, -0.68), (0.35, -tall + 0.1), (0.4, -0.6))
    skull = spline(
        [
            (0.0, -0.74),
            (0.3, -0.68),
            (0.46, -0.44),
            (0.4, -0.2),
            (0.18, -0.06),
            (0.0, -0.04),
            (-0.18, -0.06),
            (-0.4, -0.2),
            (-0.46, -0.44),
            (-0.3, -0.68),
        ],
        closed=True,
    )
    muzzle = spline(
        [(0.0, -0.3), (0.16, -0.26), (0.18, -0.14), (0.0, -0.06), (-0.18, -0.14), (-0.16, -0.26)], closed=True
    )
    parts = [*(sheet(e, "dark") for e in (ear, mirrored(ear))), *(mark(e, "light") for e in (inner, mirrored(inner)))]
    parts += [sheet(skull), mark(muzzle, "light")]
    if v[3] > 0.4:
        stripes = [ribbon([(x, -0.7 + abs(x) * 0.3), (x * 0.8, -0.54)], 0.065, 0.015, n=3) for x in (-0.14, 0.0, 0.14)]
        parts += [mark(s, "dark") for s in stripes]
    parts += _features(v)
    return [Part(np.add(p.points, (dx, 0.0)), p.tone, p.raised) for p in parts]


def _features(v: tuple[float, ...]) -> list[Part]:
    whiskers = [
        ribbon([(s * 0.2, -0.2), (s * 0.56, -0.24 + d)], 0.022, 0.01, n=2) for s in (-1, 1) for d in (-0.02, 0.1)
    ]
    parts = [mark(w, "ink") for w in whiskers]
    for s in (-1, 1):
        if v[4] < 0.3:  # asleep
            parts.append(mark(ribbon([(s * 0.12, -0.4), (s * 0.2, -0.35), (s * 0.29, -0.4)], 0.02, 0.05, 0.02), "ink"))
        else:
            parts.append(mark(disc(s * 0.2, -0.42, 0.1, 0.085, n=16), "accent"))
            parts.append(mark(disc(s * 0.2, -0.42, between(0.03, 0.055, v[4]), 0.08, n=12), "ink"))
    nose = polygon((-0.055, -0.25), (0.055, -0.25), (0.0, -0.18))
    mouth = ribbon([(-0.09, -0.12), (-0.04, -0.1), (0.0, -0.16), (0.04, -0.1), (0.09, -0.12)], 0.02, 0.03, 0.02, n=3)
    return [*parts, mark(nose, "ink"), mark(mouth, "ink")]
