"""Wasserstein distance (Arjovsky et al. 2017), kept Lipschitz by the interpolated penalty (WGAN-GP, Gulrajani et al. 2017).

L_D = D(G(z)) - D(x),  L_G = -D(G(z)).
"""

import torch

PENALTY = "interpolated"


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """D(G(z)) - D(x)."""
    return fake - real


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-D(G(z))."""
    return -fake
