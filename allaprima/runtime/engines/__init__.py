"""Ways of running a generator; one a file, found by its name.

``painters(bundle)`` yields callables ``(z [N, latent_dim], y [N, condition_dim]) → uint8 [N, *spatial, C]``, the quickest first,
each with a ``name`` to show; it raises UserError where a package is missing. ``runtime/engine.py`` takes the first that is right.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

from allaprima.core.catalog import Catalog

ENGINES = Catalog("engine", __name__)


class Painter(Protocol):
    """One net on one machine in one precision. Not for several threads at once."""

    name: str

    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray: ...


Painters = Iterator[Painter]
