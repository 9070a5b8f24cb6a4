"""How often a sample shows what its text or its attributes said: each column of the records by a classifier of its own.

Every classifier was trained on real training pictures alone, and no generator of ours is ever trained against it. Ceiling and
floor as in ``following``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._classes import ACCURACY, F1, RECALL, Answers, by_chance, figures, scores
from allaprima.evaluation.told import Column, told_columns

GROUP = "What was asked"


def measure(material: Material) -> Iterator[Figure]:
    """Three figures for each column; none for a generator by class alone. The confusion matrix is asked × seen."""
    if material.asked_places is None:
        return
    columns = told_columns(material.painter, material.dataset)
    if not columns:
        raise NotMeasuredError(
            "No column of the pictures' records says what their texts say",
            "add columns to metadata.jsonl, such as style or colour, with words that the texts use",
        )
    for column in columns:
        yield from _measured(material, material.asked_places, column)


def _measured(material: Material, asked_places: np.ndarray, column: Column) -> Iterator[Figure]:
    classifier, experience = column.judge(material.dataset, material.device)

    def answers(asked: np.ndarray, small: torch.Tensor) -> Answers:
        return Answers(column.of(asked), classifier.predict(small).argmax(1), column.choices).known()

    fake, real = answers(asked_places, material.fake_small), answers(material.real_places, material.real_small)
    if not len(fake):
        return
    of = f"of the {column.name}"
    yield from figures(
        {
            ACCURACY: (
                f"following accuracy, {column.name}",
                f"Share of samples that show the {column.name} asked for.",
            ),
            RECALL: (f"following macro recall, {column.name}", f"The same as a mean over the values {of}."),
            F1: (
                f"following macro F1, {column.name}",
                f"The same {of}, with wrong samples counted against what they show.",
            ),
        },
        fake,
        floor=by_chance(fake),
        ceiling=scores(real) if len(real) else {},
        seed=material.seed,
        features=f"classifier {of}: {len(column.choices)} values",
        note=f"asked as {material.split} pictures are described; the classifier has learned from {experience:,} training "
        "pictures; floor: the same samples asked for in another order; ceiling: held-out pictures and their own values",
    )
