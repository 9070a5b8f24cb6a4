"""The default: a narrow stem for the high resolutions, residual 3×3 blocks on small grids (after R3GAN, Huang et al. 2024).

The stem halves by means rather than by strides: the gradient of a strided convolution has a chequerboard in it, which the
generator would learn (Odena et al. 2016, "Deconvolution and checkerboard artifacts").
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.domains import Shape
from allaprima.models.blocks import (
    CONV,
    Activation,
    Normalisation,
    Pyramid,
    ResidualBlock,
    activation,
    downsample,
    scale_init,
)
from allaprima.models.discriminators._score import Score
from allaprima.models.generators.residual import outer_levels, trunk_widths


class Config(Component):
    """As the residual generator's; ``stem_levels`` halvings are done by the stem, 0 chooses.

    ``skipped_levels``: of these, the first ones, which small pictures may skip: ``grids`` then takes them too. A run can learn
    small pictures before large ones; to begin with, large ones are judged by what is seen of them when they are made small.
    """

    planned: ClassVar = ("width", "max_width")

    width: int = Field(32, ge=8)
    max_width: int = Field(256, ge=8)
    depth: int = Field(1, ge=1, le=8)
    stem_levels: int = Field(0, ge=0, le=6)
    skipped_levels: int = Field(0, ge=0, le=6)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "none"

    def build(self, shape: Shape, condition_dim: int) -> nn.Module:
        return Discriminator(self, shape, condition_dim)


class Trunk(nn.Module):
    """x ``[N, C, *spatial]`` → features ``[N, width of the coarsest grid]``: stem, blocks, one learned weighting of cells."""

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.pyramid = pyramid = Pyramid(shape.spatial)
        dims = len(shape.spatial)
        stem = outer_levels(config.stem_levels, pyramid)
        widths = trunk_widths(config.width, config.max_width, pyramid.levels - stem + 1)[::-1]
        blocks = config.depth * len(widths)
        self.stem, channels = nn.ModuleList(), shape.channels
        for i in reversed(range(stem)):
            width = max(8, widths[0] // 2**i)
            self.stem.append(CONV[dims](channels, width, 3, padding=1))
            channels = width
        self.skipped = skipped = min(config.skipped_levels, stem)
        self.entry: nn.Module | None = None
        if skipped:
            width = self.stem[skipped - 1].out_channels
            self.entry = CONV[dims](shape.channels, width, 3, padding=1)
            self.joined = CONV[dims](width, width, 1, bias=False)
        self.transitions = nn.ModuleList(
            nn.Identity() if before == after else CONV[dims](before, after, 1, bias=False)
            for before, after in zip([widths[0], *widths], widths, strict=False)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(width, dims, config.activation, config.normalisation, blocks) for _ in range(config.depth)
            )
            for width in widths
        )
        self.act = activation(config.activation)
        self.features = widths[-1]
        # One weight for each channel and cell, where R3GAN has a depthwise convolution over the last grid.
        self.basis = nn.Parameter(torch.randn(self.features, *pyramid.base) * math.prod(pyramid.base) ** -0.5)
        for layer in [*self.stem, *self.transitions]:
            if not isinstance(layer, nn.Identity):
                scale_init(layer, math.sqrt(0.52) if layer in self.transitions else 1.0)
        if self.entry is not None:
            scale_init(self.entry)
            nn.init.zeros_(self.joined.weight)  # type: ignore[arg-type]  # a convolution has it

    def layers(self) -> list[nn.Module]:
        """From the picture upwards: each convolution of the stem, each grid's blocks with the way there."""
        grids = zip(self.transitions, self.stages, strict=True)
        entry = [] if self.entry is None else [nn.ModuleList([self.entry, self.joined])]
        return [
            *self.stem[: self.skipped],
            *entry,
            *self.stem[self.skipped :],
            *(nn.ModuleList([transition, blocks]) for transition, blocks in grids),
        ]

    def small(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, *spatial]`` → ``[N, C, *padded / 2^skipped]``: the small picture of a large one."""
        x = self.pyramid.pad(x)
        for _ in range(self.skipped):
            x = downsample(x)
        return x

    def _enter(self, x: torch.Tensor) -> torch.Tensor:
        """What the skipped levels leave of large pictures, or of small ones."""
        if self.entry is None:
            return self.pyramid.pad(x)
        if x.shape[2:] != self.pyramid.spatial:
            return self.act(self.entry(x))
        fine = self.pyramid.pad(x)
        for layer in self.stem[: self.skipped]:
            fine = downsample(self.act(layer(fine)))
        return self.act(self.entry(self.small(x))) + self.joined(fine)

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What each grid's blocks leave, ``[N, width, *grid]``, finest first."""
        x, found = self._enter(x), []
        for layer in self.stem[self.skipped :]:
            x = downsample(self.act(layer(x)))
        for grid, (transition, blocks) in enumerate(zip(self.transitions, self.stages, strict=True)):
            if grid:
                x = transition(downsample(x))
            for block in blocks:  # type: ignore[attr-defined]  # a ModuleList
                x = block(x)
            found.append(x)
        return found

    def weigh(self, x: torch.Tensor) -> torch.Tensor:
        """The coarsest grid ``[N, F, *base]`` → features ``[N, F]``."""
        return (self.act(x) * self.basis.to(x.dtype)).flatten(2).sum(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weigh(self.grids(x)[-1])


class Discriminator(nn.Module):
    """x ``[N, C, *spatial]``, y ``[N, condition_dim]`` → scores ``[N]``."""

    def __init__(self, config: Config, shape: Shape, condition_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk(config, shape)
        self.score = Score(self.trunk.features, condition_dim)

    def layers(self) -> list[nn.Module]:
        """What fine-tuning may freeze, from the picture upwards."""
        return self.trunk.layers()

    def small(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, *spatial]`` → the small pictures that it judges too, ``[N, C, *grid]``."""
        return self.trunk.small(x)

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Its features of samples, as maps ``[N, F, *grid]``, finest first."""
        return self.trunk.grids(x)

    def judge(self, grids: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
        """The scores ``[N]`` of samples with these ``grids``."""
        return self.score(self.trunk.weigh(grids[-1]), y)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.judge(self.grids(x), y)
