"""Classification accuracy score: train a classifier on samples, with the classes they were asked for; test it on reality.

Ravuri & Vinyals 2019, "Classification accuracy score for conditional generative models". It falls when samples are not
what was asked for, when they do not look real, and when a class has little variety; so it sees what a distance between
sets cannot. The ceiling is the same classifier, trained on as many real training pictures; the floor is always naming
the commonest class.
"""

from __future__ import annotations

from collections.abc import Iterator

from allaprima.evaluation.judge import Judge
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._classes import ACCURACY, F1, RECALL, Answers, asked_of, by_majority, figures, scores
from allaprima.evaluation.metrics._sets import FEW_PICTURES

GROUP = "Classes"
FIGURES = ("classification accuracy score", "classification macro recall", "classification macro F1")
NAMES = {
    ACCURACY: (
        "classification accuracy score",
        "Share of held-out real pictures that a classifier names rightly which has seen samples only.",
    ),
    RECALL: ("classification macro recall", "The same as a mean over classes, so that rare classes weigh as much."),
    F1: ("classification macro F1", "The same, with wrong answers counted against the class that was named."),
}


def measure(material: Material) -> Iterator[Figure]:
    """The three figures, with the confusion matrix: rows are the real classes, columns the classifier's answers."""
    dataset, device = material.dataset, material.device
    asked = asked_of(material)
    labelled = material.real_labels >= 0
    pictures, truth = material.real_small[labelled], material.real_labels[labelled]
    if len(truth) < 2:
        raise NotMeasuredError(
            f"{len(truth)} {material.split} pictures have a class, too few to test a classifier on",
            "prepare a larger set from class subfolders",
        )
    on_real = Judge.of(dataset, device, len(material.fake))
    on_fake = Judge.trained_on(dataset, material.fake_small, asked, device, what="samples")
    ceiling = scores(Answers(truth, on_real.classify(pictures), dataset.classes))
    answers = Answers(truth, on_fake.classify(pictures), dataset.classes)
    few = f"; only {len(truth)} held-out pictures" if len(truth) < FEW_PICTURES else ""
    yield from figures(
        NAMES,
        answers,
        floor=by_majority(answers),
        ceiling=ceiling,
        seed=material.seed,
        features=f"classifier: {len(dataset.classes)} classes",
        note=f"trained on {on_fake.experience} samples, for the ceiling on {on_real.experience} real pictures; "
        "floor: always naming the commonest class; "
        f"the interval is that of one training{few}",
    )
