"""Samples as they come, and the same latents truncated."""

from __future__ import annotations

from typing import Any

from allaprima.evaluation.material import NUM_FIRST, Material
from allaprima.evaluation.report import block, wall

PLACE = 20
TRUNCATION = 0.7
NUM_TRUNCATED = 32


def section(material: Material) -> str:
    painter = material.painter
    count = min(NUM_TRUNCATED, len(material.first))
    wishes: dict[str, Any] = {} if material.asked_places is None else {"asked": material.wishes(count)}
    truncated = painter.sample(count, material.seed, truncation=TRUNCATION, **wishes)
    body = (
        wall(painter.domain.to_pictures(material.first), "sample")
        + f"<h3>The same latents, truncated to {TRUNCATION}</h3>"
        + wall(truncated, "truncated sample")
    )
    if not material.withheld:
        body += "<h3>For comparison: pictures that training never saw</h3>"
        body += wall(material.pictures(material.real_places[: NUM_FIRST // 4]), "held-out picture")
    return block("Samples", body, f"The first {len(material.first)} of seed {material.seed}: nothing was picked.")
