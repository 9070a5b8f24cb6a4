"""A residual σ-VAE: it has an encoder, so pictures can be put in, and a likelihood. Its samples are softer than a GAN's.

``allaprima train DATASET RUN --recipe vae --minutes 10``. On 2 Zen4 cores it shows its nets about 650 images a second at
32 px and 530 at 64 px. Its samples from N(0, I) are poor as yet: the race (``make race``) has the figures, and the log.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """All defaults of the method ``vae``, for ``minutes`` of 2 CPU cores."""
    return load(RunConfig, {"method": "vae", "budget": {"minutes": minutes}})
