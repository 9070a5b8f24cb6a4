"""Binary cross-entropy on logits with the generator's non-saturating form (Goodfellow et al. 2014, section 3).

L_D = -log σ(D(x)) - log(1 - σ(D(G(z)))),  L_G = -log σ(D(G(z))).  (The article prints log1p of the logits and the wrong
sign for the fake term; this is what its text means.)
"""

import torch
from torch.nn.functional import softplus

PENALTY = "none"


def discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """softplus(-D(x)) + softplus(D(G(z)))."""
    return softplus(-real) + softplus(fake)


def generator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """softplus(-D(G(z)))."""
    return softplus(-fake)
