"""Which latent paints this picture? A first guess at once, then better ones.

The noise is sought that minimises the distance of Laplacian pyramids, coarse levels counting most (Bojanowski et al. 2018,
"Optimizing the latent space of generative networks", equation 3), from the best of many draws and, where there is one, from what
the encoder says; by Adam, several starts at once, of which the nearest is told. The noise is held near the sphere on which the
generator knows its way (Zhu et al. 2016 keep it in the prior's range). What no noise paints cannot be found: a generator of cats
makes a cat of any picture.

Use: ``for guess in inverted(bundle, picture, ys): show(guess.noise, guess.off)``.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn import functional as F

from allaprima.bundle.bundle import Bundle
from allaprima.core.seeds import torch_stream

DRAWS = 256
FIRST_SECONDS = 1.0  # for the draws
STARTS = 4
RATE, STEPS_A_GUESS = 0.1, 8
SPHERE = 0.1  # weight of the distance from the sphere
COARSEST = 4  # pixels


class Guess(NamedTuple):
    """``noise`` float32 ``[latent_dim]``; ``off``: mean absolute difference of its picture, in [0, 1] of the value range;
    ``place``: under which of the conditions; ``done`` in [0, 1] of the time.
    """

    noise: torch.Tensor
    off: float
    place: int
    done: float

    def under(self, places: torch.Tensor) -> Guess:
        """``place`` counted among the starts → among the conditions."""
        return self._replace(place=int(places[self.place]))


class _Nets:
    """Copies: others paint with the bundle's own nets meanwhile, and look into them (``explain.directions``)."""

    def __init__(self, bundle: Bundle) -> None:
        self.generator, self.prior, self.encoder = copy.deepcopy((bundle.generator, bundle.prior, bundle.encoder))
        self.latent_dim, self.chunk, self.device = bundle.description.latent_dim, bundle.chunk, bundle.device


def inverted(bundle: Bundle, picture: torch.Tensor, ys: torch.Tensor, seconds: float = 5.0) -> Iterator[Guess]:
    """``picture`` float32 ``[1, C, H, W]`` in [-1, 1]; ``ys`` ``[K, condition_dim]``: what it may be painted under.

    At least two guesses.
    """
    began = time.monotonic()
    nets = _Nets(bundle)
    wanted, ys = picture.to(nets.device), ys.to(nets.device)
    levels = pyramid(wanted)
    noise, places = _starts(nets, levels, wanted, ys)
    y = ys[places]
    best = _best(nets, noise, y, wanted)
    yield Guess(*best, 0.0).under(places)
    noise = noise.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([noise], lr=RATE, betas=(0.9, 0.99))
    sphere = math.sqrt(noise.shape[1])
    while True:
        share = min(1.0, (time.monotonic() - began) / seconds)
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.05 + 0.95 * (1 + math.cos(math.pi * share)) / 2)
        for _ in range(STEPS_A_GUESS):
            with torch.enable_grad():
                made = _painted(nets, noise, y)
                away = (noise.norm(dim=1) / sphere - 1).square()
                loss = (distance(pyramid(made), levels) + SPHERE * away).sum()
                (noise.grad,) = torch.autograd.grad(loss, noise)  # the nets' own gradients are nobody's business
            optimiser.step()
        found = _best(nets, noise.detach(), y, wanted)
        best = min(best, found, key=lambda one: one[1])
        yield Guess(*best, share).under(places)
        if share >= 1:
            return


def pyramid(pictures: torch.Tensor) -> list[torch.Tensor]:
    """``[N, C, H, W]`` → what each halving loses, the finest first, and what is left."""
    levels = []
    while min(pictures.shape[2:]) >= 2 * COARSEST:
        half = F.avg_pool2d(pictures, 2, ceil_mode=True)
        levels.append(pictures - F.interpolate(half, size=pictures.shape[2:], mode="bilinear", align_corners=False))
        pictures = half
    return [*levels, pictures]


def distance(made: list[torch.Tensor], wanted: list[torch.Tensor]) -> torch.Tensor:
    """``[N]``: mean absolute differences of the levels, summed; a coarse cell counts as much as all pixels under it."""
    return torch.stack([(a - b).abs().mean((1, 2, 3)) for a, b in zip(made, wanted, strict=True)]).sum(0)


def _painted(nets: _Nets, noise: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    z = noise if nets.prior is None else nets.prior(noise, y)
    made: torch.Tensor = nets.generator(z, y)
    return made.clamp(-1, 1)


@torch.no_grad()
def _starts(
    nets: _Nets, levels: list[torch.Tensor], wanted: torch.Tensor, ys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The noise of the nearest draws, and which of ``ys`` each was painted under. An encoder's answer is among them."""
    began = time.monotonic()
    found, under, away = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
    for first in range(0, DRAWS, nets.chunk):
        stream = torch_stream(0, "inversion", first)
        rows = torch.randn(nets.chunk, nets.latent_dim, generator=stream).to(nets.device)
        places = torch.arange(first, first + nets.chunk, device=nets.device) % len(ys)
        found.append(rows)
        under.append(places)
        away.append(distance(pyramid(_painted(nets, rows, ys[places])), levels))
        if time.monotonic() - began > FIRST_SECONDS and first + nets.chunk >= len(ys):
            break
    nearest = torch.cat(away).argsort()[:STARTS]
    noise, places = torch.cat(found)[nearest], torch.cat(under)[nearest]
    if nets.encoder is not None:
        noise[-1:] = _encoded(nets, wanted, ys[places[:1]])  # under the condition that the nearest draw suggests
        places[-1] = places[0]
    return noise, places


def _encoded(nets: _Nets, wanted: torch.Tensor, y: torch.Tensor, steps: int = 60) -> torch.Tensor:
    """The noise that the prior carries to what the encoder says, ``[1, latent_dim]``; the prior alone is quick to follow."""
    assert nets.encoder is not None
    mean: torch.Tensor = nets.encoder(wanted, y)[0]
    if nets.prior is None:
        return mean
    noise = mean.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([noise], lr=RATE)
    for _ in range(steps):
        with torch.enable_grad():
            loss = (nets.prior(noise, y) - mean).square().sum()
            (noise.grad,) = torch.autograd.grad(loss, noise)
        optimiser.step()
    return noise.detach()


@torch.no_grad()
def _best(nets: _Nets, noise: torch.Tensor, y: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, float, int]:
    off = (_painted(nets, noise, y) - wanted).abs().mean((1, 2, 3)) / 2
    place = int(off.argmin())
    return noise[place].float().cpu(), float(off[place]), place
