"""The default: residual 3×3 blocks on small grids, a plain head of narrowing convolutions for the high resolutions.

Blocks without normalisation after R3GAN (Huang et al. 2024); the latent also modulates every block (FiLM, Perez et al. 2018).
Blocks at full size are what makes a small GAN slow, so the head has one convolution a doubling. It upsamples linearly: a
sub-pixel head leaves a chequerboard that takes a long training to fade (Odena et al. 2016).
"""

from __future__ import annotations

import itertools
import math

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
    scale_init,
    upsample,
)


class Config(Component):
    """``width``: channels of the finest trunk grid, doubling towards the coarse ones up to ``max_width``.

    ``depth``: residual blocks a grid. ``head_levels``: doublings done by the head; 0 chooses: one up to 32 px, two above.
    The head halves the width at each, down to ``head_width``. ``style_dim`` 0 turns the modulation off.
    """

    width: int = Field(64, ge=8)
    max_width: int = Field(256, ge=8)
    depth: int = Field(1, ge=1, le=8)
    head_levels: int = Field(0, ge=0, le=4)
    head_width: int = Field(16, ge=4)
    style_dim: int = Field(64, ge=0)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "none"

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:
        return Generator(self, shape, latent_dim, condition_dim)


def outer_levels(asked: int, pyramid: Pyramid) -> int:
    """How many of the pyramid's levels the head (or stem) takes; at least one grid stays for the trunk."""
    levels = asked or (1 if min(pyramid.spatial) <= 32 else 2)
    return min(levels, pyramid.levels)


def trunk_widths(width: int, max_width: int, grids: int) -> list[int]:
    """Widths from the coarsest grid to the finest."""
    return [min(max_width, width * 2**i) for i in reversed(range(grids))]


class Generator(nn.Module):
    """z ``[N, latent_dim]``, y ``[N, condition_dim]`` → ``[N, C, *spatial]``, about [-1, 1], not squashed."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.pyramid = pyramid = Pyramid(shape.spatial)
        dims = len(shape.spatial)
        head = outer_levels(config.head_levels, pyramid)
        widths = trunk_widths(config.width, config.max_width, pyramid.levels - head + 1)
        blocks = config.depth * len(widths)
        self.first = (widths[0], *pyramid.base)
        inputs = latent_dim + condition_dim
        self.dense = nn.Linear(inputs, math.prod(self.first))
        self.style = (
            nn.Sequential(nn.Linear(inputs, config.style_dim), activation(config.activation))
            if config.style_dim
            else None
        )
        self.transitions = nn.ModuleList(
            nn.Identity() if before == after else CONV[dims](before, after, 1, bias=False)
            for before, after in zip([widths[0], *widths], widths, strict=False)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(width, dims, config.activation, config.normalisation, blocks, config.style_dim)
                for _ in range(config.depth)
            )
            for width in widths
        )
        self.act = activation(config.activation)
        narrowest = min(config.head_width, widths[-1])
        head_widths = [max(narrowest, widths[-1] // 2**i) for i in range(head + 1)]
        self.head = nn.ModuleList(
            CONV[dims](before, after, 3, padding=1) for before, after in itertools.pairwise(head_widths)
        )
        self.to_picture = CONV[dims](head_widths[-1], shape.channels, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        scale_init(self.dense, math.sqrt(0.5))
        for transition in self.transitions:
            if not isinstance(transition, nn.Identity):
                scale_init(transition, math.sqrt(0.52))  # variance kept: no activation follows (1 / (2 / 1.04))
        for layer in self.head:
            scale_init(layer)
        scale_init(self.to_picture, 0.5)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        zy = torch.cat([z, y], dim=1)
        style = None if self.style is None else self.style(zy)
        x = self.dense(zy).view(-1, *self.first)
        for grid, (transition, blocks) in enumerate(zip(self.transitions, self.stages, strict=True)):
            if grid:
                x = upsample(transition(x))  # the 1×1 commutes with the upsampling and is cheaper before it
            for block in blocks:  # type: ignore[attr-defined]  # a ModuleList
                x = block(x, style)
        for layer in self.head:
            x = layer(upsample(self.act(x)))
        return self.pyramid.crop(self.to_picture(self.act(x)))
