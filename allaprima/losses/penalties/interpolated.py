"""(‖∇D(x̂)‖ - 1)² at random points x̂ between a real and a generated sample (WGAN-GP, Gulrajani et al. 2017, equation 3)."""

import torch

from allaprima.losses.penalties import Score, gradient_energy

WEIGHT = 10.0


def penalty(score: Score, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """(‖∇D(x̂)‖₂ - 1)², x̂ = mix·x + (1 - mix)·G(z)."""
    between = torch.lerp(fake, real, mix.view(-1, *[1] * (real.dim() - 1)))
    # the root has no derivative at zero, where a fresh discriminator may well start
    return (gradient_energy(score, between) + 1e-12).sqrt().sub(1).square()
