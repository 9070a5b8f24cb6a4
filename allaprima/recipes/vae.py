"""A residual σ-VAE: it has an encoder, so pictures can be put in, and a likelihood. Its samples are softer than a GAN's.

``allaprima train DATASET RUN --recipe vae --minutes 10``. On 2 Zen4 cores it shows its nets about 650 images a second at
32 px and 530 at 64 px. To expect after ten minutes on a third of a core at 32 px and half the width, kernel distance on
``domain`` features against the test split: 3.8 on sprites, 2.2 on Fashion-MNIST; the log has the runs.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """All defaults of the method ``vae``, for ``minutes`` of 2 CPU cores."""
    return load(RunConfig, {"method": "vae", "budget": {"minutes": minutes}})
