"""Class by class: what the generator paints when it is asked for each, and how far that lies from the real ones."""

from __future__ import annotations

import numpy as np

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.evaluation.report import block, escape, number, wall
from allaprima.evaluation.sections.confusion import confusion_of

PLACE = 30
MOST_CLASSES = 32
FEWEST_PICTURES = 10


def section(material: Material) -> str:
    classes = material.painter.classes
    if not classes:
        return ""
    rows = "".join(_row(material, place, name) for place, name in enumerate(classes[:MOST_CLASSES]))
    words = (
        "Eight samples of each. The kernel distance is between the samples and the held-out pictures of that class, "
        f"beside the same for training pictures; it is left out where there are fewer than {FEWEST_PICTURES} of a kind."
    )
    if len(classes) > MOST_CLASSES:
        words += f" The first {MOST_CLASSES} of {len(classes)} classes are shown."
    return block("Class by class", f'<div class="classes">{rows}</div>', words)


def _row(material: Material, place: int, name: str) -> str:
    dataset = material.dataset
    facts = []
    if name in dataset.classes:
        wanted = dataset.classes.index(name)
        real = material.real[np.asarray(dataset.labels[material.real_places]) == wanted]
        train_places = material.searched_places[: material.num_floor]
        train = material.train[np.asarray(dataset.labels[train_places]) == wanted]
        fake = material.fake[material.fake_labels == place]
        facts.append(f"{len(real):,} held-out pictures")
        if min(len(real), len(fake)) >= FEWEST_PICTURES:
            floor = f" (real {number(mmd2(real, train))})" if len(train) >= FEWEST_PICTURES else ""
            facts.append(f"kernel distance {number(mmd2(real, fake))}{floor}")
        facts += _seen(material, wanted)
    small = "".join(f"<small>{escape(fact)}</small>" for fact in facts)
    said = material.called(name)
    shown = wall(material.painter.sample(8, material.seed, label=name), f"{said}, sample", "strip")
    return f'<div class="class"><div class="word">{escape(said)}{small}</div>{shown}</div>\n'


def _seen(material: Material, wanted: int) -> list[str]:
    """How often the judge saw the class in samples of it, where that was measured."""
    for figure in material.figures:
        confusion = confusion_of(figure) if figure.name == "following accuracy" else None
        if confusion is not None and (asked := confusion[1][wanted].sum()):
            return [f"{100 * confusion[1][wanted, wanted] / asked:.0f} % seen as asked"]
    return []
