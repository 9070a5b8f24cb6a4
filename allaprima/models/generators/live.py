"""For live use at 256 px and more: a trunk up to 64 or 128 px, then one convolution and a PixelShuffle.

High resolutions are what a frame costs. A sub-pixel convolution (Shi et al. 2016) paints each cell's s × s pixels from the
trunk's last grid at once, so that only a rearrangement works at full size. Bare, it lays a lattice of period s over the picture
(Odena et al. 2016). So it begins as linear upsampling and learns what is finer slowly, and after each step its kernels go back
to equal sums, as the trunk's doublings do (``models.doubling``): a constant map stays constant, whatever was learned. Until the
trunk paints something worth it, a run can learn small pictures, a pixel for each cell (``coarse``).
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
SLOWED = (
    0.1  # the step of the details against others': Adam's is as large for a thousand noisy taps as for one that is sure
)
GROWTH = 1.5  # of the width, from a grid to the coarser one: a doubling would make the coarse grids dear


class Config(Component):
    """``width``: channels of the trunk's last grid, half as many more on each coarser one, up to ``max_width``; 0 chooses 64,
    and 48 for a grid of 128 px. It is not the planner's to choose: it decides how quick a frame is.

    ``cell``: pixels to a side of what a cell of that grid becomes, a power of two; 0 chooses, for a grid of 64 px, of 128 px
    where pictures are larger than 256 px. ``depth``: residual blocks a grid, on grids up to ``blocks_to`` px. Others as the
    residual generator's.
    """

    width: int = Field(0, ge=0)
    max_width: int = Field(256, ge=8)
    cell: int = Field(0, ge=0, le=16)
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


class SubPixel(nn.Module):
    """``[N, C, H, W]`` → ``[N, C' s², H, W]``: linear upsampling of a mixture of channels, and a 3×3 detail of each pixel's own.

    Both are one convolution's kernels. ``coarse`` is the mixture alone, a pixel for each cell.
    """

    def __init__(self, before: int, after: int, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.mixing = nn.Parameter(torch.randn(after, before) * (2 / before) ** 0.5)
        self.detail = nn.Parameter(torch.zeros(after * cell**2, before, TAPS, TAPS))
        self.bias = nn.Parameter(torch.zeros(after))
        # where a pixel lies from its cell's centre, in cells, says how much of each neighbour linear upsampling takes
        offset = (torch.arange(cell) + 0.5) / cell - 0.5
        line = torch.stack([(-offset).clamp_min(0), 1 - offset.abs(), offset.clamp_min(0)], dim=1)  # [s, taps]
        plane = torch.einsum("ia,jb->ijab", line, line).reshape(1, cell**2, 1, TAPS**2)
        self.plane: torch.Tensor
        self.register_buffer("plane", plane, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` → ``[N, C' s², H, W]``."""
        upsampling = self.mixing[:, None, :, None] * self.plane  # [C', s², C, taps]
        return F.conv2d(
            x,
            upsampling.reshape(self.detail.shape) + SLOWED * self.detail,
            self.bias.repeat_interleave(self.cell**2),
            padding=TAPS // 2,
        )

    def coarse(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` → ``[N, C', H, W]``."""
        return F.conv2d(x, self.mixing[:, :, None, None], self.bias)

    def lay(self, cells: torch.Tensor) -> torch.Tensor:
        """``[N, C' s², H, W]`` → ``[N, C', s H, s W]``."""
        return F.pixel_shuffle(cells, self.cell)

    @torch.no_grad()
    def constrain_(self) -> None:
        """Equal sums of the taps of a cell's pixels: the orthogonal projection."""
        places = self.detail.view(-1, self.cell**2, *self.detail.shape[1:])
        sums = places.sum((3, 4), keepdim=True)
        places.sub_((sums - sums.mean(1, keepdim=True)) / TAPS**2)


class Generator(nn.Module):
    """z ``[N, latent_dim]``, y ``[N, condition_dim]`` → ``[N, C, H, W]`` in (-1, 1)."""

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
        self.to_picture = SubPixel(widths[-1], shape.channels, cell)
        scale_init(self.dense)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.lay(self.cells(z, y))

    def cells(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``[N, C s², h, w]`` in (-1, 1): the picture before its pixels are laid out, for painters that lay out bytes."""
        return torch.tanh(self.to_picture(self._last_grid(z, y)))

    def coarse(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``[N, C, h, w]`` in (-1, 1): a pixel for each cell, not cropped. ``net(z, y)`` begins as its linear upsampling."""
        return torch.tanh(self.to_picture.coarse(self._last_grid(z, y)))

    def _last_grid(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        zy = torch.cat([z, y], dim=1)
        style = None if self.style is None else self.style(zy)
        x = self.dense(zy).view(-1, *self.first)
        for stage in self.stages:
            x = stage(x, style)
        return x

    def lay(self, cells: torch.Tensor) -> torch.Tensor:
        """``[N, C s², h, w]`` of any type → ``[N, C, H, W]``."""
        return self.pyramid.crop(self.to_picture.lay(cells))
