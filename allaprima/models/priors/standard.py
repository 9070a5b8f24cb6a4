"""N(0, I), towards which a VAE is trained (Kingma, Welling 2014): noise is the latent."""

from __future__ import annotations

import torch

from allaprima.core.config import Component
from allaprima.models.priors import Posteriors, Prior


class Config(Component):
    """Nothing to set."""

    def build(self, latent_dim: int, condition_dim: int, num_classes: int) -> Prior:
        return Standard()


class Standard(Prior):
    """The identity; there is nothing to fit."""

    def forward(self, noise: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return noise

    def fit(self, posteriors: Posteriors, seed: int) -> None:
        pass
