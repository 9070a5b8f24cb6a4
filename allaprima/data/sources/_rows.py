"""Pictures that lie one behind the other in a stream, compressed or not: read forwards, never all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from allaprima.data.refused import Refused


@dataclass
class Rows:
    """``count`` equal pictures of ``shape`` uint8, behind ``offset`` bytes of what ``open_stream`` opens.

    A worker asks for rising rows, so a compressed stream is unpacked once; asking for an earlier row starts again.
    """

    open_stream: Callable[[], BinaryIO]
    offset: int
    shape: tuple[int, ...]
    _stream: BinaryIO | None = field(default=None, repr=False)
    _position: int = 0

    def read(self, row: int) -> np.ndarray:
        """Picture ``row``: uint8 of ``shape``. Raises Refused when the stream ends or is damaged before its end."""
        size = int(np.prod(self.shape))
        start = self.offset + row * size
        try:
            if self._stream is None or start < self._position:
                self.close()
                self._stream = self.open_stream()
            self._stream.seek(start)
            data = self._stream.read(size)
            self._position = start + len(data)
        except Exception as error:  # every decompressor has its own exceptions
            self.close()
            raise Refused("unreadable", f"the archive is damaged here ({type(error).__name__})") from error
        if len(data) < size:
            raise Refused("unreadable", "the file ends before this picture does")
        return np.frombuffer(data, np.uint8).reshape(self.shape)

    def read_all(self, count: int) -> np.ndarray:
        """Pictures 0 to ``count`` - 1 at once: uint8 ``[count, *shape]``. Raises Refused as ``read`` does."""
        whole = Rows(self.open_stream, self.offset, (count, *self.shape))
        try:
            return whole.read(0)
        finally:
            whole.close()

    def close(self) -> None:
        """Forget the stream; the next read opens it again."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._position = None, 0

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_stream": None, "_position": 0}  # every process opens its own
