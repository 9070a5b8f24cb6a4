"""Rolling hills and a low sun."""

from __future__ import annotations

import numpy as np

from allaprima.data.studies.geometry import Part, Points, between, disc, join, polygon, sheet


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: far crest, near crest, place of the sun, its height."""
    sun = disc(between(-0.6, 0.6, v[2]), ground - between(0.95, 1.25, v[3]), 0.24)
    far = crest(extent, ground - between(0.34, 0.52, v[0]), 0.12, 1.3 + v[1], 6 * v[0])
    near = crest(extent, ground - between(0.1, 0.2, v[1]), 0.07, 1.0 + v[0], 6 * v[1])
    front = crest(extent, ground + 0.08, 0.04, 1.6 + v[3], 6 * v[2])
    return [sheet(sun, "glow"), sheet(far, "far"), sheet(near, "near")], [sheet(front, "front")]


def crest(extent: tuple[float, float], y: float, swing: float, pace: float, phase: float) -> Points:
    """Everything below a wavy line about height ``y``."""
    x = np.linspace(-extent[0] - 0.2, extent[0] + 0.2, 40)
    line = y + swing * (np.sin(2 * pace * x + phase) + 0.35 * np.sin(4.3 * pace * x + 2 * phase))
    low = extent[1] + 0.3
    return join(np.stack([x, line], axis=1), polygon((x[-1], low), (x[0], low)))
