"""Latent to picture: ``Config.build(shape, latent_dim, condition_dim)`` → net, ``net(z, y)`` → ``[N, C, *spatial]``.

``z`` is float ``[N, latent_dim]``, ``y`` float ``[N, condition_dim]``; the result lies about [-1, 1]. A VAE's decoder is one.
"""

from typing import Protocol, runtime_checkable

import torch

from allaprima.core.catalog import Catalog

GENERATORS = Catalog("generator", __name__)


@runtime_checkable
class LaysOut(Protocol):
    """A generator whose last step only moves pixels: ``net(z, y)`` is ``lay(cells(z, y))``, for values of any type."""

    def cells(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``[N, C k, h, w]``, the k pixels of each cell of a channel."""
        ...

    def lay(self, cells: torch.Tensor) -> torch.Tensor:
        """``[N, C k, h, w]`` → ``[N, C, H, W]``."""
        ...
