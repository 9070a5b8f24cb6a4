"""States in, frames out: a painter that agrees with the float32 reference, and one that keeps states apart.

A frame must depend on its own state alone, not on who else is being painted in the same moment. Kernels choose their
summation order by the batch's size, so only batch sizes whose results equal painting one at a time, bit for bit, are
used; which those are is measured.

Use: ``frames = Engine(bundle).render([state, other])``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch

from allaprima.bundle.bundle import Asked, Bundle
from allaprima.bundle.mixing import Embedded
from allaprima.core.errors import UserError
from allaprima.runtime import memory
from allaprima.runtime.engines import ENGINES, Painter
from allaprima.runtime.session import State, condition, latent

LOG = logging.getLogger(__name__)
TOLERANCE = 2 / 255  # mean absolute difference from the reference, as a share of the whole value range
CHECKED = 8  # latents


class Engine:
    """One bundle, ready to render. Not for several threads at once.

    ``difference`` is the painter's mean absolute difference from float32 over 8 latents, in [0, 1] of the value range.
    """

    def __init__(self, bundle: Bundle, name: str | None = None) -> None:
        """``name``: an engine's; None takes what ``allaprima doctor`` found the quickest here, else PyTorch.

        Raises UserError for an unknown engine, or when it cannot paint this bundle rightly.
        """
        self.bundle = bundle
        self.painter, self.difference = _usual(bundle) if name is None else _choose(bundle, name)

    @cached_property
    def batch_sizes(self) -> list[int]:
        """The exact ones, largest first, always with 1. Measured when two states first meet: one client never waits."""
        return _exact_sizes(self.painter, *probe(self.bundle, self.bundle.chunk))

    def render(self, states: Sequence[State]) -> np.ndarray:
        """uint8 ``[N, H, W, C]``, a pure function of each state. Raises UserError for a class that is unknown."""
        shape = self.bundle.domain.shape
        if not states:
            return np.empty((0, *shape.spatial, shape.channels), np.uint8)
        z = torch.stack([latent(state, self.bundle) for state in states])
        y = torch.stack([condition(state, self.bundle) for state in states])
        if len(states) == 1:
            return self.painter(z, y)
        return np.concatenate([self.painter(z[part], y[part]) for part in _pieces(len(states), self.batch_sizes)])


class PaintedBundle(Bundle):
    """A bundle whose pictures an engine paints, so that whatever measures a bundle measures the engine."""

    def __init__(self, bundle: Bundle, painter: Painter) -> None:
        super().__init__(bundle.description, bundle.nets, bundle.folder)
        self.painter = painter

    def decode(self, latents: torch.Tensor, asked: Asked | None = None) -> torch.Tensor:
        """As a bundle's, in whole steps of 1/255."""
        if asked is None:
            asked = self.asked(len(latents))
        y = (asked if isinstance(asked, Embedded) else self.embed(asked)).y
        made = [self.painter(z, y[i : i + 1]) for i, z in enumerate(latents.split(1))]  # one alone, as live frames are
        if not made:
            return super().decode(latents, asked)
        tensor: torch.Tensor = self.domain.to_tensor(np.concatenate(made))
        return tensor


def painted_by(bundle: Bundle, name: str) -> PaintedBundle:
    """``bundle`` as the engine ``name`` paints it, however far off: that is to be measured. Raises UserError for an unknown
    engine, and without what it needs.
    """
    return PaintedBundle(bundle, next(iter(ENGINES.get(name).painters(bundle))))


def _usual(bundle: Bundle) -> tuple[Painter, float]:
    """What the doctor remembers, as long as it is still right, else the surest for the bundle's device."""
    found = memory.recall(bundle)
    if found is not None:
        try:
            return _choose(bundle, found.engine, found.painter)
        except Exception as error:
            LOG.warning("The engine that 'allaprima doctor' chose cannot be used any more: %s", error)
    return _choose(bundle, "cuda" if bundle.device.type == "cuda" else "torch")


def _choose(bundle: Bundle, name: str, painter_name: str | None = None) -> tuple[Painter, float]:
    wanted = reference(bundle)
    for painter in ENGINES.get(name).painters(bundle):
        if painter_name in (None, painter.name):
            difference = difference_of(painter, bundle, wanted)
            if difference <= TOLERANCE:
                return painter, difference
    raise UserError(
        f"The engine '{name}' paints this generator wrongly", f"choose one of: {', '.join(ENGINES.names())}"
    )


def probe(bundle: Bundle, count: int = CHECKED) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and conditions to try a painter on: float32 ``[count, latent_dim]``, ``[count, condition_dim]``."""
    states = [State(seed=seed) for seed in range(count)]
    return torch.stack([latent(s, bundle) for s in states]), torch.stack([condition(s, bundle) for s in states])


@torch.inference_mode()
def reference(bundle: Bundle, count: int = CHECKED) -> np.ndarray:
    """What the bundle's own float32 nets make of ``probe``: uint8 ``[count, *spatial, C]``."""
    z, y = probe(bundle, count)
    array: np.ndarray = bundle.domain.to_array(bundle.generator(z.to(bundle.device), y.to(bundle.device)))
    return array


def difference_of(painter: Painter, bundle: Bundle, wanted: np.ndarray) -> float:
    """The mean absolute difference from ``wanted``, of ``reference``, in [0, 1] of the value range."""
    made = painter(*probe(bundle, len(wanted)))
    return float(np.abs(made.astype(np.float32) - wanted).mean()) / 255


def _exact_sizes(painter: Painter, z: torch.Tensor, y: torch.Tensor) -> list[int]:
    single = np.concatenate([painter(z[i : i + 1], y[i : i + 1]) for i in range(len(z))])
    sizes = [1]
    while 2 * sizes[0] <= len(z):
        size = 2 * sizes[0]
        batched = np.concatenate([painter(a, b) for a, b in zip(z.split(size), y.split(size), strict=True)])
        if not np.array_equal(batched, single):
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
