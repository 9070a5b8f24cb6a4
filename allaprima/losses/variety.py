"""Two latents for one wish shall be two pictures: the mode-seeking term (Mao et al. 2019, "Mode seeking generative adversarial
networks", equation 3, as the minimised inverse of its authors):

    L = |z₁ - z₂| / |G(z₁, y) - G(z₂, y)|,   |·| the mean absolute difference.

A generator whose wishes each have few pictures learns one of them for each by heart and passes the latent over; the ratio grows
without limit then, and hardly matters where the latent already tells pictures apart.

Use: ``mode_seeking(z, other, paint(z, y), paint(other, y))``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

CELLS = 8  # to a side: pictures are compared coarsely, for noise and shifts of a pixel are no variety
LEAST = 1e-2


def mode_seeking(z1: torch.Tensor, z2: torch.Tensor, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
    """Latents ``[N, D]`` and their samples ``[N, C, *spatial]`` → ``[N]``."""
    coarse: Any = {3: F.adaptive_avg_pool1d, 4: F.adaptive_avg_pool2d, 5: F.adaptive_avg_pool3d}[x1.dim()]
    apart = coarse(x1 - x2, tuple(min(CELLS, side) for side in x1.shape[2:])).abs().flatten(1).mean(1)
    return (z1 - z2).abs().mean(1) / apart.clamp_min(LEAST)
