"""The classic pair (Radford et al. 2016): dense → transposed convolutions against strided ones, batch normalisation in both.

``allaprima train DATASET RUN --recipe dcgan --minutes 10``. The baseline that the default is measured against
(``benchmarks/baseline.py``), not a recommendation: its discriminator wins early, and its best moment comes long before its
last. Binary cross-entropy in the non-saturating form, no penalty, no augmentation; batches of 128, Adam with 2e-4 and
β1 = .5 throughout.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """The article's settings, for ``minutes`` of 2 CPU cores."""
    method = {
        "name": "gan",
        "generator": "dcgan",
        "discriminator": "dcgan",
        "loss": "non_saturating",
        "augment": [],
        "reconstruct": 0.0,
    }
    training = {
        "batch_size": 128,
        "lr": 2e-4,
        "beta1": 0.5,
        "beta2": 0.999,
        "schedule": "constant",
        "warm_up_images": 0,
    }
    return load(RunConfig, {"method": method, "training": training, "budget": {"minutes": minutes}})
