"""Least squares (LSGAN, Mao et al. 2017, equation 9: a = 0, b = c = 1).

L_D = ½ (D(x) - 1)² + ½ D(G(z))²,  L_G = ½ (D(G(z)) - 1)².
"""

import torch

PENALTY = "none"


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """½ (D(x) - 1)² + ½ D(G(z))²."""
    return 0.5 * (real - 1).square() + 0.5 * fake.square()


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """½ (D(G(z)) - 1)²."""
    return 0.5 * (fake - 1).square()
