"""The generator that comes with the package: ``studies``, asked for in words, small enough to ship.

``allaprima prepare studies datasets/studies --size 64 --count 6000``, then ``allaprima train datasets/studies runs/starter
--recipe starter``; ``python tools/starter.py runs/starter`` puts its bundle into the package. For what to expect see ``LOG.md``.
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(images: int = 120_000) -> RunConfig:
    """Budgeted in images, so that it is the same on every machine: about 25 minutes of a core."""
    return load(RunConfig, {"method": "gan", "condition": "text", "budget": {"images": images}})
