"""Which ways of moving the noise change a picture the most: principal components of the generator's early activations.

The activations of samples are decomposed, and the noise is regressed on the components' scores (GANSpace, Härkönen et al. 2020,
section 3.2, for generators without a mapping network).

Use: ``directions = principal(bundle); moved = noise + 3 * directions[0]``.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from allaprima.bundle.bundle import Bundle

NUM_DIRECTIONS = 8
NUM_SAMPLES = 512
AT_ONCE = 64
COARSE, MIDDLE = 0.5, 0.85  # shares of what the early activations see
_known: WeakKeyDictionary[Bundle, torch.Tensor] = WeakKeyDictionary()
_known_levels: WeakKeyDictionary[Bundle, tuple[torch.Tensor, ...]] = WeakKeyDictionary()


def principal(bundle: Bundle) -> torch.Tensor:
    """float32 ``[K, latent_dim]``, K up to 8: directions of length 1, orthogonal to each other, the strongest first.

    The same for the same weights. N(0, I) has the standard deviation 1 along each: 3 is far out.
    """
    if bundle not in _known:
        _known[bundle] = _principal(bundle)
    return _known[bundle]


@torch.no_grad()
def _principal(bundle: Bundle) -> torch.Tensor:
    noise = bundle.noise(NUM_SAMPLES, seed=0)
    y = bundle.embed(bundle.asked(NUM_SAMPLES))
    activations = _activations(bundle, bundle.from_noise(noise, y), y.y)
    activations = activations - activations.mean(0)
    count = min(NUM_DIRECTIONS, bundle.description.latent_dim)
    # few samples, many activations: the scores are the left singular vectors of the samples' Gram matrix
    _, vectors = torch.linalg.eigh((activations @ activations.T).double())
    scores = vectors.flip(1)[:, :count]
    slopes = torch.linalg.lstsq(scores, noise.double()).solution  # [K, latent_dim]
    # orthogonal, the stronger ones first: two sliders never undo each other
    basis, upper = torch.linalg.qr(slopes.T)
    return (basis * upper.diagonal().sign()).T.float().contiguous()


def levels(bundle: Bundle) -> tuple[torch.Tensor, ...]:
    """Three parts of the noise, float32 ``[k, latent_dim]`` each, together an orthonormal basis: what the early activations see
    the most of (coarse), what they see less of (middle), and what is left for the later layers (fine).

    The axes of the linear map from noise to early activations, in the order of their shares: the first half of all that is seen,
    up to .85 of it, the rest. At least one axis each; below three dimensions parts are empty.
    """
    if bundle not in _known_levels:
        _known_levels[bundle] = _levels(bundle)
    return _known_levels[bundle]


@torch.no_grad()
def _levels(bundle: Bundle) -> tuple[torch.Tensor, ...]:
    noise = bundle.noise(NUM_SAMPLES, seed=0)
    y = bundle.embed(bundle.asked(NUM_SAMPLES))
    activations = _activations(bundle, bundle.from_noise(noise, y), y.y).double()
    slopes = torch.linalg.lstsq(noise.double(), activations - activations.mean(0)).solution  # [latent_dim, F]
    seen, axes = torch.linalg.eigh(slopes @ slopes.T)
    seen, axes = seen.flip(0).clamp_min(0), axes.flip(1).T.float()
    share = seen.cumsum(0) / seen.sum().clamp_min(1e-12)
    dim = len(seen)
    coarse = min(max(1, int((share < COARSE).sum()) + 1), max(1, dim - 2))
    middle = min(max(coarse + 1, int((share < MIDDLE).sum()) + 1), max(coarse, dim - 1))
    return axes[:coarse].contiguous(), axes[coarse:middle].contiguous(), axes[middle:].contiguous()


class _SeenError(Exception):
    """The early activations are there: what comes after them, and takes longer, need not be painted."""


def _activations(bundle: Bundle, latents: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """float32 ``[N, F]``, what the generator's first doubling makes of each."""
    seen: list[torch.Tensor] = []

    def see(_net: nn.Module, _given: object, made: torch.Tensor) -> None:
        seen.append(made.float().flatten(1).cpu())
        raise _SeenError

    hook = _early(bundle.generator).register_forward_hook(see)
    try:
        for z, asked in zip(latents.split(AT_ONCE), y.split(AT_ONCE), strict=True):
            with contextlib.suppress(_SeenError):
                bundle.generator(z.to(bundle.device), asked.to(bundle.device))
    finally:
        hook.remove()
    return torch.cat(seen)


def _early(generator: Any) -> nn.Module:
    """The first convolution that doubles the grid, else the first one."""
    convolutions = [layer for layer in generator.modules() if isinstance(layer, _ConvNd)]
    doublings = [layer for layer in convolutions if layer.transposed or math.prod(layer.stride) > 1]
    return (doublings or convolutions)[0]
