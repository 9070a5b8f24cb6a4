"""A still life's table with a cloth before a wall."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, between, join, mark, polygon, ribbon, sheet, spline


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: height of the edge, tilt, folds, curtain."""
    y, tilt, ax, low = ground - between(0.2, 0.34, v[0]), between(-0.05, 0.05, v[1]), extent[0] + 0.2, extent[1] + 0.2
    table = polygon((-ax, y - tilt), (ax, y + tilt), (ax, low), (-ax, low))
    side = -1 if v[3] < 0.5 else 1
    curtain = join(
        spline([(side * 0.78, -extent[1] - 0.2), (side * 0.6, -0.5), (side * 0.82, 0.0), (side * 0.72, y)]),
        polygon((side * ax, y), (side * ax, -extent[1] - 0.2)),
    )
    fold = ribbon([(side * 0.92, -extent[1]), (side * 0.84, -0.4), (side * 0.98, y)], 0.03, 0.07, 0.02)
    hem = ribbon(
        [(-ax, ground + 0.16 + tilt), (between(-0.4, 0.4, v[2]), ground + 0.2), (ax, ground + 0.15 - tilt)],
        0.02,
        0.05,
        0.02,
    )
    return [sheet(curtain, "far"), mark(fold, "near"), sheet(table, "near"), mark(hem, "front")], []
