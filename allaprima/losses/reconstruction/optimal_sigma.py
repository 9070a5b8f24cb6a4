"""Gaussian with the best single σ for the batch (σ-VAE, Rybkin, Daniilidis, Levine 2021, equations 5 and 6): the default.

-log p(x|z) = Σ [(x - x̂)² / 2σ² + log σ + ½ log 2π], log σ = softclip(½ log MSE, -6). It balances reconstruction and KL
by itself, where a fixed σ needs a β found by trial.
"""

import math

import torch
from torch.nn.functional import softplus

LOWEST_LOG_SIGMA = -6.0
OVER_BATCH = "the best σ"  # what one number is found for over all samples


def log_sigma(samples: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """softclip(½ log MSE over batch, channels and places, -6), a scalar."""
    mse = (samples - decoded.float()).square().mean()
    return LOWEST_LOG_SIGMA + softplus(0.5 * mse.clamp_min(1e-12).log() - LOWEST_LOG_SIGMA)


def reconstruction(samples: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Σ [(x - x̂)² / 2σ² + log σ + ½ log 2π] over channels and places."""
    log_s = log_sigma(samples, decoded)
    error = (samples - decoded.float()).square().flatten(1).sum(1)
    places = samples[0].numel()
    return 0.5 * error * torch.exp(-2 * log_s) + places * (log_s + 0.5 * math.log(2 * math.pi))
