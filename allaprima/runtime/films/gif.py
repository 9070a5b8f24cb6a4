"""GIF: 256 colours of each frame's own, times in hundredths of a second, repeated for ever. Transparency is all or nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.marks import watermarked
from allaprima.runtime.films._video import MODES, av

TITLE, SUFFIX, MEDIA_TYPE = "GIF", ".gif", "image/gif"
TICKS = 100
SHORTEST = 2  # ticks


class GifWriter:
    """FFmpeg's palettegen and paletteuse, frame by frame."""

    def __init__(self, path: Path, shape: tuple[int, int, int], last: float) -> None:
        self._av = av()
        height, width, channels = shape
        self._mode, self._grey = MODES[channels], channels == 1
        self._graph = self._av.filter.Graph()
        self._source = self._graph.add_buffer(
            width=width, height=height, format=self._mode, time_base=Fraction(1, TICKS)
        )
        split, palette = self._graph.add("split"), self._graph.add("palettegen", "stats_mode=single")
        used, self._sink = self._graph.add("paletteuse", "new=1:dither=sierra2_4a"), self._graph.add("buffersink")
        self._source.link_to(split)
        split.link_to(used, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(used, 0, 1)
        used.link_to(self._sink)
        self._graph.configure()
        # a frame lasts until the next; of the last one the format has to be told beforehand
        options = {"loop": "0", "final_delay": str(max(1, round(last * TICKS)))}
        self._container = self._av.open(str(path), "w", format="gif", options=options)
        self._stream = self._container.add_stream("gif")
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "pal8"
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._next = 0

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        ticks = round(seconds * TICKS)
        if ticks < self._next:
            return  # what is seen too shortly every player shows for a tenth of a second: it is left out instead
        self._next = ticks + SHORTEST
        frame = watermarked(frame)
        given = np.ascontiguousarray(frame[..., 0] if self._grey else frame)
        picture = self._av.VideoFrame.from_ndarray(given, self._mode)
        picture.pts = ticks
        picture.time_base = Fraction(1, TICKS)
        self._source.push(picture)
        self._drain()

    def close(self) -> None:
        self._source.push(None)
        self._drain()
        self._put(None)
        self._container.close()

    def _drain(self) -> None:
        while True:
            try:
                made = self._sink.pull()
            except (self._av.error.BlockingIOError, self._av.error.EOFError):
                return
            self._put(made)

    def _put(self, picture: Any) -> None:
        for packet in self._stream.encode(picture):
            self._container.mux(packet)


def writer(path: Path, shape: tuple[int, int, int], last: float) -> GifWriter:
    """See ``runtime.films``."""
    return GifWriter(path, shape, last)
