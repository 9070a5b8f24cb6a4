"""The same picture twice, whatever its file's name or format: equal in every stored pixel."""

from __future__ import annotations

import numpy as np

from allaprima.data.checks import Limits, Prints


def among(prints: Prints, limits: Limits) -> dict[int, tuple[int, str]]:
    """Repeated place → (the place of the first, reason)."""
    _, first, inverse = np.unique(prints.digests, return_index=True, return_inverse=True)
    keepers = first[inverse]
    repeats = np.flatnonzero(keepers != np.arange(len(keepers)))
    return {int(prints.places[r]): (int(prints.places[keepers[r]]), "the same picture as") for r in repeats}
