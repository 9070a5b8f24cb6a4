"""A sprite sheet: all frames in one PNG, in rows, as game engines cut it up. It knows nothing of times."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from allaprima.core.errors import UserError
from allaprima.runtime.encoding import encode_png

TITLE, SUFFIX, MEDIA_TYPE = "Sprite sheet", ".png", "image/png"
MOST_PIXELS = 4096 * 4096


class SheetWriter:
    """As near to a square as whole rows allow. Raises UserError when it would be larger than graphics cards take."""

    def __init__(self, path: Path) -> None:
        self._path, self._frames = path, list[np.ndarray]()

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        if (len(self._frames) + 1) * frame.shape[0] * frame.shape[1] > MOST_PIXELS:
            raise UserError(
                f"A sheet of more than {len(self._frames)} frames is too large", "make the film shorter, or smaller"
            )
        self._frames.append(frame)

    def close(self) -> None:
        if not self._frames:
            return
        height, width, channels = self._frames[0].shape
        columns = columns_of(len(self._frames))
        rows = math.ceil(len(self._frames) / columns)
        # what no frame covers is transparent, or black where there is no transparency
        sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
        sheet[: len(self._frames)] = self._frames
        grid = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
        self._path.write_bytes(encode_png(grid.reshape(rows * height, columns * width, channels), sign=False))


def columns_of(count: int) -> int:
    """Frames in a row of a sheet of ``count``."""
    return math.ceil(math.sqrt(count))


def writer(path: Path, shape: tuple[int, int, int], last: float) -> SheetWriter:
    """See ``runtime.films``."""
    return SheetWriter(path)
