"""Which generators a server shows, and what they are called. Use: ``engines = open_all([Path("runs/cats")])``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from allaprima.bundle.bundle import Bundle
from allaprima.runtime.engine import Engine


def open_all(runs: Sequence[Path], engine: str | None = None, device: torch.device | str = "cpu") -> dict[str, Engine]:
    """Each bundle by its folder's name; a second of the same name is called ``name-2``. Raises UserError as ``Bundle.load``."""
    engines: dict[str, Engine] = {}
    for run in runs:
        stem = name = run.resolve().name
        number = 1
        while name in engines:
            number += 1
            name = f"{stem}-{number}"
        engines[name] = Engine(Bundle.load(run, device), engine)
    return engines
