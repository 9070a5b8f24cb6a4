"""Where it all comes from: method, dataset, images seen, minutes."""

from __future__ import annotations

from allaprima.evaluation.material import Material
from allaprima.evaluation.report import block, escape

PLACE = 70


def section(material: Material) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in material.facts.items())
    return block("This run", f"<dl>{rows}</dl>")
