"""The default: a small residual GAN with a relativistic loss, by class where there are classes.

``allaprima train DATASET RUN --recipe gan --minutes 10``. One Zen 4 core shows its nets about 400 images a second at 32 px. To
expect there without labels, Fréchet distance on ``domain`` features against the validation split (``LOG.md``): 10 on
Fashion-MNIST after 48,000 images, 9 on sprites after 200,000.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 10.0) -> RunConfig:
    """All defaults, for ``minutes`` of 2 CPU cores."""
    return load(RunConfig, {"method": "gan", "budget": {"minutes": minutes}})
