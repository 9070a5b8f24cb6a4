"""Relativistic pairing (Jolicoeur-Martineau 2019; with R1 and R2 in R3GAN, Huang et al. 2024, equation 2): the default.

L_D = E softplus(-(D(x) - D(G(z)))),  L_G = E softplus(-(D(G(z)) - D(x))). Each fake is compared with real samples, so that
covering every mode pays: the game has no bad local minima where the generator drops some.

The expectation is over independent pairs, and every pair of a batch is one. So each score is compared with those of a group
of others rather than with a single one: the same expectation with less noise, for nothing (a two-sample U-statistic,
Hoeffding 1948), and, without labels, a fifth less distance after equal images (``LOG.md``). With conditions it is the game of
the joint distributions of picture and condition: opponents may be of another class.
"""

import math

import torch
from torch.nn.functional import softplus

PENALTY = "r1_r2"
GROUP = 8  # opponents of a score: nearly all of the gain, and a batch in parts of a multiple of it has the same groups


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean over the group of softplus(D(G(z)) - D(x)), one value a real sample."""
    return _against(fake, real)


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean over the group of softplus(D(x) - D(G(z))), one value a generated sample."""
    return _against(real, fake)


def _against(better: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """softplus(betterⱼ - ownᵢ), its mean over the j of i's group: ``[N]``.

    Sample i is in group i mod N / 8: a part of a batch (``training.parts``), every k-th of its samples, then holds whole groups.
    """
    members = math.gcd(len(own), GROUP)
    mine, others = own.view(members, 1, -1), better.view(1, members, -1)
    return softplus(others - mine).mean(1).flatten()
