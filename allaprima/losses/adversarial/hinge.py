"""Hinge (Lim, Ye 2017; Miyato et al. 2018, equations 16 and 17).

L_D = max(0, 1 - D(x)) + max(0, 1 + D(G(z))),  L_G = -D(G(z)).
"""

import torch

PENALTY = "none"


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """relu(1 - D(x)) + relu(1 + D(G(z)))."""
    return torch.relu(1 - real) + torch.relu(1 + fake)


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-D(G(z))."""
    return -fake
