"""An exponential moving average of weights, with its half-life in images (Karras et al. 2018; ramp as in StyleGAN2-ADA)."""

from __future__ import annotations

import copy

import torch
from torch import nn

RAMP = 0.05  # early in a run the half-life is this part of the images seen, so that the start is soon forgotten


class Ema:
    """Averages of several nets, kept as nets in evaluation mode."""

    def __init__(self, nets: dict[str, nn.Module]) -> None:
        self.nets = {name: copy.deepcopy(net).eval().requires_grad_(False) for name, net in nets.items()}

    @torch.no_grad()
    def update(self, nets: dict[str, nn.Module], batch_size: int, num_images_seen: int, half_life: float) -> None:
        """``half_life`` in images; buffers (running statistics) are averages already and are copied."""
        half_life = max(min(half_life, RAMP * num_images_seen), 1e-9)
        weight = 1 - 0.5 ** (batch_size / half_life)
        for name, net in nets.items():
            averaged = self.nets[name]
            parameters = [parameter.detach() for parameter in net.parameters()]
            if parameters:  # a condition may have none
                torch._foreach_lerp_(list(averaged.parameters()), parameters, weight)
            buffers = list(net.buffers())
            if buffers:
                torch._foreach_copy_(list(averaged.buffers()), buffers)
