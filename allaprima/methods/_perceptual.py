"""A loss on what a network sees rather than on pixels; off by default. A person names the network, or takes the method's own.

Use: ``perceptual = Perceptual(config, shape, own)``, then ``perceptual.maps(samples)`` for the losses of ``losses.features``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import nn

from allaprima.core.config import Component
from allaprima.core.errors import UserError, suggest
from allaprima.domains import Shape
from allaprima.models.pretrained import PRETRAINED, Weights, Words
from allaprima.models.pretrained._frozen import Frozen

OWN = "own"
WORDS = Words(
    download="--set method.perceptual_download=true",
    file="--set method.perceptual_weights=FILE",
    instead="or leave out --set method.perceptual_features: then the method's own features are taken",
)


def _known(name: str) -> str:
    choices = [OWN, *PRETRAINED.names()]
    if name not in choices:
        raise UserError(f"Unknown features '{name}'", suggest(name, choices))
    return name


class PerceptualConfig(Component):
    """``perceptual`` is the loss's weight, 0 for none. ``perceptual_features``: ``own``, those of the method's discriminator or
    encoder, which need no file; or a published network with its ``perceptual_weights``, else from a cache of this machine, which
    ``perceptual_download`` may fill. ``perceptual_size``: pixels that it sees, 0 as it was published.
    """

    perceptual: float = Field(0.0, ge=0)
    perceptual_features: Annotated[str, AfterValidator(_known)] = OWN
    perceptual_weights: Path | None = None
    perceptual_download: bool = False
    perceptual_size: int = Field(0, ge=0, le=1024)


class Perceptual(nn.Module):
    """``own`` gives the maps of ``net``, the method's own network, which learns nothing from this loss."""

    def __init__(self, config: PerceptualConfig, shape: Shape, net: nn.Module) -> None:
        super().__init__()
        self._own: tuple[Any, ...] = (net,)  # in a tuple: it belongs to the method, not to us
        self.frozen: Frozen | None = None
        if config.perceptual_features != OWN:
            weights = Weights(config.perceptual_weights, config.perceptual_download, WORDS)
            self.frozen = Frozen(config.perceptual_features, shape, weights, config.perceptual_size)

    def maps(self, samples: torch.Tensor) -> list[torch.Tensor]:
        """Features of samples ``[N, C, *spatial]``, differentiable in the samples alone."""
        look: Callable[[torch.Tensor], list[torch.Tensor]] = self._own[0].grids if self.frozen is None else self.frozen
        with at_rest(self._own[0]):
            return look(samples)


@contextmanager
def at_rest(net: nn.Module) -> Iterator[None]:
    """What is computed inside has no gradient in the weights of ``net``: it could please by seeing less."""
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
