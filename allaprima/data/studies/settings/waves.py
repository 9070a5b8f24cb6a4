"""Scalloped waves, one sheet behind another."""

from __future__ import annotations

import numpy as np

from allaprima.data.studies.geometry import Part, Points, between, disc, join, polygon, sheet


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: width of a wave, shift, sun, its height."""
    width = between(0.42, 0.62, v[0])
    level = min(ground, 0.66)
    sun = disc(between(-0.66, 0.66, v[2]), between(-0.7, -0.4, v[3]), 0.2)
    behind = [
        sheet(sun, "glow"),
        sheet(swell(extent, level - 0.32, width, v[1]), "far"),
        sheet(swell(extent, level - 0.18, width * 1.1, v[1] + 0.45), "near"),
    ]
    return behind, [sheet(swell(extent, level - 0.04, width * 1.2, v[1] + 0.8), "front")]


def swell(extent: tuple[float, float], y: float, width: float, shift: float) -> Points:
    """Everything below a row of wave crests."""
    x = np.linspace(-extent[0] - 0.2, extent[0] + 0.2, int(48 * max(1.0, extent[0])))
    line = y + 0.2 * width * (np.abs(np.sin(np.pi * (x / width + shift))) - 0.5)
    low = extent[1] + 0.3
    return join(np.stack([x, line], axis=1), polygon((x[-1], low), (x[0], low)))
