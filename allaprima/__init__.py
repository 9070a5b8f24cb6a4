"""Alla Prima: a person's own pictures in, a live generator out.

Use: ``allaprima.load("runs/cats").sample(16, seed=0)`` gives sixteen PIL pictures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from allaprima.bundle.bundle import Bundle

__version__ = "0.1.0"

# The one thing that must happen at import: it has to stand before torch is loaded. OpenMP threads that spin while they
# wait turn a 3 ms frame into a 170 ms one as soon as another process needs a core; sleeping threads do not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def load(path: str | Path, device: str = "cpu", download: bool = False) -> Bundle:
    """The generator of a run or bundle folder, or of an id on the Hugging Face hub (``download`` allows to fetch it).

    Raises ``core.errors.UserError`` when there is none or it is damaged.
    """
    from allaprima.bundle.bundle import Bundle

    return Bundle.load(path, device, download)
