"""The default: the DCGAN generator's skeleton with residual 3×3 blocks on its small grids, modulated by the latent.

Transposed 4×4/2 convolutions with batch normalisation double the grid (DCGAN, Radford et al. 2016): on a budget of minutes
they learn several times faster than linear upsampling or a net without normalisation. The blocks stand on the coarse grids,
where they are cheap; each is modulated by the latent (FiLM, Perez et al. 2018).
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.domains import Shape
from allaprima.models.blocks import (
    Activation,
    Normalisation,
    Pyramid,
    ResidualBlock,
    activation,
    normalisation,
    scale_init,
)
from allaprima.models.doubling import doubling


class Config(Component):
    """``width``: channels of the finest trunk grid, doubling towards the coarse ones up to ``max_width``.

    ``depth``: residual blocks a trunk grid. ``head_levels``: the last doublings, which have no blocks; 0 chooses: one up
    to 32 px, two above. They halve the width, down to ``head_width``. ``style_dim`` 0 turns the modulation off.
    """

    planned: ClassVar = ("width", "max_width")

    width: int = Field(32, ge=8)
    max_width: int = Field(256, ge=8)
    depth: int = Field(1, ge=1, le=8)
    head_levels: int = Field(0, ge=0, le=5)
    head_width: int = Field(16, ge=4)
    style_dim: int = Field(64, ge=0)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "batch"

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:
        return Generator(self, shape, latent_dim, condition_dim)


def outer_levels(asked: int, pyramid: Pyramid) -> int:
    """How many of the pyramid's levels the head (or stem) takes; at least one grid stays for the trunk."""
    levels = asked or (1 if min(pyramid.spatial) <= 32 else 2)
    return min(levels, pyramid.levels)


def trunk_widths(width: int, max_width: int, grids: int) -> list[int]:
    """Widths from the coarsest grid to the finest."""
    return [min(max_width, width * 2**i) for i in reversed(range(grids))]


class StageSettings(Protocol):
    """What a stage reads of a generator's settings."""

    @property
    def activation(self) -> Activation: ...

    @property
    def normalisation(self) -> Normalisation: ...

    @property
    def style_dim(self) -> int: ...


class Stage(nn.Module):
    """One grid: doubled from the one before (the first is not), normalised, activated, refined by its blocks."""

    def __init__(self, config: StageSettings, dims: int, before: int, width: int, depth: int, blocks: int) -> None:
        super().__init__()
        norm, act = config.normalisation, config.activation
        self.up = doubling(before, width, dims, bias=norm == "none") if before else nn.Identity()
        self.norm, self.act = normalisation(norm, width, dims), activation(act)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, dims, act, norm, blocks, config.style_dim) for _ in range(depth)
        )

    def forward(self, x: torch.Tensor, style: torch.Tensor | None) -> torch.Tensor:
        x = self.act(self.norm(self.up(x)))
        for block in self.blocks:
            x = block(x, style)
        return x


class Generator(nn.Module):
    """z ``[N, latent_dim]``, y ``[N, condition_dim]`` → ``[N, C, *spatial]`` in (-1, 1)."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.pyramid = pyramid = Pyramid(shape.spatial)
        dims = len(shape.spatial)
        head = outer_levels(config.head_levels, pyramid)
        trunk = trunk_widths(config.width, config.max_width, pyramid.levels - head + 1)
        narrowest = min(config.head_width, trunk[-1])
        widths = [*trunk, *(max(narrowest, trunk[-1] // 2**i) for i in range(1, head))]
        self.first = (trunk[0], *pyramid.base)
        inputs = latent_dim + condition_dim
        self.dense = nn.Linear(inputs, math.prod(self.first), bias=config.normalisation == "none")
        style, act = config.style_dim, activation(config.activation)
        self.style = nn.Sequential(nn.Linear(inputs, style), act) if style else None
        self.stages = nn.ModuleList(
            Stage(config, dims, before, width, config.depth * (grid < len(trunk)), config.depth * len(trunk))
            for grid, (before, width) in enumerate(zip([0, *widths], widths, strict=False))
        )
        self.to_picture = doubling(widths[-1], shape.channels, dims, bias=True)
        scale_init(self.dense)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        zy = torch.cat([z, y], dim=1)
        style = None if self.style is None else self.style(zy)
        x = self.dense(zy).view(-1, *self.first)
        for stage in self.stages:
            x = stage(x, style)
        return self.pyramid.crop(torch.tanh(self.to_picture(x)))
