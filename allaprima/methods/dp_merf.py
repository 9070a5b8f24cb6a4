"""Private generators from one noisy release (DP-MERF, Harder, Adamczewski, Park 2021): minutes on a CPU.

What is told of the pictures is one vector: for each class the mean of random Fourier features of its pictures (Rahimi, Recht
2007) and its share, with Gaussian noise once, before the first step. The generator then learns to have the same mean features,
the maximum mean discrepancy of a Gaussian kernel; whatever it does later can tell no more than that vector does.

One picture replaced by another changes the vector by 2/m at most, m pictures in all: features have length 1, so a picture of the
same class moves its column by 2/m; one of another class moves two columns by 1/m each, and two shares by 1/m each.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component
from allaprima.core.errors import UserError
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.methods import Method, Moment, asked_of
from allaprima.methods._gaussian import noise_for
from allaprima.models.generators import GENERATORS

SENSITIVITY = 2.0  # of the sum, one picture replaced by another


class Config(Component):
    """``epsilon`` and ``delta``: how little one training picture may change what is released (Dwork, Roth 2014).

    ``frequencies``: random ones; features are twice as many. ``bandwidth``: the kernel's σ² over the number of values of a
    picture in [-1, 1], a constant so that it tells nothing: with .15, σ is about half the distance of two drawings.
    """

    recommended: ClassVar[dict[str, float]] = {
        "lr": 2e-3,
        "lr_end": 0.05,
        "beta1": 0.9,
        "beta2": 0.999,
        "batch_size": 500,
        "ema_half_life": 0.02,
    }
    PRIVATE: ClassVar[bool] = True  # training shows it nothing of the pictures but what ``survey`` takes
    FOLLOWS: ClassVar[frozenset[str]] = frozenset({"none", "label"})

    epsilon: float = Field(1.0, gt=0, le=100)
    delta: float = Field(1e-5, gt=0, lt=1e-2)
    frequencies: int = Field(5_000, ge=8, le=100_000)
    bandwidth: float = Field(0.15, gt=0)
    generator: Annotated[Any, Choice(GENERATORS)] = "dcgan"
    latent_dim: int = Field(16, ge=1)
    condition_dim: int = Field(16, ge=1)

    def told(self) -> dict[str, Any]:
        """For the card."""
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "mechanism": "DP-MERF, one Gaussian release",
            "unit": "one training picture with its class, replaced by another",
            "not_covered": "the number of pictures, the class names, the pictures' size; several pictures of one person;"
            " validation and test pictures, which nothing learned from; noise in floating point",
        }

    def build(self, shape: Shape, condition: Component) -> DpMerf:
        return DpMerf(self, shape, condition)


class DpMerf(Method):
    """One phase. A step paints for each class alike and looks at no picture."""

    phases = ("generator",)

    def __init__(self, config: Config, shape: Shape, condition: Any) -> None:
        super().__init__()
        if condition.component_name() not in config.FOLLOWS:
            raise UserError(
                "Privately, a generator learns pictures and their classes, nothing else that was said of them",
                "add --set condition=label, or condition=none",
            )
        self.config = config
        self.latent_dim = config.latent_dim
        self.condition_dim = condition.width(config.condition_dim)
        self.generator = config.generator.build(shape, self.latent_dim, self.condition_dim)
        self.condition = condition.build(self.condition_dim)
        self.classes = max(1, len(getattr(condition, "classes", [])))
        values = shape.channels * math.prod(shape.spatial)
        # drawn with the nets' weights, by the run's seed: everybody may know them
        scale = (config.bandwidth * values) ** -0.5
        self.frequencies: torch.Tensor
        self.register_buffer("frequencies", torch.randn(values, config.frequencies) * scale, persistent=False)
        self.target: torch.Tensor
        self.shares: torch.Tensor
        self.register_buffer("target", torch.zeros(self.classes, 2 * config.frequencies))
        self.register_buffer("shares", torch.full((self.classes,), 1 / self.classes))

    # -- the one look at the pictures -------------------------------------------------------------------------------

    @torch.no_grad()
    def survey(self, batches: Iterable[Batch]) -> None:
        """Each training picture once; what is kept is the noisy vector. The noise is nobody's to draw again."""
        sums, counts, pictures = torch.zeros_like(self.target), torch.zeros_like(self.shares), 0
        for batch in batches:
            labels = asked_of(batch)
            sums.index_add_(0, labels, self._features(batch.samples))
            counts += torch.bincount(labels, minlength=self.classes).to(counts)
            pictures += len(batch)
        noise = np.random.Generator(np.random.Philox(secrets.randbits(128)))
        sigma = SENSITIVITY * noise_for(self.config.epsilon, self.config.delta)
        for released in (sums, counts):
            released += torch.from_numpy(noise.normal(0.0, sigma, tuple(released.shape))).to(released)
        self.target.copy_(sums / pictures)
        shares = counts.clamp_min(1.0)  # known to be positive
        self.shares.copy_(shares / shares.sum())

    def class_shares(self) -> list[float]:
        """What may be told of how frequent classes are."""
        return [float(share) for share in self.shares]

    # -- learning ---------------------------------------------------------------------------------------------------

    def _features(self, samples: torch.Tensor) -> torch.Tensor:
        """``[N, C, *spatial]`` → ``[N, 2 frequencies]`` of length 1, in float32: a phase of many turns needs it."""
        with torch.autocast(samples.device.type, enabled=False):
            phases = samples.float().flatten(1) @ self.frequencies
            return torch.cat([phases.cos(), phases.sin()], 1) * self.config.frequencies**-0.5

    def _labels(self, count: int, device: torch.device) -> torch.Tensor:
        return torch.arange(count, device=device) % self.classes

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        return [*self.generator.parameters(), *self.condition.parameters()]

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition}

    def replay(self, nets: dict[str, nn.Module], batch: Batch, random: torch.Generator) -> None:
        device = batch.samples.device
        z = torch.randn(len(batch), self.latent_dim, generator=random, device=device)
        nets["generator"](z, nets["condition"](self._labels(len(batch), device)))

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        """Σ_k of the estimated ‖target_k - share_k E φ‖², without the part that does not depend on the generator."""
        count, device = max(len(batch), 2 * self.classes), batch.samples.device
        labels = self._labels(count, device)
        z = torch.randn(count, self.latent_dim, generator=moment.random, device=device)
        features = self._features(self.generator(z, self.condition(labels)))
        sums = torch.zeros_like(self.target).index_add(0, labels, features)
        many = torch.bincount(labels, minlength=self.classes).to(sums)
        # pairs of different samples alone: ‖φ‖ = 1, so n of the squared sum are of a sample with itself (Gretton et al. 2012)
        alike = (sums.square().sum(1) - many) / (many * (many - 1))
        meeting = (sums * self.target).sum(1) / many
        loss = (self.shares.square() * alike - 2 * self.shares * meeting).sum() + self.target.square().sum()
        return {"discrepancy": loss * self.classes}
