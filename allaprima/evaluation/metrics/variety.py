"""Whether one wish gives different pictures: a generator that has learned a picture for each text by heart is no use.

The mean distance between samples of one wish on the report's features, beside that of real held-out pictures of one group: of
the column ``group`` where the records have one, else of one class. (The intra-class distances of Zhao et al. 2019 and Casanova
et al. 2021, with a group in place of a class.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.evaluation.asking import asked_at
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure, NotMeasuredError
from allaprima.evaluation.metrics._bootstrap import interval_of_mean
from allaprima.evaluation.metrics._sets import telling

GROUP = "What was asked"
FIGURES = ("variety within a wish",)
NUM_WISHES, NUM_SAMPLES = 50, 8
FEWEST_OF_A_GROUP = 2
COLUMN = "group"


def measure(material: Material) -> Iterator[Figure]:
    """For generators that follow texts, sounds or attributes."""
    if material.asked_places is None:
        return
    dataset, painter = material.dataset, material.painter
    real = _within(material.real, _groups(material))
    if not len(real):
        raise NotMeasuredError(
            "No two held-out pictures are of one group", "add a column 'group' to metadata.jsonl, or class subfolders"
        )
    places = numpy_stream(material.seed, "variety").permutation(np.unique(material.asked_places))[:NUM_WISHES]
    asked = asked_at(painter, dataset, places.repeat(NUM_SAMPLES))
    painted = painter.sample(len(places) * NUM_SAMPLES, material.seed, as_="array", asked=asked)
    seen = material.features.extract(dataset.domain.to_tensor(painted))
    each = _within(seen, np.arange(len(places)).repeat(NUM_SAMPLES))
    value, ceiling = float(each.mean()), float(real.mean())
    between = interval_of_mean(torch.from_numpy(each), material.seed, FIGURES[0])
    yield Figure(
        name=FIGURES[0],
        value=value,
        interval=telling(between, len(each)),
        better="neither",
        meaning="Mean distance between samples of one wish.",
        note=f"{NUM_SAMPLES} samples of each of {len(places)} held-out wishes: {value / max(ceiling, 1e-9):.2f} of what real "
        "held-out pictures of one group have, the ceiling; 0 would be one picture for each wish",
        features=material.features.name,
        floor=0.0,
        ceiling=ceiling,
    )


def _groups(material: Material) -> np.ndarray:
    """int64 ``[N]`` of the held-out pictures."""
    records, places = material.dataset.records, material.real_places
    if any(COLUMN in records[place] for place in places):
        return np.unique([str(records[place].get(COLUMN)) for place in places], return_inverse=True)[1]
    return material.real_labels.numpy()


def _within(features: torch.Tensor, groups: np.ndarray) -> np.ndarray:
    """The mean distance within each group of two or more."""
    found = []
    for group in np.unique(groups):
        members = features[torch.from_numpy(np.flatnonzero(groups == group))].double()
        if len(members) >= FEWEST_OF_A_GROUP:
            found.append(float(torch.pdist(members).mean()))
    return np.array(found)
