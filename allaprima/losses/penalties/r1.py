"""R1: ½ ‖∇D(x)‖² on real samples (Mescheder et al. 2018, equation 9)."""

import torch

from allaprima.losses.penalties import Score, gradient_energy

WEIGHT = 1.0


def penalty(score: Score, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """½ ‖∇D(x)‖²."""
    return 0.5 * gradient_energy(score, real)
