"""How many latent dimensions an autoencoder uses (Burda, Grosse, Salakhutdinov 2016, section 4.2).

A dimension u is active where its posterior mean moves with the picture: A_u = Var_x(E_q(u|x)[u]) > 0.01.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.metrics._autoencoder import Encoded, encode
from allaprima.evaluation.metrics._bootstrap import resampling_weights

GROUP = "Autoencoder"
FIGURES = ("active units",)
MOST_PICTURES = 1000
THRESHOLD = 0.01


def measure(material: Material) -> Iterator[Figure]:
    """The number of active dimensions on held-out pictures; ``details`` say each dimension's variance and mean KL.

    Yields nothing for a generator without an encoder.
    """
    painter: Any = material.painter
    if painter.encoder is None:
        return
    pictures = encode(painter, material.dataset, material.real_places, MOST_PICTURES)
    once = torch.ones(len(pictures), 1)
    activity = variances(pictures.mean, once)[0]
    again = resampling_weights(len(pictures), material.seed, "active units")
    counts = (variances(pictures.mean, again) > THRESHOLD).sum(1).float()
    low, high = torch.quantile(counts, torch.tensor([0.025, 0.975])).tolist()
    active = float((activity > THRESHOLD).sum())
    yield Figure(
        name="active units",
        value=active,
        interval=(min(low, active), max(high, active)),
        better="higher",
        meaning="Latent dimensions that say something about a picture; the others could be left out.",
        note=f"of {len(activity)}, on {len(pictures)} pictures: the posterior mean varies by more than {THRESHOLD}"
        "; ceiling: all dimensions",
        ceiling=float(len(activity)),
        details={"variance": activity.tolist(), "kl_nats": kl_by_dimension(pictures).tolist()},
    )


def variances(means: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Unbiased variance of each column of ``[N,D]`` with each column of weights ``[N,R]`` of sum N: ``[R,D]``."""
    count = len(means)
    values = (means - means.mean(0)).double()  # near 0, so that the difference of squares is exact
    weights = weights.double().T / count
    return (weights @ values.square() - (weights @ values).square()) * count / (count - 1)


def kl_by_dimension(pictures: Encoded) -> torch.Tensor:
    """Mean over pictures of KL(q(u|x) ‖ N(0, 1)) of each latent dimension, in nats: ``[latent_dim]``."""
    mean, log_variance = pictures.mean, pictures.log_variance
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)
