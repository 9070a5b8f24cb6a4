"""R1 + R2: ½ (‖∇D(x)‖² + ‖∇D(G(z))‖²), on real and on generated samples (Mescheder et al. 2018; R3GAN, 2024, equation 3)."""

import torch

from allaprima.losses.penalties import Score, gradient_energy

WEIGHT = 3.0


def penalty(score: Score, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """½ (‖∇D(x)‖² + ‖∇D(G(z))‖²)."""
    of_real, of_fake = gradient_energy(score, torch.cat([real, fake])).chunk(2)  # one pass costs two thirds of two
    return 0.5 * (of_real + of_fake)
