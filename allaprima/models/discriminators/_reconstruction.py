"""A picture from what a discriminator's trunk has kept of it (FastGAN, Liu et al. 2021, section 3.3).

A discriminator that must be able to say what it saw keeps more of a picture than what tells the few real ones from the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from allaprima.models.blocks import CONV, LEAK, scale_init

WIDTH = 32


class Decoder(nn.Module):
    """Maps ``[N, channels, *grid]`` → pictures ``[N, picture_channels, *(grid × 2^doublings)]`` in (-1, 1).

    Two 3×3 convolutions more than doublings: it shall be the trunk that remembers, not the decoder that guesses.
    """

    def __init__(self, channels: int, picture_channels: int, dims: int, doublings: int) -> None:
        super().__init__()
        self.first = CONV[dims](channels, WIDTH, 1)
        self.layers = nn.ModuleList(CONV[dims](WIDTH, WIDTH, 3, padding=1) for _ in range(doublings))
        self.last = CONV[dims](WIDTH, picture_channels, 3, padding=1)
        for layer in (self.first, *self.layers, self.last):
            scale_init(layer)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        h = F.leaky_relu(self.first(grid), LEAK)
        for layer in self.layers:
            h = F.leaky_relu(layer(F.interpolate(h, scale_factor=2.0)), LEAK)
        return torch.tanh(self.last(h))


def error(samples: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Mean |x - x̂| over channels and places against ``samples`` made as small as ``decoded`` by means of cells: ``[N]``."""
    small = F.interpolate(samples, decoded.shape[2:], mode="area")
    return (small - decoded.float()).abs().flatten(1).mean(1)
