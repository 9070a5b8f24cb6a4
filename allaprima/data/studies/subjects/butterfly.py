"""A butterfly with open wings."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, Points, between, disc, mark, mirrored, pick, ribbon, sheet, spline

SETTINGS = ("hills", "rays", "clouds", "arch")
SWAY = 35.0


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: reach of the fore wings, their point, hind wings, pattern, eye spots, antennae."""
    reach, high = between(0.84, 0.99, v[0]), between(0.6, 0.86, v[1])
    fore = spline(
        [
            (0.04, -0.14),
            (0.26, -high * 0.78),
            (0.62, -high),
            (reach, -high * 0.9),
            (reach * 0.92, -0.3),
            (0.66, -0.02),
            (0.3, 0.06),
            (0.05, 0.05),
        ],
        closed=True,
    )
    low = between(0.66, 0.92, v[2])
    hind = spline(
        [
            (0.05, 0.0),
            (0.4, 0.0),
            (0.74, 0.12),
            (0.76, 0.42),
            (0.5, low * 0.82),
            (0.3 + 0.1 * v[2], low),
            (0.16, 0.5),
            (0.05, 0.2),
        ],
        closed=True,
    )
    fore_in, hind_in = _inset(fore, 0.78, (0.3, -0.2)), _inset(hind, 0.72, (0.26, 0.2))
    right = [
        sheet(hind, "dark"),
        mark(hind_in, "light" if v[3] > 0.5 else "base"),
        sheet(fore, "base"),
        mark(fore_in, "light"),
    ]
    for x, y in ((0.62, -high * 0.82), (0.8, -0.62 * high), (0.78, -0.3), (0.62, -0.08)):
        right.append(mark(ribbon([(0.2, -0.12), (x * 0.92, y * 0.95)], 0.045, 0.025, n=2), "dark"))
    right += _spots(v, reach, high, low)
    both = [p for r in right for p in (r, Part(mirrored(r.points), r.tone, r.raised))]
    # the two hind wings lie under the two fore wings, so sort by pairs: the list already is in that order
    curl = between(0.24, 0.44, v[5])
    feelers = [ribbon([(s * 0.03, -0.34), (s * 0.1, -0.66), (s * curl, -0.86)], 0.03, 0.025, 0.06) for s in (-1, 1)]
    body = spline(
        [(0, -0.4), (0.075, -0.26), (0.07, 0.1), (0.045, 0.5), (0, 0.6), (-0.045, 0.5), (-0.07, 0.1), (-0.075, -0.26)],
        closed=True,
    )
    return [*both, *(mark(f, "ink") for f in feelers), sheet(body, "deep"), mark(disc(0, -0.36, 0.085, n=14), "deep")]


def _inset(points: Points, scale: float, about: tuple[float, float]) -> Points:
    return (points - about) * scale + about


def _spots(v: tuple[float, ...], reach: float, high: float, low: float) -> list[Part]:
    spots = [mark(disc(0.48, low * 0.54, between(0.09, 0.14, v[4])), "accent")]
    if v[4] > 0.3:
        spots.append(mark(disc(0.48, low * 0.54, 0.055, n=12), "deep"))
    rim = [(reach * 0.9, -high * 0.76), (reach * 0.88, -high * 0.52), (reach * 0.82, -0.22)]
    spots += [mark(disc(x, y, 0.05, n=12), "accent" if pick(v[3], 2) else "pale") for x, y in rim]
    return spots
