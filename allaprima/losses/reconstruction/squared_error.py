"""The article's sum of squares: Σ (x - x̂)², that is -log N(x; x̂, ½) up to a constant (Kingma, Welling 2014, with σ² = ½)."""

import torch


def reconstruction(samples: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Σ (x - x̂)² over channels and places."""
    return (samples - decoded.float()).square().flatten(1).sum(1)
