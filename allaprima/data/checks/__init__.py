"""What a picture must not be. One check a file; its name stands in the report.

A check has one of these functions; each gives a reason in words, or None:

    explain(error, name)            a file that could not be opened or decoded, and the exception
    header(picture, limits)         before decoding: an opened PIL picture, whose size is known
    pixels(sight, limits)           after decoding
    among(prints, limits)           when all pictures are known: place → (the place it repeats, reason)

The first three run in the worker processes, so they import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from allaprima.core.catalog import Catalog

if TYPE_CHECKING:
    from PIL import Image

CHECKS = Catalog("check", __name__)


@dataclass(frozen=True)
class Limits:
    """Where the checks draw their lines. Sides in pixels, levels of 255."""

    min_side: int = 8
    max_pixels: int = 80_000_000
    flat_levels: int = 4
    keep_noise: bool = False


@dataclass(frozen=True)
class Sight:
    """A decoded picture, mode L, RGB or RGBA, and how it will be stored: uint8 ``[H, W, C]``.

    ``stored`` is without the border that ``pad`` adds, which says nothing of the picture. ``scale`` is the decoded
    width over the file's own: below 1 where JPEG was decoded at a part of its size.
    """

    decoded: Image.Image
    stored: np.ndarray
    scale: float = 1.0


@dataclass(frozen=True)
class Prints:
    """The usable pictures, best first: those of test and validation splits, then the largest.

    ``places`` int64 ``[N]`` are their rows in ``stored`` uint8 ``[M, H, W, C]``; ``digests`` void16 and ``hashes``
    uint64 ``[N]``, in the same order as ``places``.
    """

    places: np.ndarray
    digests: np.ndarray
    hashes: np.ndarray
    stored: np.ndarray


@lru_cache(maxsize=8)
def having(stage: str) -> dict[str, Callable[..., Any]]:
    """The checks that have the function ``stage``, in the order of their names."""
    modules = {name: CHECKS.get(name) for name in CHECKS.names()}
    return {name: getattr(module, stage) for name, module in modules.items() if hasattr(module, stage)}


def reasons(stage: str, *seen: object) -> Iterator[tuple[str, str]]:
    """(check, reason) of every check of the stage that objects."""
    for name, check in having(stage).items():
        reason = check(*seen)
        if reason:
            yield name, reason
