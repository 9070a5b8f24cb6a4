"""Batches in which each training picture takes part by chance, on its own: what the accounts of DP-SGD hold for.

A batch has ``batch_size`` pictures in the mean, and may have none. Who takes part follows from a secret (methods._promise), not
from the run's seed, and from how many such batches were used, not from the step: after a return to an earlier moment others
come.

Use: ``ByChance(draw=promise.draw, dataset=dataset, split="train", …).batch(step)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from allaprima.data.batch import Batch
from allaprima.data.loader import Loader


class ByChance(Loader):
    """As ``Loader``; ``draw`` says who of the split is next: bool ``[num_images]``. Nothing is read ahead."""

    def __init__(self, draw: Callable[[], np.ndarray], *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._draw = draw

    def batch(self, step: int) -> Batch:
        """The next batch, whatever ``step`` is."""
        return self._make(step)

    def ids(self, step: int) -> np.ndarray:
        """Places in the dataset of those who take part: int64."""
        return self._places[self._draw()]
