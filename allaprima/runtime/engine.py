"""States in, frames out: the quickest painter that agrees with the float32 reference, and one that keeps states apart.

A frame must depend on its own state alone, not on who else is being painted in the same moment. Kernels choose their
summation order by the batch's size, so only batch sizes whose results equal painting one at a time, bit for bit, are
used; which those are is measured.

Use: ``frames = Engine(bundle).render([state, other])``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.runtime.engines import ENGINES
from allaprima.runtime.session import State, condition, latent

TOLERANCE = 2 / 255  # mean absolute difference from the reference, as a share of the whole value range
CHECKED = 8  # latents


class Painter(Protocol):
    """What an engine's file makes: see ``runtime/engines``."""

    name: str

    def __call__(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor: ...


class Engine:
    """One bundle, ready to render. Not for several threads at once.

    ``difference`` is the painter's mean absolute difference from float32 over 8 latents, in [0, 1] of the value range.
    """

    def __init__(self, bundle: Bundle, name: str = "torch") -> None:
        """Raises UserError for an unknown engine, or when it cannot paint this bundle rightly."""
        self.bundle = bundle
        self.painter, self.difference = _choose(bundle, name)

    @cached_property
    def batch_sizes(self) -> list[int]:
        """The exact ones, largest first, always with 1. Measured when two states first meet: one client never waits."""
        return _exact_sizes(self.painter, *_probe(self.bundle, self.bundle.chunk))

    def render(self, states: Sequence[State]) -> np.ndarray:
        """uint8 ``[N, H, W, C]``, a pure function of each state. Raises UserError for a class that is unknown."""
        shape = self.bundle.domain.shape
        if not states:
            return np.empty((0, *shape.spatial, shape.channels), np.uint8)
        z = torch.stack([latent(state, self.bundle) for state in states])
        y = torch.stack([condition(state, self.bundle) for state in states])
        sizes = self.batch_sizes if len(states) > 1 else [1]
        parts = [self.painter(z[piece], y[piece]) for piece in _pieces(len(states), sizes)]
        array: np.ndarray = self.bundle.domain.to_array(torch.cat(parts))
        return array


def _choose(bundle: Bundle, name: str) -> tuple[Painter, float]:
    z, y = _probe(bundle, CHECKED)
    with torch.inference_mode():
        wanted = bundle.generator(z.to(bundle.device), y.to(bundle.device)).float().clamp(-1, 1).cpu()
    for painter in ENGINES.get(name).painters(bundle):
        difference = float((painter(z, y).clamp(-1, 1) - wanted).abs().mean()) / 2  # [-1, 1] spans 2
        if difference <= TOLERANCE:
            return painter, difference
    raise UserError(
        f"The engine '{name}' paints this generator wrongly", f"choose one of: {', '.join(ENGINES.names())}"
    )


def _probe(bundle: Bundle, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and conditions to try a painter on."""
    states = [State(seed=seed) for seed in range(count)]
    return torch.stack([latent(s, bundle) for s in states]), torch.stack([condition(s, bundle) for s in states])


def _exact_sizes(painter: Painter, z: torch.Tensor, y: torch.Tensor) -> list[int]:
    single = torch.cat([painter(z[i : i + 1], y[i : i + 1]) for i in range(len(z))])
    sizes = [1]
    while 2 * sizes[0] <= len(z):
        size = 2 * sizes[0]
        batched = torch.cat([painter(a, b) for a, b in zip(z.split(size), y.split(size), strict=True)])
        if not torch.equal(batched, single):
            break
        sizes.insert(0, size)
    return sizes


def _pieces(count: int, sizes: Sequence[int]) -> Iterator[slice]:
    """``count`` as slices of the given sizes, the largest first."""
    start = 0
    for size in sizes:
        while count - start >= size:
            yield slice(start, start + size)
            start += size
