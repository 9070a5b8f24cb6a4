"""Drifting clouds, and hills far below."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, Points, between, join, polygon, sheet, spline
from allaprima.data.studies.settings.hills import crest


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: place of the first cloud, of the second, size, ground."""
    size = between(0.8, 1.15, v[2])
    behind = [
        sheet(cloud(between(-1.0, -0.5, v[0]), between(-0.8, -0.35, v[1]), size), "glow"),
        sheet(cloud(between(0.5, 1.0, v[1]), between(-0.35, 0.1, v[0]), size * 0.8), "far"),
        sheet(crest(extent, min(ground - 0.14, 0.66), 0.07, 1.1, 6 * v[3]), "near"),
    ]
    return behind, [sheet(crest(extent, ground + 0.1, 0.04, 1.5, 6 * v[2]), "front")]


def cloud(x: float, y: float, size: float) -> Points:
    """A flat-bottomed cloud about (x, y)."""
    top = spline(
        [
            (-0.5, 0.1),
            (-0.46, -0.02),
            (-0.3, -0.04),
            (-0.2, -0.18),
            (0.02, -0.2),
            (0.14, -0.08),
            (0.3, -0.12),
            (0.44, -0.0),
            (0.5, 0.1),
        ]
    )
    return join(top, polygon((0.44, 0.14), (-0.46, 0.14))) * size + (x, y)
