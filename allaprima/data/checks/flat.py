"""One colour and nothing else: a failed scan, a lens cap, an empty layer."""

from __future__ import annotations

import numpy as np

from allaprima.data.checks import Limits, Sight


def pixels(sight: Sight, limits: Limits) -> str | None:
    """No channel of what would be stored varies by more than ``flat_levels``."""
    for channel in np.moveaxis(sight.stored, 2, 0):
        if int(channel.max()) - int(channel.min()) > limits.flat_levels:
            return None
    flat = sight.stored.reshape(-1, sight.stored.shape[2])
    if sight.stored.shape[2] == 4 and not flat[:, 3].any():
        return "wholly transparent"
    return f"one colour {tuple(int(c) for c in np.round(flat.mean(axis=0)))}"
