"""Inception-v3 as TensorFlow's graph of 5 December 2015 has it, up to the pooled features: the net of the FID.

Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", figures 5 to 7 and table 1. The graph
differs from the paper and from later copies in its pools: averages leave the padding out, and the last block takes the
maximum. Names and shapes are those of the published checkpoint, whose batch norms are folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-3  # of every batch norm
LAST_OF_GRID = ("Mixed_5d", "Mixed_6e", "Mixed_7c")


class Step(NamedTuple):
    """A convolution of a block: name in the checkpoint, width, kernel (height, width), stride. Stride 1 keeps the size."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Chain = tuple[Step, ...]
Fork = tuple[Step, Step]  # two convolutions of the same input, side by side

ROW3, COLUMN3, ROW7, COLUMN7, SQUARE3, SQUARE5 = (1, 3), (3, 1), (1, 7), (7, 1), (3, 3), (5, 5)


class Convolution(nn.Conv2d):
    """Convolution with its folded batch norm, then ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(super().forward(x), inplace=True)


class Block(nn.Module):
    """Chains of convolutions beside one pool; the results are joined. ``pool``: average, maximum, or halving maximum.

    ``forks`` maps a chain's number to the two convolutions that end it. ``pool_width`` 0 leaves the pool as it is.
    """

    def __init__(
        self, width_in: int, chains: list[Chain], pool: str, pool_width: int = 0, forks: dict[int, Fork] | None = None
    ) -> None:
        super().__init__()
        self.pool = pool
        self.chains: list[tuple[list[str], list[str]]] = []
        self.width = pool_width or width_in
        for number, chain in enumerate(chains):
            width = width_in
            for step in chain:
                self._add(width, step)
                width = step.width
            fork = (forks or {}).get(number, ())
            for step in fork:
                self._add(width, step)
            self.width += sum(step.width for step in fork) or width
            self.chains.append(([step.name for step in chain], [step.name for step in fork]))
        if pool_width:
            self._add(width_in, Step("branch_pool", pool_width))

    def _add(self, width_in: int, step: Step) -> None:
        padding = (0, 0) if step.stride > 1 else (step.kernel[0] // 2, step.kernel[1] // 2)
        self.add_module(step.name, Convolution(width_in, step.width, step.kernel, step.stride, padding))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for chain, fork in self.chains:
            y = x
            for name in chain:
                y = self.get_submodule(name)(y)
            found += [self.get_submodule(name)(y) for name in fork] or [y]
        if self.pool == "average":
            pooled = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        elif self.pool == "maximum":
            pooled = F.max_pool2d(x, 3, 1, 1)
        else:
            pooled = F.max_pool2d(x, 3, 2)
        if hasattr(self, "branch_pool"):
            pooled = self.get_submodule("branch_pool")(pooled)
        return torch.cat([*found, pooled], dim=1)


def _a(width_in: int, pool_width: int) -> Block:
    """35 px: 1×1, 5×5 and two 3×3 (figure 5)."""
    chains = [
        (Step("branch1x1", 64),),
        (Step("branch5x5_1", 48), Step("branch5x5_2", 64, SQUARE5)),
        (
            Step("branch3x3dbl_1", 64),
            Step("branch3x3dbl_2", 96, SQUARE3),
            Step("branch3x3dbl_3", 96, SQUARE3),
        ),
    ]
    return Block(width_in, chains, "average", pool_width)


def _b(width_in: int) -> Block:
    """35 → 17 px."""
    double = (
        Step("branch3x3dbl_1", 64),
        Step("branch3x3dbl_2", 96, SQUARE3),
        Step("branch3x3dbl_3", 96, SQUARE3, 2),
    )
    return Block(width_in, [(Step("branch3x3", 384, SQUARE3, 2),), double], "halving")


def _c(width_in: int, inner: int) -> Block:
    """17 px: 7×7 taken apart into rows and columns (figure 6)."""
    single = (Step("branch7x7_1", inner), Step("branch7x7_2", inner, ROW7), Step("branch7x7_3", 192, COLUMN7))
    double = (
        Step("branch7x7dbl_1", inner),
        Step("branch7x7dbl_2", inner, COLUMN7),
        Step("branch7x7dbl_3", inner, ROW7),
        Step("branch7x7dbl_4", inner, COLUMN7),
        Step("branch7x7dbl_5", 192, ROW7),
    )
    return Block(width_in, [(Step("branch1x1", 192),), single, double], "average", 192)


def _d(width_in: int) -> Block:
    """17 → 8 px."""
    small = (Step("branch3x3_1", 192), Step("branch3x3_2", 320, SQUARE3, 2))
    large = (
        Step("branch7x7x3_1", 192),
        Step("branch7x7x3_2", 192, ROW7),
        Step("branch7x7x3_3", 192, COLUMN7),
        Step("branch7x7x3_4", 192, SQUARE3, 2),
    )
    return Block(width_in, [small, large], "halving")


def _e(width_in: int, pool: str) -> Block:
    """8 px: chains that end in a row and a column (figure 7)."""
    chains = [
        (Step("branch1x1", 320),),
        (Step("branch3x3_1", 384),),
        (Step("branch3x3dbl_1", 448), Step("branch3x3dbl_2", 384, SQUARE3)),
    ]
    forks = {
        1: (Step("branch3x3_2a", 384, ROW3), Step("branch3x3_2b", 384, COLUMN3)),
        2: (Step("branch3x3dbl_3a", 384, ROW3), Step("branch3x3dbl_3b", 384, COLUMN3)),
    }
    return Block(width_in, chains, pool, 192, forks)


class Inception(nn.Module):
    """float32 ``[N,3,299,299]`` in about [-1, 1] → ``[N,2048]``."""

    dim = 2048

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = _a(192, 32)
        self.Mixed_5c = _a(256, 64)
        self.Mixed_5d = _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b = _c(768, 128)
        self.Mixed_6c = _c(768, 160)
        self.Mixed_6d = _c(768, 160)
        self.Mixed_6e = _c(768, 192)
        self.Mixed_7a = _d(768)
        self.Mixed_7b = _e(1280, "average")
        self.Mixed_7c = _e(2048, "maximum")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.grids(x)[-1].mean((2, 3))

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """``[N,3,299,299]`` → maps of 64, 288, 768 and 2048 channels on 73, 35, 17 and 8 px; other sizes from 75 px up fit."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        found = [x := F.max_pool2d(x, 3, 2)]
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):  # in the order in which they were made
                x = block(x)
                if name in LAST_OF_GRID:
                    found.append(x)
        return found


def folded(published: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """The checkpoint's convolutions with their batch norms: γ·(w∗x − μ)/√(σ² + ε) + β is one convolution with a bias.

    The classifier behind the features is left out. Raises KeyError when a tensor is missing.
    """
    for key, weight in published.items():
        if not key.endswith(".conv.weight"):
            continue
        layer = key.removesuffix(".conv.weight")
        gamma, beta, mean, variance = (
            published[f"{layer}.bn.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma * (variance + EPSILON).rsqrt()
        yield f"{layer}.weight", (weight.double() * scale.view(-1, 1, 1, 1)).float()
        yield f"{layer}.bias", (beta - mean * scale).float()
