"""A sealed file: AES-256-GCM in chunks, each at its place or refused.

    8 bytes   ``APSEALED``
    4 bytes   version, and the exponent of a chunk's length, as bytes; two zeros
    16 bytes  a random number of the file's own
    8 bytes   length of the plain content, little-endian
    then      chunks of 2^exponent bytes (the last may be shorter, and is there even for an empty file), each with a tag of 16

Each file has a key of its own: HKDF-SHA256 (RFC 5869) of the folder's key and the file's random number. A chunk's nonce is its
number and whether it is the last (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015), and the header and the file's name are
authenticated with every chunk. So a flipped bit, a cut, something added, chunks or whole files that changed places: all
are refused, as soon as the place is read.

Use: ``seal(stream, length, out, key, "images.npy")``; ``Opened(path, key).read(offset, length)``.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from allaprima.core.errors import UserError

MAGIC = b"APSEALED"
VERSION = 1
EXPONENT = 16  # chunks of 64 KiB: a picture of 64 px is a fifth of one, and a tag costs nothing
HEADER = struct.Struct("<8sBBxx16sQ")
TAG = 16
KEY_BYTES = 32
CHANGED = "is damaged, or was changed, or is another file under its name"


def cipher(key: bytes) -> Any:
    """AES-256-GCM. Raises UserError where the package is missing."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise UserError("Encryption needs the package 'cryptography'", "pip install 'allaprima[vault]'") from None
    return AESGCM(key)


def is_sealed(path: Path) -> bool:
    """Whether a file is there and begins as sealed ones do."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def seal(source: BinaryIO, length: int, out: BinaryIO, key: bytes, name: str) -> None:
    """``length`` bytes of ``source`` into ``out``, a chunk at a time. ``name``: the file's, without its folder."""
    header = HEADER.pack(MAGIC, VERSION, EXPONENT, os.urandom(16), length)
    work, chunk = cipher(_own_key(key, header)), 1 << EXPONENT
    out.write(header)
    for number in range(_count(length, chunk)):
        plain = source.read(min(chunk, length - number * chunk))
        out.write(work.encrypt(_nonce(number, length, chunk), plain, header + name.encode()))


class Opened:
    """A sealed file, any part of which can be read, by several threads, and by processes that it is handed to."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Raises ValueError where it is cut short or too long, or of a form that is not known."""
        self.path, self._key = path, key
        self._bytes: np.ndarray = np.memmap(path, np.uint8, "r")
        header = self._bytes[: HEADER.size].tobytes()
        if len(header) < HEADER.size:
            raise ValueError(f"'{path}' {CHANGED}")
        _, version, exponent, _, self.length = HEADER.unpack(header)
        if version != VERSION or not 10 <= exponent <= 24:
            raise ValueError(f"'{path}' was encrypted in a way that this version does not know")
        self._chunk = 1 << exponent
        self._said = header + path.name.encode()
        if len(self._bytes) != HEADER.size + self.length + TAG * _count(self.length, self._chunk):
            raise ValueError(f"'{path}' {CHANGED}")
        self._cipher = cipher(_own_key(key, header))

    def read(self, offset: int, length: int) -> bytes:
        """So many plain bytes from there. Raises ValueError where what was stored is not what was written."""
        end = min(offset + length, self.length)
        if end <= offset and self.length:
            return b""
        first, last = offset // self._chunk, max(offset, end - 1) // self._chunk
        whole = b"".join(self._decrypted(number) for number in range(first, last + 1))
        return whole[offset - first * self._chunk : end - first * self._chunk]

    def _decrypted(self, number: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        begin = HEADER.size + number * (self._chunk + TAG)
        stored = self._bytes[begin : begin + self._chunk + TAG].tobytes()
        try:
            plain: bytes = self._cipher.decrypt(_nonce(number, self.length, self._chunk), stored, self._said)
        except InvalidTag:
            raise ValueError(f"'{self.path}' {CHANGED}") from None
        return plain

    def stream(self) -> BinaryIO:
        """The plain content from its beginning, to be read piece by piece."""
        return _Stream(self)  # type: ignore[return-value]  # as much of one as ``seal`` and ``shutil`` use

    def close(self) -> None:
        """The file is let go of; nothing can be read afterwards."""
        self._bytes = np.empty(0, np.uint8)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Opened, (self.path, self._key)


class _Stream:
    def __init__(self, file: Opened) -> None:
        self._file, self._at = file, 0

    def read(self, length: int) -> bytes:
        found = self._file.read(self._at, length) if self._at < self._file.length else b""
        self._at += len(found)
        return found


def _count(length: int, chunk: int) -> int:
    return max(1, -(-length // chunk))


def _nonce(number: int, length: int, chunk: int) -> bytes:
    """96 bits, never twice with one key: the chunk's number, and whether it is the last."""
    return struct.pack(">7xIB", number, number == _count(length, chunk) - 1)


def _own_key(key: bytes, header: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    own = HEADER.unpack(header)[3]
    return bytes(HKDF(SHA256(), KEY_BYTES, salt=own, info=b"allaprima sealed file").derive(key))
