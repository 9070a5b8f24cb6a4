"""The article's VAE encoder: strided 4×4 convolutions with batch normalisation and LeakyReLU, then mean and log variance."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from allaprima.domains import Shape
from allaprima.models.blocks import Pyramid
from allaprima.models.discriminators import dcgan
from allaprima.models.generators.dcgan import dcgan_init


class Config(dcgan.Config):
    """``width``: channels after the first convolution, doubling down to the 4×4 grid up to ``max_width``."""

    planned: ClassVar = ("width", "max_width")

    width: int = Field(32, ge=4)
    max_width: int = Field(256, ge=4)

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:  # type: ignore[override]  # another room
        return Encoder(self, shape, latent_dim, condition_dim)


class Encoder(nn.Module):
    """x ``[N, C, *spatial]``, y ``[N, condition_dim]`` → mean, log variance, each ``[N, latent_dim]``."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(shape.spatial)
        self.strided, width = dcgan.strided_stack(config, shape.channels, len(shape.spatial), self.pyramid.levels)
        cells = width
        for side in self.pyramid.base:
            cells *= side
        self.to_latent = nn.Linear(cells + condition_dim, 2 * latent_dim)
        self.apply(dcgan_init)

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Its features of samples, as maps ``[N, F, *grid]``, finest first: after each convolution's activation."""
        x = self.pyramid.pad(x)
        found = [x := layer(x) for layer in self.strided]
        return found[2::3]

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.grids(x)[-1].flatten(1)
        mean, log_variance = self.to_latent(torch.cat([h, y], dim=1)).float().chunk(2, dim=1)
        return mean, log_variance
