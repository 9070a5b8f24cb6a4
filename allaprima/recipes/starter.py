"""The generator that comes with the package: ``studies``, asked for in words, small enough to ship.

``allaprima prepare studies datasets/studies --size 64 --count 6000``, then ``allaprima train datasets/studies runs/starter
--recipe starter --images 120k``, about 30 minutes of a slow core; ``python tools/starter.py runs/starter`` puts it into the
package. To expect: words are followed, pictures are sketches, and one wish gives pictures that are much alike (``LOG.md``).
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig


def config(minutes: float = 25.0) -> RunConfig:
    """A GAN that follows texts."""
    return load(RunConfig, {"method": "gan", "condition": "text", "budget": {"minutes": minutes}})
