"""What can be told of a picture besides its class: columns of its record that the generator is asked about.

Use: ``for column in told_columns(painter, dataset): column.name, column.choices, column.of(places)``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import follows
from allaprima.evaluation.judge import Classifier, most_places, train_classifier
from allaprima.evaluation.small import small_pictures
from allaprima.models.conditions.attributes import NOT_ATTRIBUTES
from allaprima.models.text_encoders.words import words_of

MOST_CHOICES = 64
FEWEST_OF_A_CHOICE = 10  # training pictures
SAID = 0.9  # of the pictures: in as many texts the column's value must be found
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Column:
    """A column of few different words. ``values`` int64 ``[N]``: each picture's, a place in ``choices``, -1 where unknown."""

    name: str
    choices: list[str]
    values: np.ndarray

    def of(self, places: np.ndarray) -> torch.Tensor:
        """int64 ``[len(places)]``."""
        return torch.from_numpy(self.values[places])

    def judge(self, dataset: Dataset, device: Device) -> tuple[Classifier, int]:
        """A classifier that has learned it from training pictures, and from how many. Shows progress."""
        places = most_places(dataset, self.values >= 0)
        pictures, title = small_pictures(dataset, places), f"learning to see the {self.name}"
        return train_classifier(pictures, self.of(places), len(self.choices), device, title=title), len(places)


def told_columns(painter: Any, dataset: Dataset) -> list[Column]:
    """Those that texts tell, or that are attributes of the generator. None for a generator that follows neither."""
    conditions = follows(painter)
    found = []
    for name in dict.fromkeys(key for record in dataset.records for key in record):
        column = None if name in NOT_ATTRIBUTES else _column(dataset, name)
        if column is None:
            continue
        known = [one.name for one in getattr(conditions.get("attributes"), "known", [])]
        if name in known or ("text" in conditions and _is_said(dataset, column)):
            found.append(column)
    return found[:MOST_COLUMNS]


def _column(dataset: Dataset, name: str) -> Column | None:
    words = [record.get(name) for record in dataset.records]
    if any(isinstance(word, list | dict | float) for word in words):
        return None
    texts = ["" if word is None else str(word) for word in words]
    counts = Counter(texts[place] for place in dataset.indices("train"))
    choices = sorted(text for text, count in counts.items() if text and count >= FEWEST_OF_A_CHOICE)
    if not 2 <= len(choices) <= MOST_CHOICES:
        return None
    places = {choice: place for place, choice in enumerate(choices)}
    return Column(name, choices, np.array([places.get(text, -1) for text in texts], np.int64))


def _is_said(dataset: Dataset, column: Column) -> bool:
    """Whether the texts say it: whole words of the value, in nearly all of them."""
    said = [set(words_of(choice)) for choice in column.choices]
    known = np.flatnonzero(column.values >= 0)
    hits = [said[column.values[place]] <= set(words_of(dataset.records[place].get("text") or "")) for place in known]
    return bool(hits) and float(np.mean(hits)) >= SAID
