"""Frames → a container, through PyAV (FFmpeg)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from allaprima.core.errors import UserError
from allaprima.marks import watermarked

TICKS = 1000  # a second, in which times are kept
MODES = {1: "gray", 3: "rgb24", 4: "rgba"}


def av() -> ModuleType:
    """PyAV. Raises UserError where it is not installed."""
    try:
        import av
    except ImportError:
        raise UserError("Films need the package av, which is not installed", "pip install 'allaprima[film]'") from None
    return av


class VideoWriter:
    """One stream of one codec. Frames are padded to even sides, which 4:2:0 colours ask for, by repeating the border."""

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        codec: str,
        pixels: str,
        encoding: dict[str, str],
        tags: dict[str, str] | None = None,
        **container: Any,
    ) -> None:
        self._av = av()
        height, width, self._channels = shape
        self._pad = (height % 2, width % 2)
        self._container = self._av.open(str(path), "w", **container)
        self._container.metadata.update(tags or {})
        self._stream = self._container.add_stream(codec, options=encoding)
        self._stream.height, self._stream.width = height + self._pad[0], width + self._pad[1]
        self._stream.pix_fmt = pixels
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._durations: dict[int, int] = {}  # by the time of the frame, until its packet is there

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        padded = np.pad(watermarked(frame), ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        picture = self._av.VideoFrame.from_ndarray(
            np.ascontiguousarray(padded if self._channels > 1 else padded[..., 0]), MODES[self._channels]
        )
        picture.time_base = Fraction(1, TICKS)
        picture.pts = round(seconds * TICKS)
        self._durations[picture.pts] = round((seconds + duration) * TICKS) - picture.pts
        self._put(picture)

    def close(self) -> None:
        self._put(None)
        self._container.close()

    def _put(self, picture: Any) -> None:
        for packet in self._stream.encode(picture):
            packet.duration = self._durations.pop(packet.pts)  # most encoders forget it
            self._container.mux(packet)
