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

    def layers(self) -> list[nn.Module]:
        """What fine-tuning may freeze, from the picture upwards: each convolution with its normalisation and activation."""
        return [self.strided[start : start + 3] for start in range(0, len(self.strided), 3)]

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Its features of samples, as maps ``[N, F, *grid]``, finest first."""
        x = self.pyramid.pad(x)
        return [x := layer(x) for layer in [*self.layers(), self.last]]

    def judge(self, grids: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
        """The scores ``[N]`` of samples with these ``grids``."""
        return self.score(grids[-1].flatten(1), y)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.judge(self.grids(x), y)
