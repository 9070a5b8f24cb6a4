"""Relativistic pairing (Jolicoeur-Martineau 2019; with R1 and R2 in R3GAN, Huang et al. 2024, equation 2): the default.

L_D = softplus(-(D(x) - D(G(z)))),  L_G = softplus(-(D(G(z)) - D(x))). Each fake is compared with a real sample, so that
covering every mode pays: the game has no bad local minima where the generator drops some.
"""

import torch
from torch.nn.functional import softplus

PENALTY = "r1_r2"


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """softplus(D(G(z)) - D(x))."""
    return softplus(fake - real)


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """softplus(D(x) - D(G(z)))."""
    return softplus(real - fake)
