"""Penalties on the discriminator's gradient with respect to samples.

A file has ``penalty(score, real, fake, mix)`` → ``[N]`` and a ``WEIGHT`` that stands before it by default. ``score`` maps N
samples to their scores ``[N]``, and twice N as those of the same N conditions; ``mix`` is uniform in [0, 1), ``[N]``, for those
that need a random point.
"""

from collections.abc import Callable

import torch

from allaprima.core.catalog import Catalog

PENALTIES = Catalog("gradient penalty", __name__)
Score = Callable[[torch.Tensor], torch.Tensor]


def gradient_energy(score: Score, samples: torch.Tensor) -> torch.Tensor:
    """‖∇ D(x)‖² for each sample, ``[N]``, differentiable in the discriminator's weights."""
    samples = samples.detach().requires_grad_()
    # samples do not share anything in D (no batch statistics), so the gradient of the sum holds each one's own
    (gradient,) = torch.autograd.grad(score(samples).float().sum(), samples, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)
