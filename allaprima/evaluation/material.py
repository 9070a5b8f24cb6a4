"""Everything that an evaluation looked at, gathered once, for the sections of its report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Features, choose, chunks, of_pictures
from allaprima.evaluation.metrics import Figure, measure_all

MOST_HELD_OUT = 10_000
MOST_SEARCHED = 10_000


class Painter(Protocol):
    """What is asked of a generator: a ``Bundle``, or anything that paints like one."""

    domain: Any
    encoder: Any

    @property
    def classes(self) -> list[str]: ...

    def sample(
        self,
        count: int,
        seed: int = 0,
        label: Any = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        as_: Any = "pil",
    ) -> Any: ...

    def stream(
        self, count: int, seed: int = 0, label: Any = None, truncation: float = 1.0, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]: ...


@dataclass(frozen=True)
class Material:
    """Features float32 ``[·,D]``: ``real`` of the pictures ``real_places`` of the held-out ``split``, ``fake`` of the
    samples, whose classes are ``fake_labels`` (int64, places in the painter's ``classes``) and of which ``first`` holds
    the first as uint8 ``[n,H,W,C]``; ``searched`` of the training pictures ``searched_places``, of which
    the first ``num_floor``, drawn at random, stand in for samples to give each figure its floor.
    """

    run: Path
    dataset: Dataset
    painter: Painter
    features: Features
    split: str
    seed: int
    real: torch.Tensor
    real_places: np.ndarray
    fake: torch.Tensor
    fake_labels: torch.Tensor
    first: np.ndarray
    searched: torch.Tensor
    searched_places: np.ndarray
    num_floor: int
    figures: Sequence[Figure] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def train(self) -> torch.Tensor:
        """Features of the training pictures that give the floor: as many as samples, if there are."""
        return self.searched[: self.num_floor]

    def pictures(self, places: Sequence[int] | np.ndarray) -> list[Any]:
        """Stored pictures as PIL pictures."""
        return self.dataset.domain.to_pictures(self.dataset.images[np.asarray(places)])


NUM_FIRST = 64


def gather(
    run: Path, dataset: Dataset, painter: Painter, features: Features, count: int, split: str, seed: int
) -> Material:
    """Paint ``count`` samples and take all features, a part at a time. Shows progress.

    No more samples than training pictures are used: the floor, in which training pictures take their place, is then
    like with like. Raises UserError when the split holds fewer than 2 pictures.
    """
    held_out = dataset.indices(split)
    if len(held_out) < 2:
        raise UserError(
            f"'{dataset.folder}' has {len(held_out)} {split} pictures", "prepare a larger set to measure on"
        )
    train = dataset.indices("train")
    count = min(count, len(train))
    if count < 2:
        raise UserError(f"{count} samples are too few to compare", "ask for at least 2 with --count, better 1000")
    draw = numpy_stream(seed, "evaluation")
    # In random order, so that the first few are a fair draw.
    real_places = draw.permutation(choose(held_out, MOST_HELD_OUT, draw))
    searched_places = draw.permutation(choose(train, max(MOST_SEARCHED, count), draw))
    with progress("looking at pictures", len(real_places) + len(searched_places) + count) as advance:
        real = of_pictures(features, dataset, real_places, advance)
        searched = of_pictures(features, dataset, searched_places, advance)
        fake, labels, first = _paint(painter, features, count, seed, advance)
    with progress("measuring", 1, "round") as advance:
        figures = list(measure_all(real, fake, searched[:count], features.name, seed))
        advance(1)
    return Material(
        run, dataset, painter, features, split, seed, real, real_places, fake, labels, first, searched, searched_places,
        count, figures,
    )  # fmt: skip


def _paint(
    painter: Painter, features: Features, count: int, seed: int, advance: Any
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    size = len(chunks(count, painter.domain.shape.channels * int(np.prod(painter.domain.shape.spatial)))[0])
    parts: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    first: list[np.ndarray] = []
    kept = 0
    for array, label in painter.stream(count, seed, batch_size=size):
        # Through uint8, as real pictures went: rounding alone must not tell them apart.
        parts.append(features.extract(painter.domain.to_tensor(array)))
        labels.append(label)
        if kept < NUM_FIRST:
            first.append(array)
            kept += len(array)
        advance(len(array))
    return torch.cat(parts), torch.cat(labels), np.concatenate(first)[:NUM_FIRST]
