"""KL(N(μ, σ²) ‖ N(0, I)) in closed form (Kingma, Welling 2014, appendix B)."""

import torch


def kl_to_standard_normal(mean: torch.Tensor, log_variance: torch.Tensor, free_bits: float = 0.0) -> torch.Tensor:
    """½ Σ (μ² + σ² - 1 - log σ²) over latents, ``[N, D]`` twice → ``[N]``, in nats.

    A dimension whose mean over the batch is below ``free_bits`` nats counts as exactly that much, without a gradient
    (Kingma et al. 2016, section C.8).
    """
    nats = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    if free_bits:
        nats = torch.where(nats.mean(0) < free_bits, torch.full_like(nats, free_bits), nats)
    return nats.sum(1)
