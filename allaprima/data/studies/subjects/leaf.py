"""A single leaf with its veins: pointed, round or lobed."""

from __future__ import annotations

import math

import numpy as np

from allaprima.data.studies.geometry import Part, between, join, mark, place, ribbon, sheet

SETTINGS = ("rays", "arch", "clouds", "hills")
SWAY = 40.0


def draw(v: tuple[float, ...]) -> list[Part]:
    """v: width, place of the widest point, lobes, number of veins, bend, stem."""
    t = np.linspace(0, 1, 60)
    y = 0.62 - 1.56 * t  # stem end below, tip above
    half = between(0.4, 0.66, v[0]) * np.sin(np.pi * t ** between(0.62, 1.0, v[1])) ** between(0.75, 1.15, v[4])
    veins = 4 + round(v[3] * 2)
    depth = 0.0 if v[2] < 0.45 else between(0.12, 0.42, (v[2] - 0.45) / 0.55)
    half = half * (1 - depth * (0.5 + 0.5 * np.cos(2 * math.pi * veins * (t - 0.1))) * np.sin(np.pi * t))
    bend = between(-0.3, 0.3, v[5]) * (t - 0.25) ** 2
    spine = np.stack([bend, y], axis=1)
    left, right = spine - np.stack([half, half * 0.1], 1), spine + np.stack([half, -half * 0.1], 1)
    stem = ribbon(
        [(bend[4], 0.58), (bend[0] + 0.03, 0.78), (bend[0] + between(-0.2, 0.25, v[5]), 0.98)], 0.05, 0.05, 0.09
    )
    parts = [sheet(stem, "deep"), sheet(join(left, right[::-1])), mark(join(spine, right[::-1]), "light")]
    for i in range(veins):
        at = 0.1 + 0.68 * (i + 0.15) / veins
        j, k = int(at * 59), min(int((at + 0.5 / veins) * 59) + 2, 57)
        for side in (-1, 1):
            end = (spine[k, 0] + side * half[k] * 0.8, spine[k, 1] - 0.04)
            middle = (spine[j, 0] * 0.45 + end[0] * 0.55, spine[j, 1] * 0.4 + end[1] * 0.6 + 0.02)
            parts.append(
                mark(ribbon([tuple(spine[j]), middle, end], 0.042, 0.032, 0.012, n=4), "deep" if side < 0 else "dark")
            )
    parts.append(mark(ribbon(spine[1:-3:9], 0.075, 0.05, 0.015, n=3), "deep"))
    return [Part(place(p.points, 0.0, 0.0, 1.0, 0.35), p.tone, p.raised) for p in parts]
