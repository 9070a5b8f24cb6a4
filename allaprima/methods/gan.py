"""Generative adversarial networks (Goodfellow et al. 2014): a generator, a discriminator, a loss between them.

The default is R3GAN's rule (Huang et al. 2024): relativistic loss with R1 and R2, here on a part of the batch, on small
residual nets. ``generator=dcgan discriminator=dcgan loss=non_saturating`` is the classic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component
from allaprima.core.errors import UserError
from allaprima.core.scaling import Scaling
from allaprima.core.schedules import cosine
from allaprima.core.spans import Between, OneOf, Spans, Times
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.losses.features import matching
from allaprima.losses.texture import spectrum_distance
from allaprima.losses.variety import mode_seeking
from allaprima.methods import Method, Moment, asked_of, mean
from allaprima.methods._adaptive import STEPS_BETWEEN_LOOKS
from allaprima.methods._adversary import SHOWN, Adversary
from allaprima.methods._adversary import Config as AdversaryConfig
from allaprima.methods._perceptual import Perceptual, PerceptualConfig
from allaprima.models.generators import GENERATORS

HELD_UP_TO = 32  # pixels: above, the demonstration lost half of its coverage by it
VARIED = 0.25  # of the batch


class Config(AdversaryConfig, PerceptualConfig):
    """A generator, and all that its adversary has. ``perceptual`` is the weight of feature matching (losses.features).

    ``texture``: the weight of matching the spectra of small blocks (losses.texture), which rises over the first half of the run:
    at full strength from the beginning it keeps things from taking shape. 10 takes the fine weave out of pictures of 64 px; of
    those that have not learned for long it makes no better ones, so it is off (``LOG.md``).

    ``variety``: the weight of the mode-seeking term (losses.variety), on a part of the batch.

    ``head_start``: the share of the run that the discriminator learns alone, for one that begins afresh beside a generator
    that has learned already (``--from`` a bundle).

    ``begin_small``: the share of the run in which pictures are learned small, a pixel for each cell of the live generator, as
    far as the discriminator's ``skipped_levels`` halve them (after Karras et al. 2018; here no net changes on the way).

    ``enlarging``: the weight of the live generator's enlarger's lesson, which is no game: |enlarged small picture - picture|,
    on a part of the batch, small pictures or not.
    """

    # β1 = 0 as in R3GAN: momentum lags behind an opponent that moves. In minutes, many steps count for more than quiet ones.
    # Nets that circle each other are averaged over their circles (``training.ema``), so the step is held; but after some
    # hundred thousand images they come no nearer unless it falls (``LOG.md``). Above 32 px: see ``recommended_for``.
    recommended: ClassVar[dict[str, Any]] = {
        "lr": 1e-3,
        "lr_end": 0.02,
        "schedule": "settling",
        "beta1": 0.0,
        "beta2": 0.99,
        "batch_size": 32,
        "ema_half_life": 0.1,
    }
    searched: ClassVar[Spans] = {
        "method.penalty_weight": Times(1 / 10, 10),
        "method.penalty_end": Times(1 / 10, 10),
        "method.augment_probability": Between(0, 0.8),
        "training.beta2": OneOf((0.9, 0.99, 0.999)),
    }

    scaling: ClassVar[Scaling] = Scaling()

    generator: Annotated[Any, Choice(GENERATORS)] = "residual"
    texture: float = Field(0.0, ge=0)
    variety: float = Field(0.0, ge=0)
    latent_dim: int = Field(64, ge=1)
    condition_dim: int = Field(32, ge=1)
    head_start: float = Field(0.0, ge=0, lt=1)
    begin_small: float = Field(0.0, ge=0, lt=1)
    enlarging: float = Field(0.0, ge=0)

    def recommended_for(self, shape: Shape) -> dict[str, Any]:
        """Larger pictures do better with a step that falls from the beginning (``LOG.md``)."""
        return {"lr_end": 0.1, "schedule": "cosine"} if min(shape.spatial) > HELD_UP_TO else {}

    def build(self, shape: Shape, condition: Component) -> Gan:
        return Gan(self, shape, condition)


@dataclass
class Painted:
    """What the discriminator's step leaves for the generator's: latents, the samples with their graph, real scores."""

    z: torch.Tensor
    samples: torch.Tensor | None
    real_score: torch.Tensor


class Gan(Method):
    """Two phases a step, discriminator first; the generator then learns on the samples that were painted for it."""

    phases = ("discriminator", "generator")
    watched = SHOWN

    def __init__(self, config: Config, shape: Shape, condition: Any) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.condition_dim = condition.width(config.condition_dim)
        self.generator = config.generator.build(shape, self.latent_dim, self.condition_dim)
        self.condition = condition.build(self.condition_dim)
        self.adversary = Adversary(config, shape, condition, self.condition_dim)
        discriminator = self.adversary.discriminator
        if config.texture and len(shape.spatial) != 2:
            raise UserError("Spectra are matched in pictures alone", "add --set method.texture=0")
        if config.begin_small or config.enlarging:
            self._check_small(shape)
        self.perceptual = Perceptual(config, shape, discriminator) if config.perceptual else None
        self._painted: deque[Painted] = deque()
        self.steps_between_looks = STEPS_BETWEEN_LOOKS if self.adversary.adaptive is not None else 0

    @torch.no_grad()
    def _check_small(self, shape: Shape) -> None:
        small = self.adversary.small(torch.zeros(1, shape.channels, *shape.spatial))
        painted = None
        if hasattr(self.generator, "coarse"):
            noise = torch.zeros(2, self.latent_dim), torch.zeros(2, self.condition_dim)
            painted = self.generator.coarse(*noise)[:1]
        if small is None or painted is None or small.shape != painted.shape:
            raise UserError(
                "Only the live generator and a residual discriminator that skips as many levels begin with small pictures",
                "add --set method.begin_small=0 --set method.enlarging=0, or train with --live",
            )

    def look(self, batch: Batch, moment: Moment) -> None:
        self.adversary.look(self._real(batch, moment), asked_of(batch), moment)

    def _is_small(self, moment: Moment) -> bool:
        return moment.progress < self.config.begin_small

    def _real(self, batch: Batch, moment: Moment) -> torch.Tensor:
        """The pictures as they are learned at this moment."""
        small = self.adversary.small(batch.samples) if self._is_small(moment) else None
        return batch.samples if small is None else small

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        if phase == "discriminator":
            return self.adversary.learning()
        return [*self.generator.parameters(), *self.condition.parameters()]

    def pace(self, phase: str, moment: Moment) -> float:
        return 0.0 if phase == "generator" and moment.progress < self.config.head_start else 1.0

    def course(self, moment: Moment) -> Hashable:
        return self.adversary.course(moment), self._is_small(moment)

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition}

    def replay(self, nets: dict[str, nn.Module], batch: Batch, random: torch.Generator) -> None:
        z = torch.randn(len(batch), self.latent_dim, generator=random, device=batch.samples.device)
        nets["generator"](z, nets["condition"](asked_of(batch)))

    def taken_over_batch(self, part: int) -> list[str]:
        matched = ["the features that are matched"] if self.perceptual is not None else []
        matched += ["the spectra that are matched"] if self.config.texture else []
        return [*self.adversary.taken_over_batch(part), *matched]

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        return {"discriminator": self._discriminator, "generator": self._generator}[phase](batch, moment)

    def _draw(self, batch: Batch, moment: Moment) -> torch.Tensor:
        return torch.randn(len(batch), self.latent_dim, generator=moment.random, device=batch.samples.device)

    def _unprepared(self, batch: Batch, moment: Moment) -> Painted:
        """For a generator's step without a discriminator's before it."""
        return Painted(
            self._draw(batch, moment), None, self.adversary.score(self._real(batch, moment), asked_of(batch), moment)
        )

    def _paint(self, z: torch.Tensor, asked: torch.Tensor, moment: Moment) -> torch.Tensor:
        paint = self.generator.coarse if self._is_small(moment) else self.generator
        return paint(z, self.condition(asked)).float()

    def _discriminator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        asked = asked_of(batch)
        for net in (self.generator, self.condition):
            net.requires_grad_(True)  # not for this step, but for the next, which uses the same graph
        z = self._draw(batch, moment)
        fake = self._paint(z, asked, moment)
        losses, real_score = self.adversary.learn(self._real(batch, moment), fake.detach(), asked, moment)
        for waiting in self._painted:
            waiting.samples = None  # one graph at most is kept: memory is why a batch comes in parts
        if self.pace("generator", moment):
            self._painted.append(Painted(z, fake, real_score))
        return losses

    def _mode_seeking(self, z: torch.Tensor, fake: torch.Tensor, asked: torch.Tensor, moment: Moment) -> torch.Tensor:
        """Of a part of the batch, painted once more from other latents."""
        part = slice(0, max(1, round(len(z) * VARIED)))
        other = torch.randn(z[part].shape, generator=moment.random, device=z.device)
        return mode_seeking(z[part], other, fake[part], self._paint(other, asked[part], moment))

    def _enlarging(self, batch: Batch) -> torch.Tensor:
        """How far training pictures, made small and enlarged again, lie from themselves."""
        part = batch.samples[: max(1, round(len(batch) * VARIED))]
        return (self.generator.enlarged(self.adversary.small(part)) - part).abs().mean()

    def _generator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        asked = asked_of(batch)
        painted = self._painted.popleft() if self._painted else self._unprepared(batch, moment)
        fake = self._paint(painted.z, asked, moment) if painted.samples is None else painted.samples
        losses = self.adversary.teach(fake, painted.real_score, asked, moment)
        if self.perceptual is not None:
            with torch.no_grad():
                target = self.perceptual.maps(self._real(batch, moment))
            losses["perceptual"] = self.config.perceptual * mean(matching(target, self.perceptual.maps(fake)))
        if self.config.enlarging:
            losses["enlarging"] = self.config.enlarging * self._enlarging(batch)
        if self.config.texture:
            weight = cosine(0.0, self.config.texture, 2 * moment.now)
            losses["texture"] = weight * spectrum_distance(self._real(batch, moment), fake, moment.random)
        if self.config.variety and self.condition_dim:
            losses["variety"] = self.config.variety * mean(self._mode_seeking(painted.z, fake, asked, moment))
        return losses
