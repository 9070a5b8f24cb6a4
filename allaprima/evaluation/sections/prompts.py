"""What is painted for what is said: a row for each held-out text, and the way from one text to another."""

from __future__ import annotations

from typing import Any

from allaprima.bundle.mixing import mixed
from allaprima.evaluation.asking import asked_at, follows, repeated
from allaprima.evaluation.material import Material
from allaprima.evaluation.report import block, escape, wall

PLACE = 25
NUM_TEXTS, NUM_SEEDS = 12, 8
NUM_WAYS, STEPS = 3, 8


def section(material: Material) -> str:
    """For painters that follow texts, sounds or attributes."""
    painter: Any = material.painter
    if material.asked_places is None or material.withheld:  # texts are the dataset's too
        return ""
    places = material.asked_places[:NUM_TEXTS]
    asked = asked_at(painter, material.dataset, places)
    assert asked is not None, "there are places"
    rows = [
        (material.dataset.records[place], painter.sample(NUM_SEEDS, material.seed, asked=repeated(wish, NUM_SEEDS)))
        for place, wish in zip(places, asked, strict=True)
    ]
    lines = (
        f'<div class="class"><div class="word">{escape(_said(material, record, place))}</div>'
        f"{wall(shown, _said(material, record, place), 'strip')}</div>\n"
        for (record, shown), place in zip(rows, places, strict=True)
    )
    words = (
        f"A row for what each of {len(places)} {material.split} pictures asks for, a column for each seed: nothing was picked. "
        "Down a column the noise stays the same."
    )
    table = block("As asked", f'<div class="classes">{"".join(lines)}</div>', words)
    return table + (_ways(material) if "text" in follows(painter) else "")


def _said(material: Material, record: dict[str, Any], place: int) -> str:
    if "text" in follows(material.painter) and record.get("text"):
        return str(record["text"])
    label = int(material.dataset.labels[place])
    return material.dataset.classes[label] if label >= 0 else str(record.get("name", ""))


def _ways(material: Material) -> str:
    """Between two texts with the noise held still: whether what lies between them looks like something."""
    painter: Any = material.painter
    assert material.asked_places is not None
    places = material.asked_places[: 2 * NUM_WAYS]
    asked = asked_at(painter, material.dataset, places)
    assert asked is not None, "there are places"
    lines = []
    for one in range(0, len(places) - 1, 2):
        start, end = (painter.embed(asked[place : place + 1]) for place in (one, one + 1))
        noise = painter.noise(1, material.seed)
        shown = [
            painter.domain.to_pictures(painter.domain.to_array(painter.decode(painter.from_noise(noise, y), y)))[0]
            for y in (mixed(start, end, step / (STEPS - 1)) for step in range(STEPS))
        ]
        from_, to = (_said(material, material.dataset.records[place], place) for place in places[one : one + 2])
        lines.append(
            f'<div class="class"><div class="word">{escape(from_)}<small>to {escape(to)}</small></div>'
            f"{wall(shown, 'step', 'strip')}</div>\n"
        )
    words = "The same noise throughout; only what is asked changes, in equal steps (slerp)."
    return block("From one text to another", f'<div class="classes">{"".join(lines)}</div>', words)
