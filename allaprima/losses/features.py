"""Distances in features: maps ``[N, F, *grid]`` at several depths of some network → one value a sample, ``[N]``."""

from __future__ import annotations

from collections.abc import Sequence

import torch

Maps = Sequence[torch.Tensor]
EPSILON = 1e-8


def perceptual(samples: Maps, decoded: Maps) -> torch.Tensor:
    """How differently a network sees each sample and its counterpart, in [0, 4].

    The mean over depths and places of ‖f/‖f‖ - f̂/‖f̂‖‖² over channels: LPIPS (Zhang et al. 2018, equation 1) with equal
    weights for all channels.
    """
    return torch.stack(
        [
            (_unit(one) - _unit(other)).square().sum(1).flatten(1).mean(1)
            for one, other in zip(samples, decoded, strict=True)
        ]
    ).mean(0)


def matching(real: Maps, fake: Maps) -> torch.Tensor:
    """How far apart the batches' mean features lie, the same for every sample: ‖E f(x) - E f(G(z))‖² / ‖E f(x)‖².

    Feature matching (Salimans et al. 2016, section 3.1), the mean over depths; divided, so that no depth outweighs the others.
    """
    distances = []
    for one, other in zip(real, fake, strict=True):
        target = one.float().mean(0)
        distances.append((target - other.float().mean(0)).square().sum() / target.square().sum().clamp_min(EPSILON))
    return torch.stack(distances).mean().expand(len(fake[0]))


def _unit(features: torch.Tensor) -> torch.Tensor:
    features = features.float()
    return features * (features.square().sum(1, keepdim=True) + EPSILON).rsqrt()
