"""Water plants that sway from the ground, and rising bubbles."""

from __future__ import annotations

from allaprima.data.studies.geometry import Part, between, disc, ribbon, sheet
from allaprima.data.studies.settings.hills import crest


def surround(extent: tuple[float, float], ground: float, v: tuple[float, ...]) -> tuple[list[Part], list[Part]]:
    """v: sway, height, bubbles, sand."""
    sway, low = between(-0.16, 0.16, v[0]), extent[1] + 0.2
    behind = [sheet(crest(extent, 0.62, 0.08, 1.1, 6 * v[3]), "far")]
    for i, x in enumerate((-0.86, -0.66, 0.7, 0.9, 0.5)):
        top = between(-0.5, 0.1, (v[1] * 3 + i * 0.37) % 1)
        blade = ribbon(
            [(x, low), (x + sway, 0.55), (x - sway, (0.5 + top) / 2), (x + sway * 0.7, top)], 0.12, 0.13, 0.1, 0.02
        )
        behind.append(sheet(blade, ("near", "front")[i % 2]))
    for i in range(4):
        x = between(0.1, 0.8, (v[2] * 5 + 0.31 * i) % 1)
        behind.append(sheet(disc(x, -0.5 - 0.14 * i, 0.05 + 0.012 * (3 - i), n=14), "glow"))
    return behind, [sheet(crest(extent, 0.84, 0.05, 1.5, 6 * v[0]), "front")]
