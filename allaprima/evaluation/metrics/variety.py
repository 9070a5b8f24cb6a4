"""Whether one wish gives different pictures: a generator that has learned a picture for each text by heart is no use.

The mean distance between samples of one wish on the report's features, beside that of real held-out pictures of one group: of
the column ``group`` where the records have one, else of one class. (The intra-class distances of Zhao et al. 2019 and Casanova
et al. 2021, with a group in place of a class.)

A picture's whole text may ask for less than its group holds ("altar of stone"), and samples that follow it must then be more
alike. So a second figure asks for a group itself, in the words that the texts of all its training pictures share ("altar").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, follows
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._bootstrap import interval_of_mean
from allaprima.evaluation.metrics._sets import telling
from allaprima.models.text_encoders.words import words_of

GROUP = "What was asked"
FIGURES = ("variety within a wish", "variety within a group's words")
NUM_WISHES, NUM_SAMPLES = 50, 8
FEWEST_OF_A_GROUP = 2
COLUMN = "group"


def measure(material: Material) -> Iterator[Figure]:
    """For generators that follow texts, sounds or attributes; the second figure for those that follow texts."""
    if material.asked_places is None:
        return
    groups = _groups(material.dataset)
    of_real = groups[material.real_places]
    real = _within(material.real, of_real)
    if not len(real):
        raise NotMeasuredError(
            "No two held-out pictures are of one group", "add a column 'group' to metadata.jsonl, or class subfolders"
        )
    places = numpy_stream(material.seed, "variety").permutation(np.unique(material.asked_places))[:NUM_WISHES]
    asked = asked_at(material.painter, material.dataset, places.repeat(NUM_SAMPLES))
    what = f"{NUM_SAMPLES} samples of each of {len(places)} held-out wishes"
    yield _figure(material, FIGURES[0], what, _varieties(material, asked, len(places)), float(real.mean()))
    if "text" in follows(material.painter):
        yield from _by_group(material, groups, of_real)


def _by_group(material: Material, groups: np.ndarray, of_real: np.ndarray) -> Iterator[Figure]:
    words = _shared_words(material, groups)
    found, counts = np.unique(of_real, return_counts=True)
    named = [group for group in found[counts >= FEWEST_OF_A_GROUP] if words.get(group)][:NUM_WISHES]
    if not named:
        return  # texts that say nothing of the group: there is no wish to ask
    painter: Any = material.painter  # one that follows texts is a bundle
    texts = [words[group] for group in named for _ in range(NUM_SAMPLES)]
    each = _varieties(material, painter.asked(len(texts), material.seed, text=texts), len(named))
    same = np.isin(of_real, named)
    real = _within(material.real[torch.from_numpy(same)], of_real[same])
    what = f"{NUM_SAMPLES} samples of each of {len(named)} groups, asked for in the words that all its texts share"
    yield _figure(material, FIGURES[1], what, each, float(real.mean()))


def _varieties(material: Material, asked: torch.Tensor | None, wishes: int) -> np.ndarray:
    """How different the samples of each wish are; ``asked`` holds each ``NUM_SAMPLES`` times."""
    painted = material.painter.sample(wishes * NUM_SAMPLES, material.seed, as_="array", asked=asked)
    seen = material.features.extract(material.dataset.domain.to_tensor(painted))
    return _within(seen, np.arange(wishes).repeat(NUM_SAMPLES))


def _figure(material: Material, name: str, what: str, each: np.ndarray, ceiling: float) -> Figure:
    value = float(each.mean())
    between = interval_of_mean(torch.from_numpy(each), material.seed, name)
    return Figure(
        name=name,
        value=value,
        interval=telling(between, len(each)),
        better="neither",
        meaning="Mean distance between samples of one wish.",
        note=f"{what}: {value / max(ceiling, 1e-9):.2f} of what real held-out pictures of one group have, the ceiling; 0 would "
        "be one picture for each wish",
        features=material.features.name,
        floor=0.0,
        ceiling=ceiling,
    )


def _groups(dataset: Dataset) -> np.ndarray:
    """int64 ``[N]`` of all its pictures."""
    if any(COLUMN in record for record in dataset.records):
        return np.unique([str(record.get(COLUMN)) for record in dataset.records], return_inverse=True)[1]
    return np.asarray(dataset.labels)


def _shared_words(material: Material, groups: np.ndarray) -> dict[int, str]:
    """By group, the words that all texts of its training pictures hold, in the order of the first of them."""
    shared: dict[int, list[str]] = {}
    for place in material.dataset.indices("train"):
        text = material.dataset.records[place].get("text")
        if text:
            words, group = words_of(text), int(groups[place])
            shared[group] = [word for word in shared.get(group, words) if word in words]
    return {group: " ".join(words) for group, words in shared.items()}


def _within(features: torch.Tensor, groups: np.ndarray) -> np.ndarray:
    """The mean distance within each group of two or more."""
    found = []
    for group in np.unique(groups):
        members = features[torch.from_numpy(np.flatnonzero(groups == group))].double()
        if len(members) >= FEWEST_OF_A_GROUP:
            found.append(float(torch.pdist(members).mean()))
    return np.array(found)
