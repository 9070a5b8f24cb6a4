"""What a film is written as. One format a file: ``TITLE``, ``SUFFIX``, ``MEDIA_TYPE``, and ``writer(path, shape, last)``.

Frames go to the disk as they come: memory does not grow with the film. Each is seen from its own time on, in ticks of the format.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from allaprima.bundle.bundle import Bundle
from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError, suggest
from allaprima.marks import mark_file
from allaprima.runtime.encoding import resized
from allaprima.runtime.engine import Engine
from allaprima.runtime.film import Film, Moment

FORMATS = Catalog("film format", __name__)
TOGETHER = 8  # states painted at once


class Writer(Protocol):
    """``add`` frames in order, then ``close``."""

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        """uint8 ``[H, W, C]``, C 1, 3 or 4, seen from ``seconds`` on for ``duration``."""
        ...

    def close(self) -> None: ...


def format_of(path: Path) -> str:
    """The format that a file's ending names. Raises UserError for another."""
    for name in FORMATS.names():
        if path.suffix.lower() == FORMATS.get(name).SUFFIX:
            return name
    endings = [FORMATS.get(name).SUFFIX for name in FORMATS.names()]
    raise UserError(f"'{path.name}' ends in no known format", suggest(path.suffix, endings))


def writer_of(path: Path, name: str, film: Film, shape: tuple[int, int, int]) -> Writer:
    """A writer of the format ``name`` for frames of ``shape`` (H, W, C), which are enlarged as the film asks.

    Raises UserError for an unknown format, and without what it needs.
    """
    height, width = _size(film, shape)
    (last,) = deque(film.moments(), maxlen=1)
    kind = FORMATS.get(name)
    writer: Writer = Marking(kind.writer(path, (height, width, shape[2]), last.duration), path, kind.MEDIA_TYPE)
    return writer if (height, width) == shape[:2] else Enlarging(writer, (width, height), film.crisp)


def write(engine: Engine, film: Film, path: Path, said: Callable[[int], None] = lambda _: None) -> None:
    """Paint the whole film to ``path``, whole or not at all, in the format that its ending names.

    ``said`` is told of each frame, by its count of 1.
    """
    name = format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".film-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        with contextlib.closing(writer_of(made, name, film, frame_shape(engine.bundle))) as writer:
            for part in batches(film):
                for moment, frame in zip(part, engine.render([one.state for one in part]), strict=True):
                    writer.add(frame, moment.seconds, moment.duration)
                    said(1)
        os.replace(made, path)


def frame_shape(bundle: Bundle) -> tuple[int, int, int]:
    """H, W, C of what a bundle paints. Raises UserError for what is no picture."""
    shape = bundle.domain.shape
    if len(shape.spatial) != 2:
        raise UserError("A film is made of pictures", "open a generator of pictures")
    return shape.spatial[0], shape.spatial[1], shape.channels


def batches(film: Film) -> Iterator[list[Moment]]:
    """The film's moments, some at a time."""
    moments = film.moments()
    while part := list(islice(moments, TOGETHER)):
        yield part


class Marking:
    """A writer whose file is marked as generated once it is there; of a .zip, each picture in it is."""

    def __init__(self, writer: Writer, path: Path, media_type: str) -> None:
        self._writer, self._path, self._media_type = writer, path, media_type

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        self._writer.add(frame, seconds, duration)

    def close(self) -> None:
        self._writer.close()
        if self._path.exists():  # a film without frames is none
            mark_file(self._path, self._media_type)


class Enlarging:
    """A writer that enlarges what it is given to ``size`` (width, height)."""

    def __init__(self, writer: Writer, size: tuple[int, int], crisp: bool) -> None:
        self._writer, self._size, self._crisp = writer, size, crisp

    def add(self, frame: np.ndarray, seconds: float, duration: float) -> None:
        self._writer.add(resized(frame, *self._size, self._crisp), seconds, duration)

    def close(self) -> None:
        self._writer.close()


def _size(film: Film, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Height and width as asked for, whole multiples where pixels are to stay squares."""
    longer = max(shape[:2])
    if not film.size or film.size == longer:
        return shape[0], shape[1]
    scale = film.size / longer
    if film.crisp:
        scale = max(1, round(scale))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
