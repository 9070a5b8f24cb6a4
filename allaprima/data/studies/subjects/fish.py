"""A fish: its profile rules the body, so that bands, scales and belly follow it."""

from __future__ import annotations

import numpy as np

from allaprima.data.studies.geometry import Part, Points, between, disc, join, mark, pick, place, ribbon, sheet, spline

SETTINGS = ("waves", "rays", "reeds")
SWAY = 14.0


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: depth of body, tail, fins, pattern, number of bands, mood."""
    deep = between(0.34, 0.52, v[0])
    x = np.linspace(0.86, -0.52, 22)
    t = (0.86 - x) / 1.38
    half = deep * (np.sin(np.pi * np.clip(t, 0, 1) ** 0.72) ** 0.8 * 0.93 + 0.16 * t)  # nose at t=0, tail root at t=1
    top, low = np.stack([x, -half * 1.04], axis=1), np.stack([x, half * 0.96], axis=1)
    body = join(top, low[::-1])
    return [*_tail(v, deep), *_fins(v, deep), sheet(body), *_belly(x, half), *_pattern(v, x, half), *_face(v, deep)]


def _tail(v: tuple[float, ...], deep: float) -> list[Part]:
    spread, fork = between(0.34, 0.56, v[1]), between(0.62, 0.9, (v[1] * 7) % 1)
    upper = spline([(-0.44, -0.06), (-0.66, -0.16), (-0.98, -spread), (-0.9, -spread * 0.5), (-fork, 0)])
    lower = spline([(-fork, 0), (-0.88, spread * 0.55), (-0.96, spread), (-0.64, 0.16), (-0.44, 0.06)])
    rays = [ribbon([(-0.6, s * 0.06), (-0.88, s * spread * 0.74)], 0.012, 0.03) for s in (-1, 1)]
    return [sheet(join(upper, lower), "dark"), *(mark(r, "deep") for r in rays)]


def _fins(v: tuple[float, ...], deep: float) -> list[Part]:
    h = between(0.16, 0.34, v[2])
    crest = spline([(0.34, -deep * 0.86), (0.12, -deep - h), (-0.22, -deep * 0.95 - h * 0.7), (-0.4, -deep * 0.45)])
    keel = spline([(0.2, deep * 0.8), (0.02, deep + h * 0.8), (-0.14, deep * 0.98 + h * 0.5), (-0.1, deep * 0.7)])
    lines = [ribbon([(a, -deep * 0.8), (a - 0.14, -deep - h * 0.55)], 0.022, 0.01) for a in (0.16, 0.0, -0.16)]
    return [sheet(crest, "dark"), sheet(keel, "dark"), *(mark(line, "deep") for line in lines)]


def _belly(x: Points, half: Points) -> list[Part]:
    upper = np.stack([x, half * 0.42], axis=1)
    lower = np.stack([x, half * 0.9], axis=1)
    return [mark(join(upper[2:-2], lower[2:-2][::-1]), "light")]


def _pattern(v: tuple[float, ...], x: Points, half: Points) -> list[Part]:
    kind, n = pick(v[3], 3), 2 + pick(v[4], 3)
    at = np.linspace(0.12, -0.4, n) if kind != 1 else np.linspace(0.14, -0.34, 4)
    places = list(zip(at.tolist(), np.interp(-at, -x, half).tolist(), strict=True))  # and half the height there
    if kind == 0:  # bands that bulge towards the tail
        bow, width = spline([(0.0, -0.93), (-0.1, 0.0), (0.0, 0.9)]), 0.3 / n
        return [mark(join(bow * (1, h) + (a, 0), (bow * (1, h) + (a - width, 0))[::-1]), "dark") for a, h in places]
    if kind == 1:  # rows of scales
        arc = spline([(0.0, -0.09), (-0.09, 0.0), (0.0, 0.09)])[::3]
        scales = [(a - 0.06 * (j % 2), h * s) for a, h in places for j, s in enumerate((-0.6, -0.1, 0.4))]
        return [mark(ribbon(arc + p, 0.012, 0.045, 0.012, n=3), "deep") for p in scales]
    return [mark(disc(a, h * (-0.45 if i % 2 else 0.12), 0.07), "accent") for i, (a, h) in enumerate(places)]


def _face(v: tuple[float, ...], deep: float) -> list[Part]:
    gill = ribbon([(0.36, -deep * 0.7), (0.27, 0.0), (0.36, deep * 0.62)], 0.015, 0.05, 0.015)
    fin = place(
        spline([(0, -0.07), (-0.24, -0.13), (-0.32, 0.04), (-0.14, 0.12), (0, 0.06)], closed=True),
        0.2,
        0.12,
        1.0,
        -0.25 * v[2],
    )
    mouth = ribbon([(0.84, 0.05), (0.76, 0.1), (0.68, between(0.06, 0.15, v[5]))], 0.02, 0.035, 0.01)
    eye_y = -deep * 0.26
    return [
        mark(gill, "deep"),
        sheet(fin, "accent" if v[5] > 0.5 else "light"),
        mark(mouth, "deep"),
        mark(disc(0.57, eye_y, 0.105), "pale"),
        mark(disc(0.585, eye_y, 0.06), "ink"),
    ]
