"""Judges what a published network sees rather than pixels (Projected GANs, Sauer et al. 2021): converges in fewer images.

Frozen features at four depths, mixed by fixed random convolutions across channels and scales (section 3.2), a small head for
each. It is not the default: the figures of such GANs rise faster than their pictures please people (Stein et al. 2023), and a
distance measured on the same features is flattered.

Use: ``--set method.discriminator=projected --set method.discriminator.features=dinov2 --set method.discriminator.weights=FILE``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from allaprima.core.config import Component, named
from allaprima.core.seeds import torch_stream
from allaprima.domains import Shape
from allaprima.models.blocks import LEAK
from allaprima.models.discriminators._score import Score
from allaprima.models.pretrained import PRETRAINED, Weights, Words
from allaprima.models.pretrained._frozen import Frozen

WORDS = Words(
    download="--set method.discriminator.download=true",
    file="--set method.discriminator.weights=FILE",
    instead="or leave out --set method.discriminator=projected",
)
LAST_SIDE = 4  # heads halve down to this


class Config(Component):
    """``features`` names the network; ``weights`` its file, else a cache of this machine; ``download`` may fetch it.

    ``size``: pixels of the square that the network sees, 0 as it was published; smaller is faster. ``mixed``: channels that
    the random mixing leaves of each depth; ``width``: channels of the heads.
    """

    # Spectral normalisation keeps the heads smooth; a penalty on pixels would cost a second pass back through the network.
    PENALTY: ClassVar[str] = "none"
    REDRAWS: ClassVar[bool] = False  # what it keeps of a picture is fixed: to redraw it would teach it nothing

    features: Annotated[str, named(PRETRAINED)] = "inception"
    weights: Path | None = None
    download: bool = False
    size: int = Field(0, ge=0, le=1024)
    mixed: int = Field(64, ge=4)
    width: int = Field(64, ge=4)

    def build(self, shape: Shape, condition_dim: int) -> nn.Module:
        return Discriminator(self, shape, condition_dim)


class Discriminator(nn.Module):
    """x ``[N, C, H, W]``, y ``[N, condition_dim]`` → scores ``[N]``: the mean of the four heads'."""

    def __init__(self, config: Config, shape: Shape, condition_dim: int) -> None:
        super().__init__()
        self.frozen = Frozen(config.features, shape, Weights(config.weights, config.download, WORDS), config.size)
        for depth, width in enumerate(self.frozen.widths()):
            # fixed, so drawn anew from a named stream rather than kept in every checkpoint
            for kind, shape_of in (
                ("channels", (config.mixed, width, 1, 1)),
                ("scales", (config.mixed, config.mixed, 3, 3)),
            ):
                weight = torch.empty(shape_of)
                nn.init.kaiming_normal_(weight, LEAK, generator=torch_stream(0, f"projection/{kind}", depth))
                self.register_buffer(f"{kind}{depth}", weight, persistent=False)
        self.heads = nn.ModuleList(Head(config, condition_dim) for _ in self.frozen.widths())

    def layers(self) -> list[nn.Module]:
        """Nothing is left to freeze."""
        return []

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The mixed features ``[N, mixed, h, w]``, shallow to deep: channels first, then each scale with the deeper ones."""
        mixed: list[torch.Tensor] = []
        for depth, grid in reversed(list(enumerate(self.frozen(x)))):
            h = F.conv2d(grid, self.get_buffer(f"channels{depth}"))
            if mixed:
                h = h + F.interpolate(mixed[0], h.shape[2:], mode="bilinear")
            mixed.insert(0, F.conv2d(h, self.get_buffer(f"scales{depth}"), padding=1))
        return mixed

    def judge(self, grids: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
        """The scores of samples with these ``grids``."""
        return torch.stack([head(grid, y) for head, grid in zip(self.heads, grids, strict=True)]).mean(0)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.judge(self.grids(x), y)


class Head(nn.Module):
    """Halving convolutions with spectral normalisation (Miyato et al. 2018) down to about 4 cells, then a score of their mean.

    One convolution serves every halving but the first, so that the same head fits any grid.
    """

    def __init__(self, config: Config, condition_dim: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(config.mixed, config.width, 4, 2, 1))
        self.again = spectral_norm(nn.Conv2d(config.width, config.width, 3, 1, 1))
        self.score = Score(config.width, condition_dim)

    def forward(self, grid: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = self.first(grid if min(grid.shape[2:]) > 1 else F.interpolate(grid, scale_factor=2))
        h = self.again(F.leaky_relu(h, LEAK))
        while min(h.shape[2:]) > LAST_SIDE:
            h = F.avg_pool2d(h, 2)
            h = self.again(F.leaky_relu(h, LEAK))
        return self.score(F.leaky_relu(h, LEAK).mean((2, 3)).float(), y)
