"""The small convolutional net behind the ``domain`` features."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from allaprima.core.device import Device


def smaller(samples: torch.Tensor, size: int) -> torch.Tensor:
    """``[N,C,H,W]`` → the same with the longer side at most ``size`` px, by averaging; smaller pictures pass."""
    height, width = samples.shape[-2:]
    ratio = size / max(height, width)
    if ratio >= 1:
        return samples
    return F.interpolate(samples, (max(1, round(height * ratio)), max(1, round(width * ratio))), mode="area")


Net = TypeVar("Net", bound=nn.Module)


def to_device(net: Net, device: Device) -> Net:
    """``net`` on ``device``, channels last: convolutions are faster so."""
    return net.to(device.torch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub omits it


class Block(nn.Module):
    """Halves the extent, then refines with a residual convolution."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width_in, width_out, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(width_out)
        self.refine = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.refine_norm = nn.BatchNorm2d(width_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.down(x)))
        return F.relu(x + self.refine_norm(self.refine(x)))


class Backbone(nn.Module):
    """``[N,C,H,W]``, 8 to 64 px a side → ``[N,dim]``: mean activations of every layer, standardised, of length √dim.

    The last layer knows what is shown; the first ones know texture, sharpness and colour, which the last is taught to
    overlook. ``mean`` and ``std`` are those of the training pictures, so that every channel weighs alike; the common
    length keeps one odd picture from outweighing all others in a kernel's cube.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, channels: int, large: bool, width: int) -> None:
        super().__init__()
        # A large picture is halved by the stem at once; a small one keeps every pixel.
        self.stem = nn.Conv2d(channels, width, 5 if large else 3, 2 if large else 1, 2 if large else 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList([Block(width, 2 * width), Block(2 * width, 4 * width), Block(4 * width, 4 * width)])
        self.last_dim, self.dim = 4 * width, 11 * width
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("std", torch.ones(self.dim))

    def layers(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Mean over places of each layer, first to last: float ``[N,·]``."""
        x = F.relu(self.norm(self.stem(x)))
        means = [x.mean((2, 3))]
        for block in self.blocks:
            x = block(x)
            means.append(x.mean((2, 3)))
        return means

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """``[N,last_dim]``: what the training works on."""
        return self.layers(x)[-1]

    def raw(self, x: torch.Tensor) -> torch.Tensor:
        """All layers side by side, not yet standardised: float32 ``[N,dim]``."""
        return torch.cat([layer.float() for layer in self.layers(x)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize((self.raw(x) - self.mean) / self.std, dim=1) * self.dim**0.5
