"""Whether pictures may be mirrored: yes, if a mirrored picture lies as near to the others as the picture itself does.

Digits and letters fail this, sprites and portraits pass. Judged on small grey copies of the training split.
"""

from __future__ import annotations

import itertools

import numpy as np

from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset

MOST = 1_000
SIDE = 16
TOLERANCE = 1.03  # mirrored pictures may be this much farther from their nearest neighbours


def looks_mirrored(dataset: Dataset, seed: int = 0) -> bool:
    """Mean nearest-neighbour distance of mirrored against that of plain pictures, each among all the other pictures."""
    places = dataset.indices("train")
    if len(places) > MOST:
        places = np.sort(numpy_stream(seed, "mirror").choice(places, MOST, replace=False))
    small = _thumbnails(dataset.images[places])
    plain = _nearest(small, small)
    mirrored = _nearest(small[:, :, ::-1], small)
    return bool(mirrored.mean() <= TOLERANCE * plain.mean())


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 ``[N, H, W, C]`` → float32 ``[N, 16, 16]``, means of blocks (nearest pixels where a side is smaller)."""
    grey = images[..., :3].mean(-1, dtype=np.float32)
    for axis in (1, 2):
        side = grey.shape[axis]
        edges = np.linspace(0, side, SIDE + 1).astype(int)
        parts = [
            np.take(grey, range(low, max(high, low + 1)), axis).mean(axis) for low, high in itertools.pairwise(edges)
        ]
        grey = np.stack(parts, axis)
    return grey


def _nearest(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Distance of each query to its nearest in the pool, its own place left out."""
    q, p = queries.reshape(len(queries), -1), pool.reshape(len(pool), -1)
    squared = (q**2).sum(1)[:, None] + (p**2).sum(1)[None] - 2 * q @ p.T
    np.fill_diagonal(squared, np.inf)
    return np.sqrt(np.maximum(squared.min(1), 0))
