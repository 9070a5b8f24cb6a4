"""A published net that looks on and teaches: frozen, differentiable in what it sees, and no part of any checkpoint.

Use: ``maps = Frozen("clip", shape, Weights(file=path))(samples)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from allaprima.core.errors import UserError
from allaprima.domains import Shape
from allaprima.models.pretrained import PRETRAINED, Weights


class Frozen(nn.Module):
    """Samples ``[N, 1|3|4, H, W]`` in [-1, 1] (RGBA premultiplied) → maps ``[N, F, h, w]``, shallow to deep.

    It moves with ``to`` as any module does, but has no parameters and no state: what never changes need not be saved with
    every checkpoint, nor averaged or descended. ``size`` is the square that it sees, 0 as published. Raises UserError when
    the weights cannot be had or samples are no pictures.
    """

    def __init__(self, name: str, shape: Shape, weights: Weights, size: int = 0) -> None:
        super().__init__()
        entry: Any = PRETRAINED.get(name)
        if len(shape.spatial) != 2 or shape.channels not in (1, 3, 4):
            raise UserError(
                f"The network '{name}' sees grey, RGB and RGBA pictures, not {shape.channels} channels of "
                f"{' × '.join(map(str, shape.spatial))}",
                f"leave out what names '{name}'",
            )
        self.size = size or entry.SIDE
        if size and (size < entry.SMALLEST or size % entry.MULTIPLE):
            many = f"a multiple of {entry.MULTIPLE}" if entry.MULTIPLE > 1 else "a size"
            raise UserError(
                f"The network '{name}' cannot see pictures of {size} px",
                f"give {many} from {entry.SMALLEST} px, or 0 for the {entry.SIDE} px that it was published with",
            )
        self._hidden = (_loaded(name, weights, self.size),)  # in a tuple, where torch does not look for modules
        with torch.device("cpu"):
            self._colours = tuple(torch.tensor(values).view(1, 3, 1, 1) for values in (entry.MEAN, entry.STD))

    def forward(self, samples: torch.Tensor) -> list[torch.Tensor]:
        mean, std = self._colours
        seen = F.interpolate(to_rgb(samples), (self.size, self.size), mode="bilinear", antialias=True)
        # The fused attention kernels have no second derivative, which a gradient penalty asks for.
        with sdpa_kernel(SDPBackend.MATH):
            found = self._hidden[0].grids((seen - mean) / std)
        return [grid.float() for grid in found]

    def widths(self) -> list[int]:
        """The number of channels of every map."""
        with torch.no_grad():
            samples = torch.zeros(1, 3, self.size, self.size, device=self._colours[0].device)
            return [grid.shape[1] for grid in self(samples)]

    def _apply(self, move: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Frozen:
        """What ``to`` and its kin go through: the hidden net goes along."""
        super()._apply(move, recurse)
        for net in self._hidden:
            net._apply(move)
        self._colours = tuple(move(colour) for colour in self._colours)
        return self


@lru_cache(maxsize=2)
def _loaded(name: str, weights: Weights, size: int) -> Any:
    """A run builds its nets several times; what never moves may be shared between them."""
    net: Any = PRETRAINED.get(name).load(weights, size)
    return net.eval().requires_grad_(False)


def to_rgb(samples: torch.Tensor) -> torch.Tensor:
    """``[N, 1|3|4, H, W]`` in [-1, 1] → RGB ``[N, 3, H, W]`` about [0, 1], differentiable.

    Grey is repeated, what is transparent shows white paper; nothing is clamped or rounded, so that every value has a gradient.
    """
    unit = samples.float().add(1).div(2)
    if unit.shape[1] == 4:
        unit = unit[:, :3] + 1 - unit[:, 3:]
    return unit.expand(-1, 3, -1, -1)
