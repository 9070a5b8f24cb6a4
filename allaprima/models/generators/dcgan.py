"""The classic: dense → 4×4 → transposed convolutions → tanh (DCGAN, Radford, Metz, Chintala 2016), as the article has it.

At 64 px and width 64 that is dense → 4×4×512 → BN → LeakyReLU → 4×4/2 (256, 128, 64), BN and LeakyReLU each → 4×4/2 → tanh.
"""

from __future__ import annotations

import itertools

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.domains import Shape
from allaprima.models.blocks import CONV_TRANSPOSE, Activation, Normalisation, Pyramid, activation, normalisation


class Config(Component):
    """``width``: channels before the last convolution; they double towards the 4×4 grid, up to ``max_width``."""

    width: int = Field(64, ge=4)
    max_width: int = Field(512, ge=4)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "batch"

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:
        return Generator(self, shape, latent_dim, condition_dim)


class Generator(nn.Module):
    """z ``[N, latent_dim]``, y ``[N, condition_dim]`` → ``[N, C, *spatial]`` in (-1, 1)."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(shape.spatial)
        dims = len(shape.spatial)
        widths = [min(config.max_width, config.width * 2**i) for i in reversed(range(self.pyramid.levels))]
        self.first = (widths[0], *self.pyramid.base)
        cells = widths[0]
        for side in self.pyramid.base:
            cells *= side
        self.dense = nn.Linear(latent_dim + condition_dim, cells, bias=config.normalisation == "none")
        layers: list[nn.Module] = [normalisation(config.normalisation, widths[0], dims), activation(config.activation)]
        for before, after in itertools.pairwise(widths):
            layers += [
                CONV_TRANSPOSE[dims](before, after, 4, stride=2, padding=1, bias=config.normalisation == "none"),
                normalisation(config.normalisation, after, dims),
                activation(config.activation),
            ]
        layers += [CONV_TRANSPOSE[dims](widths[-1], shape.channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(dcgan_init)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x = self.dense(torch.cat([z, y], dim=1)).view(-1, *self.first)
        return self.pyramid.crop(self.layers(x))


def dcgan_init(layer: nn.Module) -> None:
    """N(0, 0.02) weights, and N(1, 0.02) for the gains of normalisations (DCGAN, section 4)."""
    weight = getattr(layer, "weight", None)
    if isinstance(layer, nn.PReLU) or not isinstance(weight, torch.Tensor):
        return
    if weight.dim() > 1:
        nn.init.normal_(weight, 0.0, 0.02)
    else:
        nn.init.normal_(weight, 1.0, 0.02)
    if isinstance(getattr(layer, "bias", None), torch.Tensor):
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a tensor, see above
