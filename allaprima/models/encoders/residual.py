"""The residual discriminator's trunk with two heads, mean and log variance."""

from __future__ import annotations

import torch
from torch import nn

from allaprima.domains import Shape
from allaprima.models.discriminators import residual


class Config(residual.Config):
    """As the residual discriminator's."""

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:  # type: ignore[override]  # another room
        return Encoder(self, shape, latent_dim, condition_dim)


class Encoder(nn.Module):
    """x ``[N, C, *spatial]``, y ``[N, condition_dim]`` → mean, log variance, each ``[N, latent_dim]``."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.trunk = residual.Trunk(config, shape)
        self.to_latent = nn.Linear(self.trunk.features + condition_dim, 2 * latent_dim)

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Its features of samples, as maps ``[N, F, *grid]``, finest first."""
        return self.trunk.grids(x)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.cat([self.trunk(x), y], dim=1)
        mean, log_variance = self.to_latent(h).float().chunk(2, dim=1)
        return mean, log_variance
