"""A folder of pictures, searched to any depth. Links are followed once; what is no ordinary file is left out."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from allaprima.data.checks.unreadable import SUFFIXES
from allaprima.data.sources import LeftOut, Listing, Request
from allaprima.data.sources._tree import is_ignored, listing, printable

FALLBACK = True  # an IDX set is a folder too


def accepts(source: str) -> bool:
    """Any folder."""
    return os.path.isdir(source)


@dataclass(frozen=True)
class Reader:
    """Opens the file of a path relative to ``root``."""

    root: str

    def read(self, key: str) -> BinaryIO:
        """The file, open for reading."""
        return open(os.path.join(self.root, key), "rb")

    def close(self) -> None:
        """Nothing stays open: each file is closed by who asked for it."""


def scan(source: str, request: Request) -> Listing:
    """Every ordinary file below ``source``."""
    files: dict[str, os.stat_result] = {}
    folders: list[str] = []
    left_out: list[LeftOut] = []
    _walk(Path(source), "", set(), files, folders, left_out)
    seen = hashlib.sha256()
    for path in sorted(files):
        seen.update(f"{printable(path)}\0{files[path].st_size}\0{files[path].st_mtime_ns}\n".encode())
    return listing(
        {path: path for path in files},
        folders,
        lambda path: (Path(source) / path).read_bytes(),
        Reader(source),
        f"{len(files)} files {seen.hexdigest()}",
        left_out,
    )


def _walk(
    root: Path,
    inner: str,
    seen: set[tuple[int, int]],
    files: dict[str, os.stat_result],
    folders: list[str],
    left: list[LeftOut],
) -> None:
    """Fill ``files``, ``folders`` and ``left`` with what lies below ``root / inner``; paths have ``/``."""
    here = root / inner
    try:
        status = here.stat()
        names = sorted(os.listdir(here))
    except OSError as error:
        left.append(LeftOut(printable(inner), "unreadable", f"the folder cannot be read: {error.strerror}"))
        return
    if (status.st_dev, status.st_ino) in seen and status.st_ino:
        left.append(LeftOut(printable(inner), "unreadable", "a link to a folder that was searched already"))
        return
    seen.add((status.st_dev, status.st_ino))
    for name in names:
        if is_ignored(name):
            continue
        path = f"{inner}/{name}" if inner else name
        try:
            found = os.stat(here / name)
        except OSError as error:
            left.append(LeftOut(printable(path), "unreadable", f"cannot be opened: {error.strerror}"))
            continue
        if stat.S_ISDIR(found.st_mode):
            before = len(files)
            _walk(root, path, seen, files, folders, left)
            if os.path.splitext(name)[1].lower() in SUFFIXES and len(files) == before:
                left.append(LeftOut(printable(path), "unreadable", "a folder, not a picture"))
            else:
                folders.append(path)
        elif stat.S_ISREG(found.st_mode):
            files[path] = found
        else:
            left.append(LeftOut(printable(path), "unreadable", "not an ordinary file"))
