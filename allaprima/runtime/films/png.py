"""Numbered PNGs in a .zip, lossless and with transparency, beside ``frames.ffconcat``, which says how long each is seen.

FFmpeg reads it: ``ffmpeg -i frames.ffconcat film.mov``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from allaprima.runtime.encoding import encode_png

TITLE, SUFFIX, MEDIA_TYPE = "PNG sequence", ".zip", "application/zip"


class PngWriter:
    """One file a frame; what is kept in memory is the list of times."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)  # PNGs are compressed already
        self._lines = ["ffconcat version 1.0"]

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        name = f"{(len(self._lines) + 1) // 2:06d}.png"
        self._file.writestr(name, encode_png(frame))
        self._lines += [f"file {name}", f"duration {duration:.6f}"]

    def close(self) -> None:
        self._file.writestr("frames.ffconcat", "\n".join(self._lines) + "\n")
        self._file.close()


def writer(path: Path, shape: tuple[int, int, int], last: float) -> PngWriter:
    """See ``runtime.films``."""
    return PngWriter(path)
