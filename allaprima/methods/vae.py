"""Variational autoencoders (Kingma, Welling 2014; Rezende et al. 2014): encoder, decoder, and the evidence lower bound.

The default reconstruction term is σ-VAE's (Rybkin et al. 2021); ``reconstruction=squared_error`` with ``encoder=conv
decoder=conv`` is the article's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Choice, Component, named
from allaprima.core.schedules import linear
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.losses.divergence import kl_to_standard_normal
from allaprima.losses.reconstruction import RECONSTRUCTION
from allaprima.methods import Method, Moment, label_of, mean
from allaprima.models.encoders import ENCODERS
from allaprima.models.generators import GENERATORS


class Config(Component):
    """``beta`` stands before the KL (β-VAE, Higgins et al. 2017), rising from 0 over the first ``warm_up`` of the run.

    ``free_bits``: nats of each latent that cost nothing.
    """

    # twice the GAN's width: without an opponent a step costs a quarter, and wider layers use the machine better
    encoder: Annotated[Any, Choice(ENCODERS)] = Field({"name": "residual", "width": 64})
    decoder: Annotated[Any, Choice(GENERATORS)] = Field({"name": "residual", "width": 64})
    latent_dim: int = Field(64, ge=1)
    condition_dim: int = Field(32, ge=1)
    reconstruction: Annotated[str, named(RECONSTRUCTION)] = "optimal_sigma"
    beta: float = Field(1.0, ge=0)
    warm_up: float = Field(0.05, ge=0, le=1)
    free_bits: float = Field(0.0, ge=0)

    def build(self, shape: Shape, condition: Component) -> Vae:
        return Vae(self, shape, condition)


class Vae(Method):
    """One phase: encode, draw, decode."""

    phases = ("autoencoder",)
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

    def parameters_of(self, phase: str) -> Iterable[nn.Parameter]:
        return list(self.parameters())

    def exported(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "condition": self.condition, "encoder": self.encoder}

    def step(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        y = self.condition(label_of(batch))
        mean_z, log_variance = self.encoder(batch.samples, y)
        log_variance = log_variance.clamp(-20, 20)  # e^20 is far beyond any posterior, and finite in float32
        noise = torch.randn(mean_z.shape, generator=moment.random, device=mean_z.device)
        decoded = self.generator(mean_z + noise * (0.5 * log_variance).exp(), y).float()
        beta = self.config.beta
        if self.config.warm_up:
            beta = linear(0.0, beta, moment.progress / self.config.warm_up)
        return {
            "reconstruction": mean(self.reconstruction(batch.samples, decoded)),
            "kl": beta * mean(kl_to_standard_normal(mean_z, log_variance, self.config.free_bits)),
            "mse": (decoded - batch.samples).detach().square().mean(),
        }
