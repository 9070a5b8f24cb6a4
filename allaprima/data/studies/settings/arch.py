"""A deep window: frames cut one behind the other, with the subject standing in it."""

from __future__ import annotations

import math

import numpy as np

from allaprima.data.studies.geometry import Part, Points, between, join, polygon, sheet
from allaprima.data.studies.settings.hills import crest


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: roundness, size, ground, wobble."""
    size, power = between(0.86, 0.98, v[1]), between(2.0, 3.6, v[0])
    frames = [
        sheet(_frame(extent, size, power, 0.03 * v[3], 6 * v[3]), "back"),
        sheet(_frame(extent, size + 0.11, power, 0.03 * v[3], 6 * v[2]), "glow"),
    ]
    land = sheet(crest(extent, min(ground - 0.1, 0.72), 0.05, 1.0, 6 * v[2]), "near")
    return [land, frames[0]], [frames[1]]


def _frame(extent: tuple[float, float], size: float, power: float, wobble: float, phase: float) -> Points:
    """The picture without a superelliptic niche, which is open at the bottom."""
    t = np.linspace(math.pi, 2 * math.pi, 40)
    c, s = np.abs(np.cos(t)), np.abs(np.sin(t))
    r = size * (c**power + s**power) ** (-1 / power) * (1 + wobble * np.sin(5 * t + phase))
    arch = np.stack([r * np.cos(t) * max(extent[0], 1.0), r * np.sin(t) * max(extent[1], 1.0)], axis=1)
    ax, ay = extent[0] + 0.3, extent[1] + 0.3
    return join(polygon((-ax, ay), (arch[0, 0], ay)), arch, polygon((arch[-1, 0], ay), (ax, ay), (ax, -ay), (-ax, -ay)))
