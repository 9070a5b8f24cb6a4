"""Everything that an evaluation looked at, gathered once, for the sections of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from allaprima import vault
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, asked_places
from allaprima.evaluation.features import Features, choose, chunks, of_pictures
from allaprima.evaluation.nearest import PIXEL_SIDE, Neighbours
from allaprima.evaluation.small import shrink, small_pictures
from allaprima.evaluation.withheld import called

if TYPE_CHECKING:
    from allaprima.evaluation.judge import Judge
    from allaprima.evaluation.metrics import Figure

MOST_HELD_OUT = 10_000
MOST_SEARCHED = 60_000
NUM_FIRST = 64


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
        **wishes: Any,
    ) -> Any: ...

    def stream(
        self,
        count: int,
        seed: int = 0,
        label: Any = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        **wishes: Any,
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]: ...


@dataclass(frozen=True)
class Material:
    """Pictures and features of four kinds.

    ``real``: held-out pictures, ``real_places`` of the dataset, of the ``split`` that is measured on. ``fake``: samples;
    ``fake_labels`` are the classes asked for, int64 places in the painter's ``classes``; ``asked_places``, for a painter that
    follows texts or sounds, the held-out pictures whose own were asked for; ``first`` holds the first ones, uint8
    ``[n,H,W,C]``. ``searched``: training pictures, ``searched_places``, of which the first ``num_floor``, drawn at
    random and as many as samples, stand in for samples to give each figure its floor or ceiling.

    Features are float32 ``[·,D]``. ``real_small`` and ``fake_small`` are the pictures themselves, uint8 ``[·,C,h,w]``
    with the longer side at most 64 px, for what looks at more than features. ``figures`` and ``left_out`` (the reason by
    the metric's name) are empty until everything was measured.
    """

    run: Path
    dataset: Dataset
    painter: Painter
    features: Features
    device: Device
    split: str
    seed: int
    real: torch.Tensor
    real_places: np.ndarray
    real_small: torch.Tensor
    fake: torch.Tensor
    fake_labels: torch.Tensor
    fake_small: torch.Tensor
    first: np.ndarray
    searched: torch.Tensor
    searched_places: np.ndarray
    num_floor: int
    asked_places: np.ndarray | None = None
    figures: Sequence[Figure] = ()
    left_out: Mapping[str, UserError] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def train(self) -> torch.Tensor:
        """Features of the training pictures that give the floor: as many as samples, if there are."""
        return self.searched[: self.num_floor]

    @cached_property
    def real_labels(self) -> torch.Tensor:
        """The class of each held-out picture: int64, a place in the dataset's ``classes``, -1 unknown."""
        return torch.from_numpy(np.asarray(self.dataset.labels[self.real_places]).astype(np.int64))

    @cached_property
    def asked(self) -> torch.Tensor:
        """The class that each sample was asked to be: int64, a place in the *dataset's* ``classes``, -1 if it has none."""
        if self.asked_places is not None:
            return torch.from_numpy(np.asarray(self.dataset.labels[self.asked_places]).astype(np.int64))
        known = {name: place for place, name in enumerate(self.dataset.classes)}
        if not self.painter.classes:
            return torch.full((len(self.fake),), -1)
        return torch.tensor([known.get(name, -1) for name in self.painter.classes])[self.fake_labels]

    def wishes(self, count: int) -> torch.Tensor:
        """What the first ``count`` samples are asked to be, prepared."""
        painter: Any = self.painter
        if self.asked_places is None:
            drawn: torch.Tensor = painter.asked(count, self.seed)
            return drawn
        asked = asked_at(painter, self.dataset, self.asked_places[:count])
        assert asked is not None, "there are places"
        return asked

    @cached_property
    def judge(self) -> Judge:
        """A classifier trained on the training pictures. Raises NotMeasuredError where there are no two classes."""
        from allaprima.evaluation.judge import Judge

        return Judge.of(self.dataset, self.device)

    @cached_property
    def neighbours(self) -> Neighbours:
        """The nearest training picture of each sample and of each held-out picture, by features and pixel by pixel."""
        small = small_pictures(self.dataset, self.searched_places, PIXEL_SIDE)
        return Neighbours.of(self.fake, self.real, self.searched, self.fake_small, self.real_small, small)

    def with_results(self, **changes: Any) -> Material:
        """The same pictures with other figures, reasons or facts; what was worked out from the pictures stays known."""
        changed = replace(self, **changes)
        known = {
            name: value for name, value in vars(self).items() if name not in {field.name for field in fields(self)}
        }
        vars(changed).update(known)
        return changed

    @property
    def withheld(self) -> bool:
        """Whether a page, which is plain, may show nothing of the dataset: where that is encrypted, or the generator is."""
        folders = (self.dataset.folder, getattr(self.painter, "folder", None))
        return any(folder is not None and vault.locked_by(folder) is not None for folder in folders)

    def called(self, name: str) -> str:
        """A class's name, or where the dataset is encrypted its number."""
        return called(name, self.dataset.classes) if self.withheld else name

    def pictures(self, places: Sequence[int] | np.ndarray) -> list[Any]:
        """Stored pictures as PIL pictures."""
        return self.dataset.domain.to_pictures(self.dataset.images[np.asarray(places)])


def gather(
    run: Path,
    dataset: Dataset,
    painter: Painter,
    features: Features,
    device: Device,
    count: int,
    split: str,
    seed: int,
) -> Material:
    """Paint ``count`` samples and take all features, a part at a time. Shows progress.

    No more samples than training pictures are used: the floor, in which training pictures take their place, is then
    like with like. Slow features see as many real pictures of each kind, and no more.

    Raises UserError when the split holds fewer than 2 pictures.
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
    most = count if features.slow else MOST_HELD_OUT
    real_places = draw.permutation(choose(held_out, max(2, most), draw))
    most = count if features.slow else max(MOST_SEARCHED, count)
    searched_places = draw.permutation(choose(train, most, draw))
    with progress("looking at pictures", len(real_places) + len(searched_places) + count) as advance:
        real = of_pictures(features, dataset, real_places, advance)
        searched = of_pictures(features, dataset, searched_places, advance)
        asked = asked_places(painter, dataset, split, count, seed)
        wishes = {} if asked is None else {"asked": asked_at(painter, dataset, asked)}
        fake, labels, fake_small, first = _paint(painter, features, count, seed, wishes, advance)
    return Material(
        run=run,
        dataset=dataset,
        painter=painter,
        features=features,
        device=device,
        split=split,
        seed=seed,
        real=real,
        real_places=real_places,
        real_small=small_pictures(dataset, real_places),
        fake=fake,
        fake_labels=labels,
        fake_small=fake_small,
        asked_places=asked,
        first=first,
        searched=searched,
        searched_places=searched_places,
        num_floor=count,
    )


def _paint(
    painter: Painter, features: Features, count: int, seed: int, wishes: dict[str, Any], advance: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]:
    """Features, labels and small pictures of all samples, and the first ones whole."""
    size = len(chunks(count, painter.domain.shape.channels * int(np.prod(painter.domain.shape.spatial)))[0])
    parts: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    small: list[torch.Tensor] = []
    first: list[np.ndarray] = []
    kept = 0
    for array, label in painter.stream(count, seed, batch_size=size, **wishes):
        samples = painter.domain.to_tensor(array)  # through uint8, as real pictures went: rounding must tell nothing
        parts.append(features.extract(samples))
        labels.append(label)
        small.append(shrink(samples))
        if kept < NUM_FIRST:
            first.append(array)
            kept += len(array)
        advance(len(array))
    return torch.cat(parts), torch.cat(labels), torch.cat(small), np.concatenate(first)[:NUM_FIRST]
