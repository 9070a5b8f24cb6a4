"""For live use at 256 px and more: a trunk paints 64 or 128 px, and an enlarger makes the large picture of the small one.

High resolutions are what a frame costs, and what learning costs. How edges and grain go on between the pixels of a small picture
is the same question everywhere in it, and pictures themselves answer it, without an opponent (super-resolution by a sub-pixel
convolution on the small grid: Shi et al. 2016): three convolutions know it within minutes. So an opponent can look at
small pictures for most of a run, and at large ones in the end. A bare sub-pixel convolution lays a lattice of the period of
its cells over the picture (Odena et al. 2016); so the enlarger begins as linear upsampling, and after each step its kernels go
back to equal sums, as the trunk's doublings do (``models.doubling``).
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from allaprima.core.config import Component
from allaprima.core.errors import UserError
from allaprima.domains import Shape
from allaprima.models.blocks import Activation, Normalisation, Pyramid, activation, scale_init
from allaprima.models.generators.residual import Stage

TAPS = 3  # of a kernel, to a side
GROWTH = 1.5  # of the width, from a grid to the coarser one: a doubling would make the coarse grids dear


class Config(Component):
    """``width``: channels of the trunk's last grid, half as many more on each coarser one, up to ``max_width``; 0 chooses 64,
    and 48 for a grid of 128 px. It is not the planner's to choose: it decides how quick a frame is.

    ``cell``: pixels to a side of what a cell of that grid becomes, a power of two; 0 chooses, for a grid of 64 px, of 128 px
    where pictures are larger than 256 px. ``enlarger``: channels of the enlarger's convolutions. ``depth``: residual blocks a
    grid, on grids up to ``blocks_to`` px. Others as the residual generator's.
    """

    width: int = Field(0, ge=0)
    max_width: int = Field(256, ge=8)
    cell: int = Field(0, ge=0, le=16)
    enlarger: int = Field(32, ge=4)
    depth: int = Field(1, ge=0, le=8)
    blocks_to: int = Field(16, ge=4)
    style_dim: int = Field(64, ge=0)
    activation: Activation = "leaky_relu"
    normalisation: Normalisation = "batch"

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:
        if len(shape.spatial) != 2:
            raise UserError("The live generator paints pictures alone", "take another generator, such as residual")
        return Generator(self, shape, latent_dim, condition_dim)


def cell_of(asked: int, pyramid: Pyramid) -> int:
    """Pixels of a cell to a side: as ``asked``, or chosen; at least one grid stays for the trunk."""
    side = min(pyramid.padded)
    wanted = asked or max(2, side // (64 if side <= 256 else 128))
    return min(2 ** round(math.log2(wanted)), 2**pyramid.levels)


class Enlarger(nn.Module):
    """A small picture ``[N, C, h, w]`` in [-1, 1] → ``[N, C s², h, w]``: linear upsampling, and what three convolutions add.

    It sees nothing but the small picture, so it can learn from pictures alone, beside the trunk, and before the trunk paints
    anything that would be worth it.
    """

    def __init__(self, channels: int, width: int, cell: int, act: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.act = act
        self.first = nn.Conv2d(channels, width, TAPS)
        self.second = nn.Conv2d(width, width, TAPS, padding=TAPS // 2)
        self.detail = nn.Conv2d(width, channels * cell**2, TAPS, padding=TAPS // 2)
        # where a pixel lies from its cell's centre, in cells, says how much of each neighbour linear upsampling takes
        offset = (torch.arange(cell) + 0.5) / cell - 0.5
        line = torch.stack([(-offset).clamp_min(0), 1 - offset.abs(), offset.clamp_min(0)], dim=1)  # [s, taps]
        plane = torch.einsum("ia,jb->ijab", line, line).reshape(cell**2, 1, TAPS, TAPS)
        self.plane: torch.Tensor
        self.register_buffer("plane", plane.repeat(channels, 1, 1, 1), persistent=False)
        scale_init(self.first)
        scale_init(self.second)
        nn.init.zeros_(self.detail.weight)
        nn.init.zeros_(self.detail.bias)  # type: ignore[arg-type]  # a convolution has one

    def forward(self, small: torch.Tensor) -> torch.Tensor:
        around = F.pad(small, [TAPS // 2] * 4, mode="replicate")
        upsampled = F.conv2d(around, self.plane, groups=small.shape[1])
        return upsampled + self.detail(self.act(self.second(self.act(self.first(around)))))

    def lay(self, cells: torch.Tensor) -> torch.Tensor:
        """``[N, C s², h, w]`` → ``[N, C, s h, s w]``."""
        return F.pixel_shuffle(cells, self.cell)

    @torch.no_grad()
    def constrain_(self) -> None:
        """Equal sums of the taps of a cell's pixels, and equal biases: the orthogonal projection."""
        bias = self.detail.bias
        assert bias is not None
        for values, taps in ((self.detail.weight, TAPS**2), (bias[:, None, None, None], 1)):
            places = values.view(-1, self.cell**2, *values.shape[1:])
            sums = places.sum((3, 4), keepdim=True)
            places.sub_((sums - sums.mean(1, keepdim=True)) / taps)


class Generator(nn.Module):
    """z ``[N, latent_dim]``, y ``[N, condition_dim]`` → ``[N, C, H, W]`` in [-1, 1]."""

    def __init__(self, config: Config, shape: Shape, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        self.pyramid = pyramid = Pyramid(shape.spatial)
        cell = cell_of(config.cell, pyramid)
        grids = pyramid.levels - round(math.log2(cell)) + 1
        last = config.width or (64 if min(pyramid.padded) // cell <= 64 else 48)
        widths = [min(config.max_width, 8 * round(last * GROWTH**i / 8)) for i in reversed(range(grids))]
        depths = [config.depth * (min(pyramid.base) * 2**grid <= config.blocks_to) for grid in range(grids)]
        self.first = (widths[0], *pyramid.base)
        inputs = latent_dim + condition_dim
        self.dense = nn.Linear(inputs, math.prod(self.first), bias=config.normalisation == "none")
        style, act = config.style_dim * (config.depth > 0), activation(config.activation)
        self.style = nn.Sequential(nn.Linear(inputs, style), act) if style else None
        self.stages = nn.ModuleList(
            Stage(config, 2, before, width, depth, max(1, sum(depths)))
            for before, width, depth in zip([0, *widths], widths, depths, strict=False)
        )
        self.to_small = nn.Conv2d(widths[-1], shape.channels, 1)
        self.enlarger = Enlarger(shape.channels, config.enlarger, cell, activation(config.activation))
        scale_init(self.dense)
        scale_init(self.to_small)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.lay(self.cells(z, y))

    def cells(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``[N, C s², h, w]`` in [-1, 1]: the picture before its pixels are laid out, for painters that lay out bytes."""
        return self.enlarger(self.coarse(z, y)).clamp(-1, 1)

    def coarse(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``[N, C, h, w]`` in (-1, 1): a pixel for each cell, not cropped. ``net(z, y)`` begins as its linear upsampling."""
        return torch.tanh(self.to_small(self._last_grid(z, y)))

    def enlarged(self, small: torch.Tensor) -> torch.Tensor:
        """What the enlarger makes of small pictures ``[N, C, h, w]`` in [-1, 1]: ``[N, C, H, W]``, not clamped."""
        return self.lay(self.enlarger(small))

    def _last_grid(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        zy = torch.cat([z, y], dim=1)
        style = None if self.style is None else self.style(zy)
        x = self.dense(zy).view(-1, *self.first)
        for stage in self.stages:
            x = stage(x, style)
        return x

    def lay(self, cells: torch.Tensor) -> torch.Tensor:
        """``[N, C s², h, w]`` of any type → ``[N, C, H, W]``."""
        return self.pyramid.crop(self.enlarger.lay(cells))
