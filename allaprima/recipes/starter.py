"""The generator that comes with the package: ``studies``, asked for in words, small enough to ship.

``allaprima prepare studies datasets/studies --size 64 --count 12000``, then ``allaprima train datasets/studies runs/starter
--recipe starter --minutes 80`` (half a million images on one core with bf16; on a slower one, ``--images 500k``);
``python tools/starter.py runs/starter`` puts it into the package. To expect: sketches after 40,000 images; shapes that are told
apart, without a weave, from 110,000 on (``LOG.md``).
"""

from __future__ import annotations

from allaprima.core.config import load
from allaprima.training.config import RunConfig

# small enough to ship; spectra matched against the weave; a little against painting one picture for each wish
METHOD = {"name": "gan", "generator": {"name": "residual", "width": 32}, "texture": 10, "variety": 0.1}


def config(minutes: float = 80.0) -> RunConfig:
    """A GAN that follows texts."""
    return load(RunConfig, {"method": METHOD, "condition": "text", "budget": {"minutes": minutes}})
