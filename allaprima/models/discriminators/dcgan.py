"""The classic: strided 4×4 convolutions, batch normalisation, LeakyReLU, one dense unit (DCGAN, Radford et al. 2016).

As the article has it: 4×4/2 (64, 128, 256), 4×4/1 (512), dense 1. The first layer has no normalisation (DCGAN, section 3).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.domains import Shape
from allaprima.models.blocks import CONV, Activation, Normalisation, Pyramid, activation, normalisation
from allaprima.models.discriminators._score import Score
from allaprima.models.generators.dcgan import dcgan_init


class Config(Component):
    """``width``: channels after the first convolution, doubling up to ``max_width``."""

    width: int = Field(64, ge=4)
    max_width: int = Field(512, ge=4)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "batch"

    def build(self, shape: Shape, condition_dim: int) -> nn.Module:
        return Discriminator(self, shape, condition_dim)


def strided_stack(config: Config, channels: int, dims: int, steps: int) -> tuple[nn.Sequential, int]:
    """4×4/2 convolutions, ``steps`` of them; the first without normalisation. Returns the layers and their width."""
    layers: list[nn.Module] = []
    for i in range(steps):
        width = min(config.max_width, config.width * 2**i)
        norm = "none" if i == 0 else config.normalisation
        layers += [
            CONV[dims](channels, width, 4, stride=2, padding=1, bias=norm == "none"),
            normalisation(norm, width, dims),
            activation(config.activation),
        ]
        channels = width
    return nn.Sequential(*layers), channels


class Discriminator(nn.Module):
    """x ``[N, C, *spatial]``, y ``[N, condition_dim]`` → scores ``[N]``."""

    def __init__(self, config: Config, shape: Shape, condition_dim: int) -> None:
        super().__init__()
        dims = len(shape.spatial)
        self.pyramid = Pyramid(shape.spatial)
        # Three halvings at 64 px leave 8×8, as in the article; smaller pictures keep a 4×4 grid.
        steps = max(1, self.pyramid.levels - 1) if self.pyramid.levels > 3 else self.pyramid.levels
        self.strided, width = strided_stack(config, shape.channels, dims, steps)
        last = min(config.max_width, 2 * width)
        self.last = nn.Sequential(
            CONV[dims](width, last, 4, stride=1, padding=1, bias=config.normalisation == "none"),
            normalisation(config.normalisation, last, dims),
            activation(config.activation),
        )
        cells = last
        for side in self.pyramid.padded:
            cells *= side // 2**steps - 1  # 4×4 with a border of 1 leaves one cell less
        self.score = Score(cells, condition_dim)
        self.apply(dcgan_init)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = self.last(self.strided(self.pyramid.pad(x)))
        return self.score(h.flatten(1), y)
