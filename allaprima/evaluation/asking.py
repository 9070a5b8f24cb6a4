"""What samples are asked to be where they are measured: what pictures of the dataset show, in proportion.

A generator by class draws its classes itself; one that follows texts, sounds or attributes has never seen the held-out ones.

Use: ``places = asked_places(painter, dataset, "test", 1000, seed); asked = asked_at(painter, dataset, places)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream
from allaprima.data.conditions import Asked, check
from allaprima.data.dataset import Dataset


def follows(painter: Any) -> dict[str, Any]:
    """The painter's conditions by name, if it says what they are."""
    found: dict[str, Any] = getattr(painter, "follows", {})
    return found


def is_asked_by_picture(painter: Any) -> bool:
    """Whether the painter follows something that only pictures of the dataset can tell."""
    return bool(set(follows(painter)) - {"label"})


def asked_places(painter: Any, dataset: Dataset, split: str, count: int, seed: int) -> np.ndarray | None:
    """``count`` pictures of ``split`` whose texts and sounds are asked for: each as often as the others, in a drawn order.

    None where the painter draws its classes itself, or follows nothing.
    """
    if not is_asked_by_picture(painter):
        return None
    for name in follows(painter):
        check(dataset, name)
    places, draws = dataset.indices(split), numpy_stream(seed, f"asked/{split}")
    rounds = -(-count // len(places))
    return np.concatenate([draws.permutation(places) for _ in range(rounds)])[:count]


def asked_at(painter: Any, dataset: Dataset, places: np.ndarray | None) -> torch.Tensor | None:
    """What the pictures at ``places`` ask for, prepared for the painter; None for no places."""
    if places is None:
        return None
    return Asked(dataset, painter.description.condition).rows(places)


def repeated(wish: torch.Tensor, count: int) -> torch.Tensor:
    """One prepared wish for ``count`` pictures."""
    return wish.expand(count, *wish.shape)
