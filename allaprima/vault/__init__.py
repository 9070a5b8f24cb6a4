"""Encryption at rest: sealed files, and the lock of the folder that they lie in.

A folder with a ``lock.json`` is locked: what is written into it through here is sealed with its key. Sealed files keep their
names and are known by their first bytes, so whoever reads through here need not know which folders are locked.

Use: ``write_synced(folder / "state.json", data)``; ``read_bytes(folder / "state.json")``; ``array(folder / "images.npy")``.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.core import files
from allaprima.vault import sealed
from allaprima.vault.lock import FILE, check_place, create, create_like, is_kept, key_of, locked_by
from allaprima.vault.sealed import is_sealed

PIECE = 1 << 20  # bytes

__all__ = [
    "FILE",
    "array",
    "check_place",
    "create",
    "create_like",
    "is_kept",
    "is_sealed",
    "key_of",
    "locked_by",
    "protected",
    "read_bytes",
    "sha256_file",
    "write_atomic",
    "write_json",
    "write_synced",
]


def read_bytes(path: Path, mixed: bool = False) -> bytes:
    """The plain bytes of a file, sealed or not. ``mixed``: in a locked folder too it may be plain, as a run's settings are.

    Raises OSError as reading does, UserError where the key is missing or another, ValueError where the file was changed, or
    is plain where it should be sealed.
    """
    if not is_sealed(path):
        return path.read_bytes() if mixed else _unlocked(path).read_bytes()
    with sealed.Opened(path, _key_for(path)) as file:
        return file.read(0, file.length)


def sha256_file(path: Path) -> str:
    """SHA-256 of the plain content, hexadecimal. Raises as ``read_bytes`` does."""
    if not is_sealed(path):
        return files.sha256_file(_unlocked(path))
    digest = hashlib.sha256()
    with sealed.Opened(path, _key_for(path)) as file:
        stream = file.stream()
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def array(path: Path) -> Any:
    """A ``.npy`` file: memory-mapped, or where it is sealed an array that decrypts what is asked of it (``arrays.Sealed``).

    Raises OSError and ValueError as ``np.load`` does, and as ``read_bytes``.
    """
    if not is_sealed(path):
        return np.load(_unlocked(path), mmap_mode="r")
    from allaprima.vault.arrays import Sealed

    return Sealed(sealed.Opened(path, _key_for(path)))


def protected(path: Path, data: bytes) -> bytes:
    """``data`` as it is to be written at ``path``: sealed where the folder is locked."""
    folder = locked_by(path.parent)
    if folder is None:
        return data
    out = io.BytesIO()
    sealed.seal(io.BytesIO(data), len(data), out, key_of(folder), path.name)
    return out.getvalue()


def write_synced(path: Path, data: bytes) -> None:
    """As ``core.files.write_synced``, sealed where the folder is locked."""
    files.write_synced(path, protected(path, data))


def write_atomic(path: Path, data: bytes | str) -> None:
    """As ``core.files.write_atomic``, sealed where the folder is locked."""
    files.write_atomic(path, protected(path, data.encode() if isinstance(data, str) else data))


def write_json(path: Path, value: Any) -> None:
    """As ``core.files.write_json``, sealed where the folder is locked."""
    write_atomic(path, files.as_json(value))


def _unlocked(path: Path) -> Path:
    """Raises ValueError for a plain file in a locked folder: whoever writes there without the key would be believed."""
    if path.is_file() and locked_by(path.parent) is not None:
        raise ValueError(f"'{path}' was changed: it is not encrypted, and its folder is")
    return path


def _key_for(path: Path) -> bytes:
    folder = locked_by(path.parent)
    if folder is None:
        raise ValueError(f"'{path}' is encrypted, and the {FILE} that it needs is not beside it")
    return key_of(folder)
