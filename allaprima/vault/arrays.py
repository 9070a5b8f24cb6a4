"""An array in a sealed file, of which no more is decrypted than what is asked for."""

from __future__ import annotations

import io
import math
import operator
from typing import Any

import numpy as np

from allaprima.vault.sealed import Opened

LONGEST_HEADER = 4096  # of a .npy file, far more than ours have


class Sealed:
    """Stands for a read-only memory map: ``shape``, ``dtype``, ``len``, ``np.asarray``, and rows by number, slice, numbers or
    mask, with what a tuple asks of each row.
    """

    def __init__(self, file: Opened) -> None:
        """Raises ValueError where the file holds no plain C-ordered array, or less than it says."""
        self._file = file
        head = io.BytesIO(file.read(0, LONGEST_HEADER))
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, fortran, self.dtype = read(head)
        self._begin = head.tell()
        self._row = math.prod(self.shape[1:]) * self.dtype.itemsize
        self.nbytes = self.shape[0] * self._row if self.shape else self.dtype.itemsize
        if fortran or not self.shape or self.dtype.hasobject or self._begin + self.nbytes != file.length:
            raise ValueError("it holds no array that can be read in rows")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self._rows(0, len(self))
        return found if dtype is None else found.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            if key and isinstance(key[0], (int, np.integer)):
                return self[key[0]][key[1:]]
            rows = self[key[0]] if key and key[0] is not Ellipsis else np.asarray(self)
            return rows[(slice(None), *key[1:])] if key and key[0] is not Ellipsis else rows[key]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._rows(start, max(start, stop))
            return self[np.arange(start, stop, step)]
        if isinstance(key, (int, np.integer)):
            return self._rows(self._place(operator.index(key)), None)
        if key is Ellipsis:
            return np.asarray(self)
        return self._gathered(np.asarray(key))

    def _gathered(self, key: np.ndarray) -> np.ndarray:
        if key.dtype == bool:
            if key.shape != self.shape[:1]:
                raise IndexError(f"the mask has the shape {key.shape}, and there are {len(self)} rows")
            key = np.flatnonzero(key)
        if key.dtype.kind not in "iu" and key.size:
            raise IndexError("rows are asked for by numbers, a mask or a slice")
        found = np.empty((key.size, *self.shape[1:]), self.dtype)
        for row, place in enumerate(key.reshape(-1).tolist()):
            found[row] = self._rows(self._place(place), None)
        return found.reshape(*key.shape, *self.shape[1:])

    def _place(self, number: int) -> int:
        place = number + len(self) if number < 0 else number
        if not 0 <= place < len(self):
            raise IndexError(f"there is no row {number} among {len(self)}")
        return place

    def _rows(self, start: int, stop: int | None) -> np.ndarray:
        """Rows from ``start`` to before ``stop``, or the one row, in memory of their own."""
        count = 1 if stop is None else stop - start
        found = np.frombuffer(self._file.read(self._begin + start * self._row, count * self._row), self.dtype)
        shaped = found.reshape(count, *self.shape[1:]).copy()
        return shaped if stop is not None else shaped[0]
