"""A moving average of weights whose half-life is a share of the images seen (power-function averages, Karras et al. 2024).

So the start is soon forgotten, and the longer a run, the more is averaged. A GAN's two nets circle each other: what each step of
the circle leaves in all pictures alike, a weave above all, is gone from the mean of a whole turn.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Averages of several nets, kept as nets in evaluation mode."""

    def __init__(self, nets: dict[str, nn.Module]) -> None:
        self.nets = {name: copy.deepcopy(net).eval().requires_grad_(False) for name, net in nets.items()}

    @torch.no_grad()
    def update(self, nets: dict[str, nn.Module], batch_size: int, num_images_seen: int, share: float) -> None:
        """The half-life is ``share`` of ``num_images_seen``; buffers (running statistics) are averages already and are copied."""
        half_life = max(share * num_images_seen, 1e-9)
        weight = 1 - 0.5 ** (batch_size / half_life)
        for name, net in nets.items():
            averaged = self.nets[name]
            parameters = [parameter.detach() for parameter in net.parameters()]
            if parameters:  # a condition may have none
                torch._foreach_lerp_(list(averaged.parameters()), parameters, weight)
            buffers = list(net.buffers())
            if buffers:
                torch._foreach_copy_(list(averaged.buffers()), buffers)
