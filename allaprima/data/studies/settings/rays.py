"""Beams that open behind the subject, around a pale disc."""

from __future__ import annotations

import math

from allaprima.data.studies.geometry import Part, between, disc, polygon, sheet
from allaprima.data.studies.settings.hills import crest


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: number of beams, turn, size of the disc, ground or none."""
    n, turn = 7 + int(v[0] * 4), v[1] * 2 * math.pi
    reach = 2.2 * max(extent)
    behind = []
    for i in range(n):
        a, half = turn + 2 * math.pi * i / n, math.pi / n * 0.5
        behind.append(
            sheet(
                polygon(
                    (0, 0),
                    (reach * math.cos(a - half), reach * math.sin(a - half)),
                    (reach * math.cos(a + half), reach * math.sin(a + half)),
                ),
                "far",
            )
        )
    behind.append(sheet(disc(0, 0, between(0.72, 0.84, v[2]), n=40), "glow"))
    front = [sheet(crest(extent, max(ground, 0.7) + 0.06, 0.05, 1.2, 6 * v[1]), "near")]
    return behind, front
