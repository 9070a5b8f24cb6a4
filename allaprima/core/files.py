"""Files that are whole or absent: atomic writes, hashes, folder locks, and plain words when the disk is full.

The order is always: write beside the target, fsync the file, rename, fsync the folder. A kill at any point leaves
the old file or the new one, and leftovers carry the mark ``.partial`` so that the next start sweeps them.

Use: ``write_atomic(path, data)``; ``with claim_folder(run): ...``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from allaprima.core.errors import UserError

PARTIAL = ".partial"


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable (a no-op on Windows, which has no such call)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk. Not atomic: for files inside a folder renamed later."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace ``path`` as a whole. Raises UserError when the disk is full; the old content then stands."""
    with plain_disk_errors(path), new_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at ``path`` whole or not at all, in place of an old one: fill the one that is yielded."""
    beside = path.with_name(f".{path.name}{PARTIAL}-{secrets.token_hex(4)}")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """``value`` as readable JSON, atomically."""
    write_atomic(path, as_json(value))


def as_json(value: Any) -> str:
    """Readable JSON, as ``write_json`` writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears at ``target`` whole or not at all: fill the one that is yielded.

    Raises UserError when ``target`` exists already or the disk is full; nothing is left behind then.
    """
    beside = target.with_name(f".{target.name}{PARTIAL}-{secrets.token_hex(4)}")
    with plain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        try:
            yield beside
            for folder, _, names in os.walk(beside):
                for name in names:
                    with open(os.path.join(folder, name), "rb+") as file:
                        os.fsync(file.fileno())
                sync_folder(Path(folder))
            if target.exists():
                raise UserError(f"'{target}' exists already", "choose another name, or delete it first")
            os.rename(beside, target)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def sweep_partial(folder: Path) -> list[Path]:
    """Delete what an interrupted write left in ``folder``; returns what was deleted."""
    left = list(folder.glob(f".*{PARTIAL}-*")) if folder.is_dir() else []
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return left


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def plain_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a place (full, read-only, no folder, not allowed) into UserError."""
    try:
        yield
    except OSError as error:
        remedies = {
            errno.ENOSPC: ("No space left on the disk", "free some space, then give the same command again"),
            errno.EDQUOT: ("The disk quota is used up", "free some space, then give the same command again"),
            errno.EROFS: ("The disk is read-only", "choose a folder on another disk"),
            errno.EACCES: ("No permission to write", "choose a folder that you own"),
            errno.ENOTDIR: ("Cannot write there: a part of the path is a file", "choose another folder"),
            errno.EEXIST: ("Cannot write there: a file of that name is in the way", "choose another name"),
            errno.EISDIR: ("Cannot write there: a folder of that name is in the way", "choose another name"),
            errno.ENOENT: ("Cannot write there: the folder cannot be made", "choose a folder that exists"),
            errno.EPERM: ("No permission to write", "choose a folder that you own"),
            errno.EIO: ("The disk reported an input/output error", "check the disk, or choose a folder on another one"),
        }
        if error.errno not in remedies:
            raise
        problem, remedy = remedies[error.errno]
        raise UserError(f"{problem} (writing '{path}')", remedy) from error


@contextlib.contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process alone. Raises UserError at once if another process holds it.

    The operating system frees the lock when its process ends, however it ends: a stale lock cannot exist.
    """
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "a+")  # noqa: SIM115 - held until the context ends
    try:
        if not _try_lock(file.fileno()):
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise UserError(
                f"'{folder}' is in use by another process ({owner})",
                "wait until it ends, stop it, or choose another folder",
            )
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
    finally:
        file.close()


def _try_lock(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            # A byte far behind the text, so that the owner's name stays readable for the others.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # exists on Windows only
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
