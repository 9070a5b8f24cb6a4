"""The default: a small residual GAN with a relativistic loss, by class where there are classes.

``allaprima train DATASET RUN --recipe gan --minutes 10``. A core of the log's second machine shows its nets about 350 images a
second at 32 px. To expect from ten minutes of it without labels, Fréchet distance on the race's features against the test split
(``LOG.md``): 9 on Fashion-MNIST, 15 on sprites; real pictures have 1 and 3.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """All defaults, for ``minutes`` of 2 CPU cores."""
    return load(RunConfig, {"method": "gan", "budget": {"minutes": minutes}})
