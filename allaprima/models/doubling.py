"""Twice the size: transposed 4×4/2 convolutions that lay no pattern of their own over the picture.

Each of the 2^d places of an output cell is made by taps of its own. Where their sums differ, even a constant map comes out as a
chequerboard (Odena et al. 2016, "Deconvolution and checkerboard artifacts"), the same one everywhere, and over the stages
lattices of period 2, 4, 8. Training drives them apart: a lattice is the cheapest way to as much fine detail as real pictures
have, and a discriminator that averages its first maps sees the amount of detail sooner than its form. So the sums are kept equal:
after each step the weights go to the nearest ones of which that is true.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

SIDE = 4  # of a kernel


class _Even:
    """For a transposed convolution with stride 2: what its training calls after each step."""

    weight: torch.Tensor

    @torch.no_grad()
    def constrain_(self) -> None:
        """Equal sums of the taps of each place, for each pair of channels: the orthogonal projection."""
        weight = self.weight
        places = [
            weight[(slice(None), slice(None), *(slice(first, None, 2) for first in offsets))]
            for offsets in itertools.product((0, 1), repeat=weight.dim() - 2)
        ]
        axes = tuple(range(2, weight.dim()))
        sums = torch.stack([place.sum(axes, keepdim=True) for place in places])
        for place, surplus in zip(places, (sums - sums.mean(0)) / places[0][0, 0].numel(), strict=True):
            place.sub_(surplus)


class EvenConvTranspose1d(_Even, nn.ConvTranspose1d):
    """``[N, C, L]`` → ``[N, C', 2 L]``."""


class EvenConvTranspose2d(_Even, nn.ConvTranspose2d):
    """``[N, C, H, W]`` → ``[N, C', 2 H, 2 W]``."""


class EvenConvTranspose3d(_Even, nn.ConvTranspose3d):
    """``[N, C, D, H, W]`` → ``[N, C', 2 D, 2 H, 2 W]``."""


EVEN = {1: EvenConvTranspose1d, 2: EvenConvTranspose2d, 3: EvenConvTranspose3d}


def doubling(before: int, after: int, dims: int, bias: bool) -> nn.Module:
    """``before`` channels to ``after``; at first linear upsampling after a random 1×1 convolution."""
    layer = EVEN[dims](before, after, SIDE, stride=2, padding=1, bias=bias)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    spread = ramp
    for _ in range(dims - 1):
        spread = spread[..., None] * ramp
    mixing = torch.randn(before, after) * (2 / before) ** 0.5
    with torch.no_grad():
        layer.weight.copy_(mixing.view(before, after, *[1] * dims) * spread)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
