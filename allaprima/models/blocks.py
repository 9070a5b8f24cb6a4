"""Pieces that the nets share, for 1, 2 or 3 spatial dimensions. Tensors are ``[N, C, *spatial]`` throughout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

Activation = Literal["leaky_relu", "prelu", "relu", "silu"]
Normalisation = Literal["none", "batch", "instance", "group"]

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE: dict[int, type[nn.Module]] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LEAK = 0.2


def activation(name: Activation) -> nn.Module:
    """A fresh activation module."""
    # SiLU(x) > -0.28 everywhere and PReLU learns its own slope; the leak of 0.2 is DCGAN's (Radford et al. 2016).
    makers: dict[str, Callable[[], nn.Module]] = {
        "leaky_relu": lambda: nn.LeakyReLU(LEAK),
        "prelu": lambda: nn.PReLU(init=LEAK),
        "relu": nn.ReLU,
        "silu": nn.SiLU,
    }
    return makers[name]()


def normalisation(name: Normalisation, channels: int, dims: int) -> nn.Module:
    """A normalisation over ``channels``; instance is a group for each channel, group takes groups of about 16."""
    if name == "batch":
        return BATCH_NORM[dims](channels)
    if name == "instance":
        # GroupNorm rather than InstanceNorm: the same arithmetic, defined on 1×1 maps too
        return nn.GroupNorm(channels, channels)
    if name == "group":
        return nn.GroupNorm(math.gcd(channels, max(1, channels // 16)), channels)
    return nn.Identity()


@dataclass(frozen=True)
class Pyramid:
    """How a picture's size is reached from a small grid by doubling: ``padded = base × 2^levels``, then cropped.

    The shortest side of the base is 4 to 7 cells, so any size from 8 up and any proportion fits.
    """

    spatial: tuple[int, ...]

    @property
    def levels(self) -> int:
        return max(1, int(math.log2(min(self.spatial) / 4)))

    @property
    def base(self) -> tuple[int, ...]:
        return tuple(-(-side // 2**self.levels) for side in self.spatial)

    @property
    def padded(self) -> tuple[int, ...]:
        return tuple(side * 2**self.levels for side in self.base)

    def crop(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, *padded]`` → ``[N, C, *spatial]``, about the centre."""
        for axis, (have, want) in enumerate(zip(self.padded, self.spatial, strict=True), start=2):
            if have != want:
                x = x.narrow(axis, (have - want) // 2, want)
        return x

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, *spatial]`` → ``[N, C, *padded]`` by repeating the border."""
        if self.padded == self.spatial:
            return x
        margins: list[int] = []
        for have, want in zip(reversed(self.spatial), reversed(self.padded), strict=True):
            margins += [(want - have) // 2, want - have - (want - have) // 2]
        return F.pad(x, margins, mode="replicate")


def downsample(x: torch.Tensor) -> torch.Tensor:
    """Half the size, by the mean of 2^d cells."""
    pools: dict[int, Callable[..., torch.Tensor]] = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}
    return pools[x.dim()](x, 2)


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), 3×3, optionally modulated per channel by a style vector.

    The last convolution starts at zero, the first at gain ``L^(-1/4)`` for ``L`` blocks (Fixup, Zhang et al. 2019, as in
    R3GAN, Huang et al. 2024): the net starts as the identity and needs no normalisation.
    """

    def __init__(
        self, width: int, dims: int, act: Activation, norm: Normalisation, blocks: int, style_dim: int = 0
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = normalisation(norm, width, dims), normalisation(norm, width, dims)
        self.act1, self.act2 = activation(act), activation(act)
        self.conv1 = CONV[dims](width, width, 3, padding=1, bias=True)
        self.conv2 = CONV[dims](width, width, 3, padding=1, bias=False)
        self.style = nn.Linear(style_dim, 2 * width) if style_dim else None
        scale_init(self.conv1, blocks**-0.25)
        nn.init.zeros_(self.conv2.weight)  # type: ignore[arg-type]  # a convolution has it
        if self.style is not None:
            nn.init.normal_(self.style.weight, std=0.2 * style_dim**-0.5)
            nn.init.zeros_(self.style.bias)

    def forward(self, x: torch.Tensor, style: torch.Tensor | None = None) -> torch.Tensor:
        """``[N, C, *s]`` (and style ``[N, S]``) → ``[N, C, *s]``."""
        h = self.conv1(self.act1(self.norm1(x)))
        h = self.norm2(h)
        if self.style is not None and style is not None:
            # [N, 2C] → scale and shift [N, C, 1, …] (FiLM, Perez et al. 2018)
            scale, shift = (
                self.style(style).view(-1, self.style.out_features, *[1] * (x.dim() - 2)).to(h.dtype).chunk(2, dim=1)
            )
            h = torch.addcmul(shift, h, scale + 1)
        return x + self.conv2(self.act2(h))


def as_embedded(y: torch.Tensor) -> torch.Tensor:
    """``[N, E]`` → the same directions at length √E, as long as the rows of an embedding table are when it is new."""
    return F.normalize(y.float(), dim=1) * y.shape[1] ** 0.5


def scale_init(layer: nn.Module, gain: float = 1.0) -> None:
    """Kaiming-normal weights for a leaky ReLU (He et al. 2015) times ``gain``, zero bias."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, torch.Tensor)
    nn.init.kaiming_normal_(weight, a=LEAK)
    with torch.no_grad():
        weight.mul_(gain)
    if isinstance(bias, torch.Tensor):
        nn.init.zeros_(bias)
