"""How often a sample is what was asked for, by a classifier that was trained on the real training pictures alone.

No generator of ours is ever trained against that classifier. It errs too: the ceiling is how well it names held-out real
pictures, and the floor what it would agree to if the same samples had been asked for in another order.
"""

from __future__ import annotations

from collections.abc import Iterator

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._classes import ACCURACY, F1, RECALL, Answers, asked_of, by_chance, figures, scores

GROUP = "Classes"
FIGURES = ("following accuracy", "following macro recall", "following macro F1")
NAMES = {
    ACCURACY: ("following accuracy", "Share of samples that show the class they were asked for."),
    RECALL: (
        "following macro recall",
        "The same as a mean over classes, so that classes asked for rarely weigh as much.",
    ),
    F1: ("following macro F1", "The same, with wrong samples counted against the class that they show instead."),
}


def measure(material: Material) -> Iterator[Figure]:
    """The three figures, with the confusion matrix: rows are the classes asked for, columns what the judge saw."""
    asked = asked_of(material)
    judge, classes = material.judge, material.dataset.classes
    answers = Answers(asked, judge.classify(material.fake_small), classes)
    real = Answers(material.real_labels, judge.classify(material.real_small), classes).known()
    yield from figures(
        NAMES,
        answers,
        floor=by_chance(answers),
        ceiling=scores(real) if len(real) else {},
        seed=material.seed,
        features=f"judge: {len(classes)} classes",
        note=f"the judge has learned from {judge.experience} training pictures; floor: the same samples asked for in another "
        "order; ceiling: held-out pictures and their own classes",
    )
