"""The article's VAE decoder: the DCGAN generator's form with the encoder's widths mirrored."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from allaprima.domains import Shape
from allaprima.models.generators import dcgan


class Config(dcgan.Config):
    """As ``dcgan``, half as wide: a decoder needs no surplus against a discriminator."""

    planned: ClassVar = ("width", "max_width")

    width: int = Field(32, ge=4)
    max_width: int = Field(256, ge=4)

    def build(self, shape: Shape, latent_dim: int, condition_dim: int) -> nn.Module:
        return dcgan.Generator(self, shape, latent_dim, condition_dim)
