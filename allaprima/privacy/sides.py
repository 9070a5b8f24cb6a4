"""Whose pictures are whose: members of the training split, others that the run did not learn from, and what they are seen by.

Use: ``sides = draw_sides(dataset, most=1000, seed=0, canaries=[])``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from allaprima.core.errors import UserError
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Features, chunks
from allaprima.evaluation.nearest import PIXEL_SIDE
from allaprima.evaluation.small import shrink

NOT_LEARNED = ("validation", "test")  # combinations kept apart are of another kind: telling them is no attack
REFERENCE_SHARE, MOST_REFERENCES = 0.25, 4_000
SLACK = 0.01  # of a split's size: classes are rounded, and duplicates stay together
FEWEST = 20  # pictures on either side, and references


@dataclass(frozen=True)
class Sides:
    """Places in the dataset, int64, in random order. ``references``: others still, to compare distances with."""

    members: np.ndarray
    others: np.ndarray
    references: np.ndarray
    canaries: np.ndarray
    training: np.ndarray  # training pictures that are neither members nor canaries
    splits: tuple[str, ...]  # that the others and references are of


@dataclass(frozen=True)
class Seen:
    """Pictures as the attacks see them: features float32 ``[N,D]``, and small ones uint8 ``[N,C,h,w]``."""

    features: torch.Tensor
    small: torch.Tensor

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | torch.Tensor) -> Seen:
        return Seen(self.features[rows], self.small[rows])

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """All of them, one after another."""
        return cls(torch.cat([part.features for part in parts]), torch.cat([part.small for part in parts]))


def draw_sides(dataset: Dataset, most: int, seed: int, canaries: Sequence[str]) -> Sides:
    """As many members as others, at most ``most``; a quarter of the held-out pictures at least are references.

    Raises UserError where there are too few of a kind, or a canary is no training picture.
    """
    draw = numpy_stream(seed, "audit/sides")
    splits = comparable_splits(dataset)
    held_out = draw.permutation(np.concatenate([dataset.indices(split) for split in splits]))
    named = _places_of(dataset, canaries)
    train = draw.permutation(np.setdiff1d(dataset.indices("train"), named))
    num_others = len(held_out) - max(FEWEST, int(REFERENCE_SHARE * len(held_out)))
    count = min(most, num_others, len(train))
    if count < FEWEST:
        raise UserError(
            f"'{dataset.folder}' has {len(train)} training and {len(held_out)} held-out pictures, too few to audit with",
            f"prepare at least {2 * FEWEST} held-out pictures, better 2,000: allaprima prepare … --validation 0.1 --test 0.1",
        )
    references = held_out[count : count + MOST_REFERENCES]
    return Sides(train[:count], held_out[:count], references, named, train[count:], splits)


def comparable_splits(dataset: Dataset) -> tuple[str, ...]:
    """Those of ``NOT_LEARNED`` that were cut from the same pictures as the training split, if they hold enough; else both.

    A split that came with the source may be of another kind: MNIST's test pictures are told from its training pictures (AUC .53)
    by whatever paints like training pictures, without any of them being learned. Its size gives it away.
    """
    test, validation, train = (len(dataset.indices(split)) for split in ("test", "validation", "train"))
    sizes = {"test": (test, train + validation + test), "validation": (validation, train + validation)}
    wanted, found = dataset.manifest.options, []
    for split in NOT_LEARNED:
        (count, rest), share = sizes[split], wanted.get(split)
        slack = 1 + len(dataset.classes) + SLACK * count
        pools = {rest, train + validation + test}
        if not isinstance(share, int | float) or any(abs(count - share * pool) <= slack for pool in pools):
            found.append(split)
    enough = sum(len(dataset.indices(split)) for split in found) >= 2 * FEWEST
    return tuple(found) if enough else NOT_LEARNED


def _places_of(dataset: Dataset, names: Sequence[str]) -> np.ndarray:
    if not names:
        return np.empty(0, np.int64)
    known = {str(record.get("name")): place for place, record in enumerate(dataset.records)}
    training, found = set(dataset.indices("train").tolist()), []
    for name in dict.fromkeys(names):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
            guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise UserError(
                f"No picture of '{dataset.folder}' is named '{name}'",
                f"{guess}names stand in '{dataset.folder / 'records.jsonl'}'",
            )
        if known[name] not in training:
            raise UserError(f"'{name}' is no training picture", "name canaries of the training split")
        found.append(known[name])
    return np.array(found, np.int64)


def see(samples: torch.Tensor, features: Features) -> Seen:
    """float ``[N,C,H,W]`` in [-1, 1] as attacks see them."""
    return Seen(features.extract(samples), shrink(samples, PIXEL_SIDE))


def see_stored(dataset: Dataset, places: np.ndarray, features: Features) -> Seen:
    """The same of stored pictures, a part at a time."""
    pieces = chunks(len(places), int(np.prod(dataset.images.shape[1:])))
    stored = (dataset.images[places[piece.start : piece.stop]] for piece in pieces)
    parts = [see(dataset.domain.to_tensor(part), features) for part in stored]
    return Seen.joined(parts) if parts else Seen(torch.empty(0, features.dim), torch.empty(0, dtype=torch.uint8))
