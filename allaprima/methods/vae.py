"""Variational autoencoders (Kingma, Welling 2014; Rezende et al. 2014): encoder, decoder, and the evidence lower bound.

The default reconstruction term is σ-VAE's (Rybkin et al. 2021), on the article's nets; ``reconstruction=squared_error`` is
the article's too. Samples come from a prior that is fitted to the encoder's posteriors (``models/priors``).

For the last part of a run the decoder may have an opponent (VAE-GAN, Larsen et al. 2016), for what the likelihood does not
ask of it: that pictures from between the posteriors, where such a prior draws from, look like pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component, named
from allaprima.core.scaling import Scaling
from allaprima.core.schedules import linear
from allaprima.core.spans import Between, Multiples, Spans, Times
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.losses.divergence import kl_to_standard_normal
from allaprima.losses.features import perceptual
from allaprima.losses.reconstruction import RECONSTRUCTION
from allaprima.methods import Method, Moment, asked_of, mean
from allaprima.methods._adaptive import STEPS_BETWEEN_LOOKS
from allaprima.methods._adversary import SHOWN, Adversary
from allaprima.methods._adversary import Config as AdversaryConfig
from allaprima.methods._perceptual import Perceptual, PerceptualConfig
from allaprima.models.discriminators import DISCRIMINATORS
from allaprima.models.encoders import ENCODERS
from allaprima.models.generators import GENERATORS
from allaprima.models.priors import PRIORS


class OpponentConfig(AdversaryConfig):
    """As a GAN's, but half as wide: the decoder has learned most of its work from the likelihood.

    ``share``: the part of the batch that takes part, at least one sample. ``spread``: how far from the posteriors' draws the
    decoder is judged, from 0, at them, to 1, at any place of a Gaussian around them all; see ``between``.
    """

    discriminator: Annotated[Any, Choice(DISCRIMINATORS)] = {"name": "residual", "width": 16, "max_width": 128}
    reconstruct: Annotated[float, Field(ge=0)] = 0.0  # the encoder and the decoder redraw pictures already
    share: float = Field(0.25, gt=0, le=1)
    spread: float = Field(0.8, ge=0, le=1)

    def _heading(self) -> dict[str, Any]:
        return {}  # a part of the method, which no catalogue knows by name


class Config(PerceptualConfig):
    """``perceptual`` is weighed by the sample's number of values: .1 makes a difference in features cost .1 nats a value.

    ``beta`` stands before the KL (β-VAE, Higgins et al. 2017), rising from 0 over the first ``warm_up`` of the run.

    ``free_bits``: nats of each latent that cost nothing. ``prior``: what latents are drawn from once it has learned, fitted
    to the encoder's posteriors; training itself is towards N(0, I) whatever it is.

    ``adversarial``: the weight of the ``opponent``'s verdict, by the sample's number of values too, 0 for no opponent; it
    joins when this share of the run, ``adversarial_from``, is over.
    """

    searched: ClassVar[Spans] = {
        "method.beta": Times(1 / 5, 5),
        "method.warm_up": Between(0, 0.3),
        "method.free_bits": Between(0, 0.3),
        "method.latent_dim": Multiples((1 / 2, 1, 2)),
    }

    recommended: ClassVar[dict[str, float]] = {"lr": 2e-3}
    scaling: ClassVar[Scaling] = Scaling(of_width=0.9, by_width=0.55, by_images=0.75, slowing=1.4)

    # with batch normalisation throughout and the whole coarsest grid for the latent's heads they learn, picture for picture,
    # three times as fast as the residual nets, at a third of the cost
    encoder: Annotated[Any, Choice(ENCODERS)] = "conv"
    decoder: Annotated[Any, Choice(GENERATORS)] = "conv"
    latent_dim: int = Field(64, ge=1)
    condition_dim: int = Field(32, ge=1)
    reconstruction: Annotated[str, named(RECONSTRUCTION)] = "optimal_sigma"
    beta: float = Field(1.0, ge=0)
    warm_up: float = Field(0.05, ge=0, le=1)
    free_bits: float = Field(0.0, ge=0)
    prior: Annotated[Any, Choice(PRIORS)] = "gmm"
    # at equal time, half of it with the opponent: a quarter less Fréchet distance (``LOG.md``)
    adversarial: float = Field(0.1, ge=0)
    adversarial_from: float = Field(0.5, ge=0, lt=1)
    opponent: OpponentConfig = OpponentConfig()

    def build(self, shape: Shape, condition: Component) -> Vae:
        return Vae(self, shape, condition)


class Vae(Method):
    """Encode, draw, decode, in one phase; with an opponent, which learns after it, in two."""

    phases: tuple[str, ...] = ("autoencoder",)
    watched = frozenset({"mse"})

    def __init__(self, config: Config, shape: Shape, condition: Any) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.condition_dim = condition.width(config.condition_dim)
        self.encoder = config.encoder.build(shape, self.latent_dim, self.condition_dim)
        self.generator = config.decoder.build(shape, self.latent_dim, self.condition_dim)
        self.condition = condition.build(self.condition_dim)
        self.reconstruction = RECONSTRUCTION.get(config.reconstruction).reconstruction
        self.perceptual = Perceptual(config, shape, self.encoder) if config.perceptual else None
        self.opponent: Adversary | None = None
        self._painted: deque[torch.Tensor] = deque()  # for the opponent's phase; one for each part of a batch
        if config.adversarial:
            self.phases, self.watched = ("autoencoder", "discriminator"), self.watched | SHOWN
            self.opponent = Adversary(config.opponent, shape, condition, self.condition_dim)
            self.steps_between_looks = STEPS_BETWEEN_LOOKS if self.opponent.adaptive is not None else 0

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        if phase == "discriminator":
            assert self.opponent is not None
            return self.opponent.learning()
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("opponent.")]

    def pace(self, phase: str, moment: Moment) -> float:
        return 0.0 if phase == "discriminator" and not self._has_joined(moment) else 1.0

    def course(self, moment: Moment) -> Hashable:
        return 0.0 if self.opponent is None else self.opponent.course(moment)

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition, "encoder": self.encoder}

    def look(self, batch: Batch, moment: Moment) -> None:
        if self.opponent is not None and self._has_joined(moment):
            self.opponent.look(batch.samples, asked_of(batch), moment)

    def replay(self, nets: dict[str, nn.Module], batch: Batch, random: torch.Generator) -> None:
        y = nets["condition"](asked_of(batch))
        mean_z, log_variance = nets["encoder"](batch.samples, y)
        nets["generator"](draw(mean_z, log_variance, random), y)

    def taken_over_batch(self, part: int) -> list[str]:
        named = getattr(RECONSTRUCTION.get(self.config.reconstruction), "OVER_BATCH", None)
        found = [*([named] if named else []), *(["free bits"] if self.config.free_bits else [])]
        if self.opponent is None:
            return found
        return [*found, "the latents between others", *self.opponent.taken_over_batch(self._count(part))]

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        return {"autoencoder": self._autoencoder, "discriminator": self._discriminator}[phase](batch, moment)

    def _has_joined(self, moment: Moment) -> bool:
        return self.opponent is not None and moment.progress >= self.config.adversarial_from

    def _autoencoder(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        y = self.condition(asked_of(batch))
        mean_z, log_variance = self.encoder(batch.samples, y)
        log_variance = log_variance.clamp(-20, 20)  # e^20 is far beyond any posterior, and finite in float32
        z = draw(mean_z, log_variance, moment.random)
        decoded = self.generator(z, y).float()
        beta = self.config.beta
        if self.config.warm_up:
            beta = linear(0.0, beta, moment.now / self.config.warm_up)
        losses = {
            "reconstruction": mean(self.reconstruction(batch.samples, decoded)),
            "kl": beta * mean(kl_to_standard_normal(mean_z, log_variance, self.config.free_bits)),
            "mse": (decoded - batch.samples).detach().square().mean(),
        }
        values = batch.samples[0].numel()
        if self.perceptual is not None:
            seen = perceptual(self.perceptual.maps(batch.samples), self.perceptual.maps(decoded))
            losses["perceptual"] = self.config.perceptual * values * mean(seen)
        if self._has_joined(moment):
            losses["adversarial"] = self.config.adversarial * values * self._verdict(batch, z.detach(), y, moment)
        return losses

    def _verdict(self, batch: Batch, z: torch.Tensor, y: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The opponent's loss for what is painted from between the latents ``z [N, D]``, which learn nothing from it."""
        assert self.opponent is not None
        few, fake = self._part(batch), self._paint(z, y)
        self._painted.append(fake.detach())
        real_score = self.opponent.score(few.samples, asked_of(few), moment)
        taught = self.opponent.teach(fake, real_score, asked_of(few), moment)
        return torch.stack([*taught.values()]).sum()

    def _discriminator(self, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        assert self.opponent is not None
        if not self._painted:  # a step without the autoencoder's before it
            with torch.no_grad():
                y = self.condition(asked_of(batch))
                self._painted.append(self._paint(self.encoder(batch.samples, y)[0], y))
        few = self._part(batch)
        return self.opponent.learn(few.samples, self._painted.popleft(), asked_of(few), moment)[0]

    def _paint(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        few = self._count(len(z))
        return self.generator(between(z, self.config.opponent.spread)[:few], y[:few]).float()

    def _count(self, whole: int) -> int:
        return max(1, round(whole * self.config.opponent.share))

    def _part(self, batch: Batch) -> Batch:
        """What of the batch the opponent sees."""
        few = self._count(len(batch))
        conditions = {name: values[:few] for name, values in batch.conditions.items()}
        return Batch(batch.samples[:few], batch.ids[:few], conditions)


def draw(mean: torch.Tensor, log_variance: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """One latent of each posterior: both ``[N, D]`` → ``[N, D]``."""
    noise = torch.randn(mean.shape, generator=random, device=mean.device)
    return mean + noise * (0.5 * log_variance).exp()


def between(z: torch.Tensor, spread: float) -> torch.Tensor:
    """Latents with the mean and the covariance of the batch ``z [N, D]``, but from the places between its own.

    A smoothed bootstrap (Silverman 1986, section 6.4) whose kernel is the difference of two others of the batch: what any
    prior that is fitted to the posteriors will do with them, before there is one, and for nothing.
    """
    centre, away = z.mean(0), (z.roll(1, 0) - z.roll(2, 0)) * 0.5**0.5
    return centre + (1 - spread**2) ** 0.5 * (z - centre) + spread * away
