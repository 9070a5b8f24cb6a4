"""How well an autoencoder explains pictures that it never saw, in bits for each value of an 8-bit picture.

The decoder is a Gaussian about its picture x̂(z), with one variance σ² for all values (σ-VAE, Rybkin et al. 2021). A picture
v of D values 0 … 255 gets uniform noise and comes to where the nets work:

    t = (v + u) / 127.5 - 1,  u ~ U[-½, ½)^D
    log P(v) ≥ E_u[log p(t)] - D log 127.5          (Theis, van den Oord, Bethge 2016, section 3.1)
    bits/dim = (log 127.5 - log p(t) / D) / log 2   (8 for the uniform distribution over 256 levels)

log p(t) itself is bounded from below by the mean over K draws z of q(z|v) (Burda, Grosse, Salakhutdinov 2016, eq. 8):

    w = p(t|z) p(z) / q(z|v);   ELBO = mean of log w ≤ log of the mean of w ≤ log p(t)

p(z) is N(0, I), towards which an autoencoder is trained, whatever prior its samples are drawn from.
D = channels × height × width. With an alpha channel the colours are premultiplied by it and rounded to 256 levels, and
alpha is one of the channels. For a conditional autoencoder everything is given the picture's own class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from allaprima.core.seeds import torch_stream
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._autoencoder import Encoded, encode
from allaprima.evaluation.metrics._bootstrap import interval_of_mean

GROUP = "Autoencoder"
FIGURES = ("ELBO, bits/dim", "likelihood, bits/dim")
MOST_PICTURES, FEWEST_PICTURES = 200, 32
MOST_DRAWS, FEWEST_DRAWS = 64, 8
PIXELS_DECODED = MOST_PICTURES * MOST_DRAWS * 32 * 32  # larger pictures get fewer draws, then fewer pictures
FIT_PICTURES = 256
DECODED_AT_ONCE = 64
LEVEL = 1 / 127.5  # one of 256 levels, in the nets' [-1, 1]
LEAST_VARIANCE = LEVEL**2 / 12  # of the noise u: no picture can be told more exactly


def measure(material: Material) -> Iterator[Figure]:
    """ELBO and importance-weighted likelihood of held-out pictures; nothing for a generator without an encoder."""
    painter: Any = material.painter
    if painter.encoder is None:
        return
    pictures, draws = effort(int(np.prod(painter.domain.shape.spatial)))
    held_out = encode(painter, material.dataset, material.real_places, pictures)
    train = encode(painter, material.dataset, material.searched_places, FIT_PICTURES)
    variance = fit_variance(painter, train, material.seed)
    weights = log_weights(painter, held_out, variance, draws, material.seed)
    dims = held_out.samples[0].numel()
    found = (
        ("ELBO, bits/dim", weights.mean(1), "by the evidence lower bound on the likelihood"),
        (
            "likelihood, bits/dim",
            weights.logsumexp(1) - math.log(draws),
            "by importance weighting, which comes nearer to the truth than the ELBO",
        ),
    )
    for name, nats, how in found:
        scores = bits_per_dim(nats, dims)
        yield Figure(
            name=name,
            value=float(scores.mean()),
            interval=interval_of_mean(scores, material.seed, name),
            better="lower",
            meaning=f"Bits that each value of a picture it never saw costs the autoencoder, at most, {how}.",
            note=f"{len(held_out)} pictures, {draws} draws each, {dims:,} values of 8 bits; σ {_levels(variance)} levels"
            + (", given the class" if painter.classes else "")
            + "; ceiling: all 256 levels alike likely",
            ceiling=8.0,
            details={
                "nats": float(nats.mean()) - dims * math.log(127.5),
                "dimensions": dims,
                "pictures": len(held_out),
                "draws": draws,
                "sigma_levels": math.sqrt(variance) / LEVEL,
            },
        )


def effort(pixels: int) -> tuple[int, int]:
    """How many held-out pictures of so many pixels are looked at, and with how many draws each."""
    draws = min(MOST_DRAWS, max(FEWEST_DRAWS, PIXELS_DECODED // (pixels * MOST_PICTURES)))
    return min(MOST_PICTURES, max(FEWEST_PICTURES, PIXELS_DECODED // (pixels * draws))), draws


def bits_per_dim(nats: torch.Tensor, dims: int) -> torch.Tensor:
    """log p(t) in nats, a density over [-1, 1]^dims → bits for each 8-bit value."""
    return (math.log(127.5) - nats / dims) / math.log(2)


def fit_variance(painter: Any, train: Encoded, seed: int) -> float:
    """The σ² with the highest ELBO on these pictures: the mean squared error over draws of q(z|v) (σ-VAE, eq. 5)."""
    targets = dequantised(train, seed, "fit")
    noise = torch.stack([_normal(train.mean[i].shape, seed, "fit", i) for i in range(len(train))])
    decoded = painter.decode(train.mean + noise * (0.5 * train.log_variance).exp(), train.labels)
    return max(LEAST_VARIANCE, float((targets - decoded).double().square().mean()))


def log_weights(painter: Any, pictures: Encoded, variance: float, draws: int, seed: int) -> torch.Tensor:
    """log p(t|z) p(z) / q(z|v) in nats for ``draws`` z of q(z|v): float64 ``[N, draws]``. A few pictures at a time."""
    targets = dequantised(pictures, seed, "measure")
    places = torch.arange(len(pictures)).split(max(1, DECODED_AT_ONCE // draws))
    return torch.cat([_log_weights(painter, pictures, targets, part, variance, draws, seed) for part in places])


def _log_weights(
    painter: Any, pictures: Encoded, targets: torch.Tensor, places: torch.Tensor, variance: float, draws: int, seed: int
) -> torch.Tensor:
    noise = torch.stack([_normal((draws, pictures.mean.shape[1]), seed, "measure", int(place)) for place in places])
    log_variance = pictures.log_variance[places, None]
    z = pictures.mean[places, None] + noise * (0.5 * log_variance).exp()  # [n, draws, latent_dim]
    decoded = painter.decode(z.flatten(0, 1), pictures.labels[places].repeat_interleave(draws, dim=0))
    decoded = decoded.view(len(places), draws, *targets.shape[1:])
    error = (targets[places, None] - decoded).flatten(2).square().sum(2, dtype=torch.float64)
    likelihood = -0.5 * (error / variance + targets[0].numel() * math.log(2 * math.pi * variance))
    # log p(z) - log q(z|v): the constants ½ log 2π of both cancel
    return likelihood + 0.5 * (noise.square() + log_variance - z.square()).sum(2, dtype=torch.float64)


def dequantised(pictures: Encoded, seed: int, name: str) -> torch.Tensor:
    """The pictures with noise of one level's width, each its own: float32 ``[N,C,H,W]``."""
    shape = pictures.samples[0].shape
    noise = [
        torch.rand(shape, generator=torch_stream(seed, f"dequantise/{name}", i)) - 0.5 for i in range(len(pictures))
    ]
    return pictures.samples + LEVEL * torch.stack(noise)


def _normal(shape: Any, seed: int, name: str, place: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch_stream(seed, f"importance/{name}", place))


def _levels(variance: float) -> str:
    return f"{math.sqrt(variance) / LEVEL:.1f}"
