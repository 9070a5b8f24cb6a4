"""Generative adversarial networks (Goodfellow et al. 2014): a generator, a discriminator, a loss between them.

The default is R3GAN's rule (Huang et al. 2024): relativistic loss with R1 and R2, here on a part of the batch, on small
residual nets. ``generator=dcgan discriminator=dcgan loss=non_saturating`` is the classic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component, named
from allaprima.core.errors import UserError
from allaprima.core.schedules import cosine
from allaprima.data.augment import AUGMENT, apply
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.losses.adversarial import ADVERSARIAL
from allaprima.losses.penalties import PENALTIES
from allaprima.methods import Method, Moment, label_of, mean
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.generators import GENERATORS


class Config(Component):
    """``penalty`` and ``penalty_weight`` (γ) ``auto`` take what belongs to the loss; γ falls to ``penalty_end`` of itself.

    ``penalty_share``: the part of the batch that the penalty is computed on; γ needs no change, the mean stays unbiased.
    ``augment``: what DiffAugment does to real and generated samples alike. Its probability rises to
    ``augment_probability`` over the first half of the run; ``auto`` takes more the oftener the run shows each picture, for
    that is what a discriminator learns by heart.
    """

    # β1 = 0 as in R3GAN: momentum lags behind an opponent that moves
    recommended: ClassVar[dict[str, float]] = {"lr": 1e-3, "beta1": 0.0, "beta2": 0.99}

    generator: Annotated[Any, Choice(GENERATORS)] = "residual"
    discriminator: Annotated[Any, Choice(DISCRIMINATORS)] = "residual"
    latent_dim: int = Field(64, ge=1)
    condition_dim: int = Field(32, ge=1)
    loss: Annotated[str, named(ADVERSARIAL)] = "relativistic"
    penalty: Literal["auto"] | Annotated[str, named(PENALTIES)] = "auto"
    penalty_weight: float | Literal["auto"] = "auto"
    penalty_end: float = Field(0.1, ge=0)
    penalty_share: float = Field(0.25, gt=0, le=1)
    augment: list[Annotated[str, named(AUGMENT)]] = ["colour", "translation", "cutout"]
    augment_probability: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"

    def build(self, shape: Shape, condition: Component) -> Gan:
        return Gan(self, shape, condition)


class Gan(Method):
    """Two phases a step, discriminator first."""

    phases = ("discriminator", "generator")
    watched = frozenset({"gap"})

    def __init__(self, config: Config, shape: Shape, condition: Any) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.condition_dim = condition.width(config.condition_dim)
        self.generator = config.generator.build(shape, self.latent_dim, self.condition_dim)
        self.condition = condition.build(self.condition_dim)
        self.discriminator = config.discriminator.build(shape, self.condition_dim)
        self.discriminator_condition = condition.build(self.condition_dim)
        self.loss = ADVERSARIAL.get(config.loss)
        self.penalty = PENALTIES.get(self.loss.PENALTY if config.penalty == "auto" else config.penalty)
        self.gamma = self.penalty.WEIGHT if config.penalty_weight == "auto" else config.penalty_weight
        if self.gamma and getattr(config.discriminator, "normalisation", "none") == "batch":
            raise UserError(
                "A gradient penalty does not fit a discriminator with batch normalisation: its samples are not independent",
                "add --set method.discriminator.normalisation=group (or none), or --set method.penalty=none",
            )

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        nets = {
            "discriminator": (self.discriminator, self.discriminator_condition),
            "generator": (self.generator, self.condition),
        }[phase]
        return [parameter for net in nets for parameter in net.parameters()]

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition}

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        return {"discriminator": self._discriminator, "generator": self._generator}[phase](batch, moment)

    def _fake(self, batch: Batch, label: torch.Tensor, moment: Moment) -> torch.Tensor:
        z = torch.randn(len(batch), self.latent_dim, generator=moment.random, device=batch.samples.device)
        return self.generator(z, self.condition(label)).float()

    def _augment(self, samples: torch.Tensor, moment: Moment) -> torch.Tensor:
        asked = self.config.augment_probability
        final = automatic_probability(moment.epochs) if asked == "auto" else asked
        return apply(self.config.augment, samples, cosine(0.0, final, 2 * moment.progress), moment.random)

    def _discriminator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        label = label_of(batch)
        with torch.no_grad():
            fake = self._fake(batch, label, moment)
        real, fake = self._augment(batch.samples, moment), self._augment(fake, moment)
        y = self.discriminator_condition(label)
        real_score, fake_score = self.discriminator(real, y), self.discriminator(fake, y)
        losses = {"discriminator": mean(self.loss.discriminator(real_score.float(), fake_score.float()))}
        if self.gamma:
            few = max(1, round(len(batch) * self.config.penalty_share))
            y = self.discriminator_condition(label[:few])
            mix = torch.rand(few, generator=moment.random, device=real.device)
            energy = self.penalty.penalty(lambda x: self.discriminator(x, y), real[:few], fake[:few], mix)
            losses["penalty"] = self._gamma_now(moment) * mean(energy)
        losses["gap"] = (real_score.float() - fake_score.float()).detach().mean()
        return losses

    def _gamma_now(self, moment: Moment) -> float:
        """γ falls by a cosine, as in R3GAN, which lowers it with the learning rate."""
        return cosine(self.gamma, self.gamma * self.config.penalty_end, moment.progress)

    def _generator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        label = label_of(batch)
        y = self.discriminator_condition(label).detach()
        fake_score = self.discriminator(self._augment(self._fake(batch, label, moment), moment), y)
        real_score = fake_score
        if getattr(self.loss, "GENERATOR_SEES_REAL", False):
            with torch.no_grad():
                real_score = self.discriminator(self._augment(batch.samples, moment), y)
        return {"generator": mean(self.loss.generator(real_score.float(), fake_score.float()))}


def automatic_probability(epochs: float) -> float:
    """DiffAugment's final probability: none up to 20 epochs, .15 more with every doubling, at most a half.

    It costs quality where data are plenty and saves small sets from being learned by heart (Zhao et al. 2020, table 3).
    """
    return min(0.5, 0.15 * max(0.0, math.log2(max(epochs, 1e-9) / 20)))
