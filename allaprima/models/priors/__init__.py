"""Noise to latent: ``Config.build(latent_dim, condition_dim, num_classes)`` → a ``Prior``; ``prior(noise, y)`` → latents.

A VAE is trained towards N(0, I), yet what its encoder makes of the training pictures, the aggregate posterior, is another
distribution, and its decoder knows no other. A prior that is fitted to it afterwards is the cheapest gain that a VAE's
samples have (Ghosh et al. 2020, "From variational to deterministic autoencoders", section 4). It is a map of noise, so
that a picture stays a pure function of its seed.

Use: ``prior.fit(posteriors, seed=0); latents = prior(torch.randn(16, 64), y)``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from allaprima.core.catalog import Catalog
from allaprima.core.seeds import torch_stream

PRIORS = Catalog("prior", __name__)


@dataclass(frozen=True)
class Posteriors:
    """q(z|x) of N training pictures: ``mean`` and ``deviation`` float32 ``[N, latent_dim]``, on the CPU.

    ``labels`` int64 ``[N]`` are their classes, ``embedded`` float32 ``[classes, condition_dim]`` what each class is for the
    nets; without classes zeros, and ``[1, 0]``. Of pictures that are asked for by text or sound ``each`` says what that is
    for the nets, ``[N, condition_dim]``, and there are no classes.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    labels: torch.Tensor
    embedded: torch.Tensor
    each: torch.Tensor | None = None

    def asked(self, rows: torch.Tensor) -> torch.Tensor:
        """What is asked of the pictures at ``rows``, ``[·, condition_dim]``."""
        return self.embedded[self.labels[rows]] if self.each is None else self.each[rows]

    def __len__(self) -> int:
        return len(self.mean)

    def draw(self, seed: int) -> torch.Tensor:
        """One latent of each posterior, ``[N, latent_dim]``."""
        noise = torch.randn(self.mean.shape, generator=torch_stream(seed, "prior/draw"))
        return self.mean + self.deviation * noise


class Prior(nn.Module):
    """What every prior can do. Its weights come from ``fit`` and from nowhere else."""

    @abstractmethod
    def forward(self, noise: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """From N(0, I): float ``[N, latent_dim]``, with conditions ``[N, condition_dim]`` → latents ``[N, latent_dim]``.

        Each row depends on its own noise and condition alone.
        """

    @abstractmethod
    def fit(self, posteriors: Posteriors, seed: int) -> None:
        """Become the distribution of latents drawn from ``posteriors``: the same work, and the same result, each time."""
