"""Random weights that never move: needs no file, knows nothing. The control for what published features are worth.

Even random convolutions tell pictures apart by texture; Sauer et al. 2021 find that they teach worse than trained ones.
"""

from __future__ import annotations

import torch
from torch import nn

from allaprima.core.seeds import torch_stream
from allaprima.models.pretrained import Weights

SIDE, SMALLEST, MULTIPLE = 64, 16, 16
MEAN, STD = (0.5,) * 3, (0.5,) * 3
FILES = ()
WIDTHS = (32, 64, 128, 256)


def load(weights: Weights, size: int = SIDE) -> Untrained:
    """The same net every time, for any ``size`` from 16 px; ``weights`` is the catalogue's and changes nothing."""
    return Untrained()


class Untrained(nn.Module):
    """Four 4×4/2 convolutions with leaky ReLUs, weights of unit gain from a named stream."""

    dim = WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 4, 2, 1, bias=False) for before, after in pairs)
        for number, layer in enumerate(self.layers):
            nn.init.kaiming_normal_(layer.weight, 0.2, generator=torch_stream(0, "untrained features", number))  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.grids(x)[-1].mean((2, 3))

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """``[N,3,H,W]`` → maps of 32, 64, 128 and 256 channels, each half as large as the one before."""
        return [x := nn.functional.leaky_relu(layer(x), 0.2) for layer in self.layers]
