"""Methods: what joins nets, losses and conditions into something that learns. No devices, files or printing here.

A method's file has a ``Config`` whose ``build(shape, condition)`` gives a ``Method``; its class variable ``recommended``
may say which ``lr``, ``beta1`` and the like suit it (``recommended_for(shape)`` for a shape), and ``searched`` where a search
may look for its settings (core.spans). Where those can be ``auto``, ``settled(epochs)`` gives the Config with numbers in their
place; what the number of training pictures decides, ``for_pictures(count)`` does. One that follows some conditions alone names
them in ``FOLLOWS``. One with ``PRIVATE`` sees the pictures once, in ``survey(batches)`` (training.survey), and never again; or it
names the ``SAMPLER`` that draws them and keeps a ``promise`` of how often (training.promise).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from allaprima.core.catalog import Catalog
from allaprima.data.batch import Batch

METHODS = Catalog("method", __name__)


@dataclass(frozen=True)
class Moment:
    """When a step happens: ``progress`` through the planned images in [0, 1], and the step's own random stream.

    ``epochs``: how often the whole plan shows each training picture. ``dial``: ``progress`` as a scalar on the device, where
    a step is recorded and played back; what grows with ``now`` then goes on growing, what is decided by ``progress`` stays.
    """

    progress: float
    random: torch.Generator
    epochs: float = 1.0
    dial: torch.Tensor | None = None

    @property
    def now(self) -> Any:
        """``progress`` for schedules: a float, or the scalar tensor that it is on the device."""
        return self.progress if self.dial is None else self.dial


class Method(nn.Module):
    """Nets that learn together, phase by phase. The loop calls ``step`` and knows nothing else of them."""

    phases: tuple[str, ...]
    latent_dim: int
    condition_dim: int

    @abstractmethod
    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        """Scalars by name. Their sum is what the phase's parameters descend; names in ``watched`` are only shown."""

    @abstractmethod
    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        """What the phase's optimiser moves."""

    @abstractmethod
    def exported(self) -> dict[str, nn.Module]:
        """The nets that leave training (their moving averages do): ``generator``, ``condition``, perhaps ``encoder``."""

    def replay(self, nets: dict[str, nn.Module], batch: Batch, random: torch.Generator) -> None:
        """Run ``nets``, which are like the ``exported`` ones, forward on what a step would show them.

        For nets with batch normalisation, whose statistics are measured in it.
        """
        raise NotImplementedError

    watched: frozenset[str] = frozenset()

    def taken_over_batch(self, part: int) -> list[str]:
        """What a step takes over all samples at once, in words: of a batch in parts, of ``part`` samples each, each has its
        own. Batch normalisation need not be named.
        """
        return []

    # how many steps apart the method is shown pictures of the validation split, which it must not descend on; 0 for never
    steps_between_looks = 0

    def look(self, batch: Batch, moment: Moment) -> None:
        """Such pictures; without gradients. What is learned of them must be buffers, which checkpoints hold."""
        raise NotImplementedError

    def pace(self, phase: str, moment: Moment) -> float:
        """What the learning rate of a phase is multiplied by at this moment; 0 leaves the phase out: it costs nothing."""
        return 1.0

    def course(self, moment: Moment) -> Hashable:
        """What a step's way depends on besides the phases that take part: steps with the same one are played back from one
        recording on a GPU. For whatever a step decides by ``moment.progress`` or takes from ``moment.epochs``. None: this
        method's steps are not recorded.
        """
        return None


def mean(per_sample: torch.Tensor) -> torch.Tensor:
    """The mean over samples in float32, whatever precision the nets ran in."""
    return per_sample.float().mean()


def asked_of(batch: Batch) -> torch.Tensor:
    """The batch's prepared condition, of which it has one at most; zeros int64 ``[N]`` when there is none."""
    if len(batch.conditions) > 1:
        raise ValueError(f"a batch has one condition, not {sorted(batch.conditions)}")
    for prepared in batch.conditions.values():
        return prepared
    return torch.zeros(len(batch), dtype=torch.int64, device=batch.samples.device)
