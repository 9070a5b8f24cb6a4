"""Directions of a generator's latent space along which its pictures change most.

With φ the features of a picture and G the generator, a small step d changes what is seen by ‖J d‖, J the Jacobian of
φ(G(z)). The eigenvectors of E_z[JᵀJ] with the largest eigenvalues are such directions for the whole space (Wang, Ponce 2021,
"The geometry of deep generative image models and its applications", section 2). J is taken by finite differences, so any
generator will do, whatever is inside it.

Use: ``values, vectors = strongest(painter, features, 8, seed=0)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from allaprima.core.seeds import torch_stream
from allaprima.evaluation.asking import repeated
from allaprima.evaluation.metrics import NotMeasuredError

STEP = 0.5
MOST_STEPS = 64  # directions that are tried; in larger latent spaces a random subspace of that many
PIXELS_PAINTED = 8 * MOST_STEPS * 32 * 32  # from eight latents at 32 px, from fewer where pictures are larger
FEWEST_LATENTS = 2


def strongest(
    painter: Any, features: Any, count: int, seed: int, wish: Callable[[int], torch.Tensor] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``count`` strongest: mean change of features per unit step ``[count]`` and unit vectors ``[count, latent_dim]``.

    ``wish(n)`` gives what n samples are asked to be, by default what the painter draws.

    Raises NotMeasuredError where features are not finite numbers.
    """
    pixels = int(np.prod(painter.domain.shape.spatial))
    num_starts = max(FEWEST_LATENTS, min(8, PIXELS_PAINTED // (MOST_STEPS * pixels)))
    labels = wish(num_starts) if wish is not None else painter.asked(num_starts, seed)
    starts = painter.latents(num_starts, seed, asked=labels)
    dim = starts.shape[1]
    steps = torch.eye(dim)
    if dim > MOST_STEPS:
        drawn = torch.randn(dim, MOST_STEPS, generator=torch_stream(seed, "directions"))
        steps = torch.linalg.qr(drawn).Q.T
    metric = torch.zeros(len(steps), len(steps), dtype=torch.float64)
    for z, y in zip(starts, labels, strict=True):
        latents = torch.cat([z[None], z + STEP * steps])
        seen = features.extract(painter.decode(latents, repeated(y, len(latents))))
        change = ((seen[1:] - seen[0]) / STEP).double()  # the rows of Jᵀ, one a step
        metric += change @ change.T / len(starts)
    if not metric.isfinite().all():
        raise NotMeasuredError("The features of the samples are not finite numbers", "look at them: are they broken?")
    values, vectors = torch.linalg.eigh(metric)  # ascending
    best = vectors.flip(1)[:, :count].T.float()
    return values.flip(0)[:count].clamp_min(0).sqrt().float(), best @ steps
