"""Pictures made small enough to be kept in memory by the thousand: for classifiers, and for what is compared pixelwise.

Use: ``small_pictures(dataset, places)``; uint8 ``[N,C,h,w]``, colour premultiplied by alpha where there is one.
"""

from __future__ import annotations

import numpy as np
import torch

from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import chunks
from allaprima.evaluation.features._net import smaller

SIDE = 64


def shrink(samples: torch.Tensor, side: int = SIDE) -> torch.Tensor:
    """float ``[N,C,H,W]`` in [-1, 1] → uint8 ``[N,C,h,w]``, longer side at most ``side`` px, by averaging."""
    return smaller(samples, side).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def small_pictures(dataset: Dataset, places: np.ndarray, side: int = SIDE) -> torch.Tensor:
    """Stored pictures, a part at a time: uint8 ``[len(places),C,h,w]``."""
    pieces = chunks(len(places), int(np.prod(dataset.images.shape[1:])))
    small = torch.empty(0, dataset.domain.shape.channels, 0, 0, dtype=torch.uint8)
    for piece in pieces:
        part = shrink(dataset.domain.to_tensor(dataset.images[places[piece.start : piece.stop]]), side)
        if piece.start == 0:  # filled in place: parts to be joined would need twice the memory
            small = torch.empty(len(places), *part.shape[1:], dtype=torch.uint8)
        small[piece.start : piece.stop] = part
    return small
