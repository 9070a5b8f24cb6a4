"""A sailing boat."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, Points, between, join, mark, polygon, ribbon, sheet, spline

SETTINGS = ("waves",)
SWAY = 7.0
GROUNDED = True


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: height of the mast, belly of the sails, shape of the hull, panels, flag, jib."""
    top, belly = between(-0.8, -0.96, v[0]), between(0.06, 0.24, v[1])
    bow, mast = between(0.82, 0.98, v[2]), -0.02
    hull = join(
        spline([(-0.82, 0.44), (-0.2, 0.52), (0.4, 0.5), (bow, 0.34)]),
        spline([(bow, 0.34), (0.66, 0.76), (0.4, 0.94), (-0.1, 0.97), (-0.56, 0.92), (-0.74, 0.7), (-0.82, 0.44)]),
    )
    stripe = join(
        spline([(-0.8, 0.52), (-0.2, 0.6), (0.4, 0.585), (bow * 0.95, 0.45)]),
        spline([(bow * 0.9, 0.53), (0.4, 0.67), (-0.2, 0.69), (-0.77, 0.6)]),
    )
    main = join(
        spline([(mast - 0.05, top + 0.08), (-0.28 - belly, -0.2), (-0.76, 0.3)]),
        spline([(-0.76, 0.3), (-0.4, 0.36 + belly * 0.3), (mast - 0.05, 0.32)]),
    )
    jib = join(
        spline([(mast + 0.05, top + 0.16), (0.3 + belly, -0.1), (between(0.6, 0.78, v[5]), 0.3)]),
        spline([(0.7, 0.3), (0.4, 0.34 + belly * 0.3), (mast + 0.05, 0.26)]),
    )
    pole = ribbon([(mast, 0.52), (mast, top - 0.02)], 0.07, 0.045, n=2)
    flag = spline(
        [(mast, top - 0.04), (-0.14, top - 0.06), (-0.3, top + 0.02), (-0.14, top + 0.06), (mast, top + 0.1)], n=4
    )
    parts = [
        sheet(pole, "wood"),
        sheet(main, "light"),
        sheet(jib, "pale" if v[5] > 0.4 else "base"),
        *_panels(v, mast, top),
    ]
    if v[4] > 0.4:
        parts.append(sheet(flag, "accent"))
    return [*parts, sheet(hull, "base"), mark(stripe, "accent" if v[2] > 0.5 else "pale"), mark(_rim(bow), "deep")]


def _rim(bow: float) -> Points:
    return ribbon([(-0.82, 0.45), (-0.2, 0.53), (0.4, 0.51), (bow, 0.35)], 0.05, 0.06, 0.06, 0.04)


def _panels(v: tuple[float, ...], mast: float, top: float) -> list[Part]:
    """Stripes or seams of the mainsail."""
    if v[3] < 0.5:
        band = polygon((mast - 0.05, 0.02), (mast - 0.05, -0.22), (-0.36, -0.1), (-0.5, 0.1))
        return [
            mark(band, "base"),
            mark(polygon((mast - 0.05, -0.42), (mast - 0.05, -0.58), (-0.16, -0.5), (-0.24, -0.36)), "base"),
        ]
    seams = [
        ribbon([(mast - 0.06, y), (mast - 0.08 - 0.52 * (y - top) / 1.2, y + 0.04)], 0.025, n=2)
        for y in (-0.4, -0.15, 0.1)
    ]
    return [mark(s, "dark") for s in seams]
