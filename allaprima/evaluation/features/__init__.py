"""What a metric sees of a picture: pictures → vectors. One kind of features a file.

Each module has ``load_or_train(dataset, device, seconds=..., weights=Weights()) -> Features``. A distance means nothing
without the features that it was measured on, so a figure always carries their name; ``published_names`` says which of
our figures, on these features, is one that papers report; a module whose features have such names says them as
``PUBLISHED_NAMES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.models.pretrained import Weights as Weights

FEATURES = Catalog("feature", __name__)

# How many values of pictures are turned to float32 at once: 32 MB, so that 512 px pictures fit beside a net.
VALUES_AT_ONCE = 8 * 2**20


class Features(Protocol):
    """``name`` says what the vectors are, such as ``domain: 7 classes``; ``dim`` is their length. Of equal ``identity``
    are only the very same nets. ``slow`` ones see some ten pictures a second, so that fewer are shown to them.

    ``published_names`` maps our figure's name to the one that papers give it on these very features, such as
    ``{"Fréchet distance": "FID"}``; it is empty for features that are our own. ``published_note`` says what else the
    papers' figures ask for.
    """

    name: str
    identity: str
    slow: bool
    dim: int
    published_names: dict[str, str]
    published_note: str

    def extract(self, samples: torch.Tensor) -> torch.Tensor:
        """float ``[N,C,H,W]`` in [-1, 1] → float32 ``[N,dim]`` on the CPU; N may be 0. Not finite where a sample is not."""
        ...


def refuse_file(feature: str, weights: Weights) -> None:
    """Raises UserError when a file is named for features that have none."""
    if weights.file is not None:
        raise UserError(
            f"'{feature}' features need no weights, but --weights names '{weights.file}'",
            "leave out --weights, or choose --features inception, dinov2 or clip",
        )


def chunks(count: int, values_each: int) -> list[range]:
    """``range(count)`` in pieces of at most ``VALUES_AT_ONCE`` values, at least one picture each."""
    size = max(1, min(512, VALUES_AT_ONCE // values_each))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def of_pictures(
    features: Features, dataset: Dataset, indices: np.ndarray, advance: Callable[[int], None] = lambda count: None
) -> torch.Tensor:
    """Features of stored pictures, a part at a time: float32 ``[len(indices), dim]``. ``advance`` hears of each."""
    found = torch.empty(len(indices), features.dim)
    for piece in chunks(len(indices), int(np.prod(dataset.images.shape[1:]))):
        rows = slice(piece.start, piece.stop)
        found[rows] = features.extract(dataset.domain.to_tensor(dataset.images[indices[rows]]))
        advance(len(piece))
    return found


def choose(indices: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """At most ``most`` of ``indices``, drawn without replacement, in ascending order."""
    return indices if len(indices) <= most else np.sort(generator.choice(indices, most, replace=False))
