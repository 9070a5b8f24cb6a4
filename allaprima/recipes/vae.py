"""A σ-VAE with a fitted prior and an opponent for the last half: it has an encoder, so pictures can be put in, and a
likelihood. Its samples are softer than a GAN's.

``allaprima train DATASET RUN --recipe vae --minutes 10``. To expect from ten minutes of one core of the log's second machine,
which shows it about 900 images a second at 32 px, Fréchet distance on the race's features against the test split (``LOG.md``):
38 on Fashion-MNIST, 32 on sprites; real pictures have 1 and 3.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """All defaults of the method ``vae``, for ``minutes`` of 2 CPU cores."""
    return load(RunConfig, {"method": "vae", "budget": {"minutes": minutes}})
