"""What all metrics of classes share: accuracy, macro recall and macro F1 of given answers, with intervals and tables.

Macro figures are means over the classes that truly occur, so that a rare class weighs as much as a common one. The
values are scikit-learn's; for intervals the pictures are drawn again (Efron 1979), which for answers means that the
counts of each pair (true class, answered class) follow a multinomial distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._sets import telling

ACCURACY, RECALL, F1 = "accuracy", "macro recall", "macro F1"
REPLICATES = 1000
LARGEST_TABLE = 100  # classes: of more, the details name the pairs that are confused most
MOST_PAIRS = 100


@dataclass(frozen=True)
class Answers:
    """What was true and what was answered, a place in ``classes`` each: int64 ``[N]``."""

    truth: torch.Tensor
    guess: torch.Tensor
    classes: list[str]

    def known(self) -> Answers:
        """Those of which the truth is known (not -1)."""
        return Answers(self.truth[self.truth >= 0], self.guess[self.truth >= 0], self.classes)

    def __len__(self) -> int:
        return len(self.truth)

    def tallies(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Right answers, true members and answers of each class: float32 ``[K]`` each."""
        each = (self.truth[self.truth == self.guess], self.truth, self.guess)
        hits, rows, columns = (places.bincount(minlength=len(self.classes)).float() for places in each)
        return hits, rows, columns


def scores(answers: Answers) -> dict[str, float]:
    """Accuracy, macro recall and macro F1. Raises NotMeasuredError where scikit-learn is not installed."""
    metrics = _sklearn()
    truth, guess = answers.truth.numpy(), answers.guess.numpy()
    macro: dict[str, Any] = {"labels": np.unique(truth), "average": "macro", "zero_division": 0.0}
    return {
        ACCURACY: float(metrics.accuracy_score(truth, guess)),
        RECALL: float(metrics.recall_score(truth, guess, **macro)),
        F1: float(metrics.f1_score(truth, guess, **macro)),
    }


def scores_of(hits: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same from ``tallies``, float ``[…,K]``, which may be expected ones: ``[…]`` each."""
    occurs = rows > 0
    count = occurs.sum(-1)
    recall = torch.where(occurs, hits / rows.clamp_min(1e-9), 0)
    f1 = torch.where(occurs, 2 * hits / (rows + columns).clamp_min(1e-9), 0)
    return {ACCURACY: hits.sum(-1) / rows.sum(-1), RECALL: recall.sum(-1) / count, F1: f1.sum(-1) / count}


def intervals(answers: Answers, seed: int, name: str) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of the three scores."""
    num_classes = len(answers.classes)
    cells, counts = (answers.truth * num_classes + answers.guess).unique(return_counts=True)
    drawn = redrawn(counts, len(answers), seed, name)
    truth, guess = cells // num_classes, cells % num_classes
    empty = torch.zeros(len(drawn), num_classes)
    hits, rows, columns = (
        empty.index_add(1, places, weights)
        for places, weights in ((truth, drawn * (truth == guess)), (truth, drawn), (guess, drawn))
    )
    ends = torch.tensor([0.025, 0.975])
    found = {key: torch.quantile(values, ends).tolist() for key, values in scores_of(hits, rows, columns).items()}
    return {key: (low, high) for key, (low, high) in found.items()}


def redrawn(shares: torch.Tensor, total: int, seed: int, name: str) -> torch.Tensor:
    """How often each of ``[M]`` comes when ``total`` are drawn with these ``shares``: float32 ``[REPLICATES, M]``."""
    p = shares.double().numpy()
    drawn = numpy_stream(seed, f"{name}-intervals").multinomial(total, p / p.sum(), REPLICATES)
    return torch.from_numpy(drawn).float()


def by_chance(answers: Answers) -> dict[str, float]:
    """What is expected when the same truths and the same answers meet at random."""
    _, rows, columns = answers.tallies()
    found = scores_of(rows * columns / len(answers), rows, columns)
    return {key: float(value) for key, value in found.items()}


def by_majority(answers: Answers) -> dict[str, float]:
    """What an answerer gets who always names the commonest class."""
    commonest = torch.full_like(answers.truth, int(answers.truth.mode().values))
    found = scores_of(*Answers(answers.truth, commonest, answers.classes).tallies())
    return {key: float(value) for key, value in found.items()}


def table(answers: Answers) -> dict[str, Any]:
    """For ``details``: the confusion matrix, rows true and columns answered, or of many classes its largest errors."""
    if len(answers.classes) <= LARGEST_TABLE:
        matrix = _sklearn().confusion_matrix(
            answers.truth.numpy(), answers.guess.numpy(), labels=np.arange(len(answers.classes))
        )
        return {"classes": answers.classes, "confusion matrix": matrix.tolist()}
    wrong = answers.truth != answers.guess
    pairs, counts = torch.stack([answers.truth, answers.guess])[:, wrong].unique(dim=1, return_counts=True)
    most = counts.argsort(descending=True, stable=True)[:MOST_PAIRS]
    return {
        "confused most": [
            [answers.classes[one], answers.classes[other], count]
            for (one, other), count in zip(pairs.T[most].tolist(), counts[most].tolist(), strict=True)
        ]
    }


def figures(
    names: Mapping[str, tuple[str, str]],
    answers: Answers,
    floor: Mapping[str, float],
    ceiling: Mapping[str, float],
    seed: int,
    features: str,
    note: str,
) -> Iterator[Figure]:
    """The three figures; ``names`` gives each score its name and its meaning. The first one carries the table."""
    values, between = scores(answers), intervals(answers, seed, next(iter(names.values()))[0])
    for place, (key, (name, meaning)) in enumerate(names.items()):
        low, high = between[key]
        yield Figure(
            name=name,
            value=values[key],
            interval=telling((min(low, values[key]), max(high, values[key])), len(answers)),
            better="higher",
            meaning=meaning,
            note=note,
            features=features,
            floor=floor[key],
            ceiling=ceiling.get(key),
            details=table(answers) if place == 0 else {},
        )


def asked_of(material: Any) -> torch.Tensor:
    """The class asked of each sample: int64 ``[N]``, all known. Raises NotMeasuredError when the generator has none."""
    painter, dataset = material.painter, material.dataset
    if not painter.classes and material.asked_places is None:
        again = "" if dataset.classes else "prepare the pictures from class subfolders, then "
        raise NotMeasuredError(
            "This generator was trained without classes, so its samples were not asked to be anything",
            f"{again}train with classes: --set condition=label",
        )
    if not dataset.classes:
        raise NotMeasuredError("The pictures have no classes", "prepare them from class subfolders")
    strange = sorted(set(painter.classes) - set(dataset.classes))
    if strange and bool((material.asked < 0).any()):
        more = f" and {len(strange) - 1} others" if len(strange) > 1 else ""
        raise NotMeasuredError(
            f"The generator's class '{strange[0]}'{more} is none of '{dataset.folder}'",
            "give the dataset that it was trained on: --dataset DATASET",
        )
    return material.asked


def _sklearn() -> Any:
    try:
        from sklearn import metrics
    except ImportError:
        raise NotMeasuredError(
            "Figures of classes need scikit-learn, which is not installed", "pip install 'allaprima[evaluate]'"
        ) from None
    return metrics
