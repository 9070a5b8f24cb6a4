"""A zip of a folder of pictures, read member by member; nothing is unpacked to the disk, so no member can escape."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import BinaryIO

from allaprima.core.errors import UserError
from allaprima.data.refused import Refused
from allaprima.data.sources import LeftOut, Listing, Request
from allaprima.data.sources._tree import is_ignored, listing, printable

MOST_BYTES = 256 << 20  # of one member, unpacked: more is no picture but a zip bomb


def accepts(source: str) -> bool:
    """Any zip archive but an ``.npz``."""
    return not source.lower().endswith(".npz") and zipfile.is_zipfile(source)


@dataclass
class Reader:
    """Reads the member at a place in the archive's directory (names need not be unique)."""

    path: str
    _archive: zipfile.ZipFile | None = field(default=None, repr=False)

    def read(self, key: int) -> BinaryIO:
        """The member, unpacked in memory. Raises Refused for bombs, damaged and locked members."""
        if self._archive is None:
            self._archive = zipfile.ZipFile(self.path)
        member = self._archive.infolist()[key]
        if member.file_size > MOST_BYTES:
            raise Refused("bomb", f"unpacks to {member.file_size / 2**20:,.0f} MB")
        if member.flag_bits & 1:
            raise Refused("unreadable", "locked with a password")
        try:
            with self._archive.open(member) as stream:
                data = stream.read(MOST_BYTES + 1)  # the directory's size may lie
        except Exception as error:  # every decompressor has its own exceptions
            raise Refused("unreadable", f"damaged in the archive ({type(error).__name__})") from error
        if len(data) > MOST_BYTES:
            raise Refused("bomb", f"unpacks to more than {MOST_BYTES >> 20} MB")
        return io.BytesIO(data)

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()
        self._archive = None

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_archive": None}  # every process opens its own


def scan(source: str, request: Request) -> Listing:
    """Every file in the archive. Raises UserError when its directory is damaged."""
    reader = Reader(source)
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise UserError(f"'{source}' is a damaged zip: {error}", "make or fetch the archive again") from error
    seen = hashlib.sha256()
    files: dict[str, int] = {}
    folders: set[str] = set()
    left_out: list[LeftOut] = []
    for place, member in enumerate(members):
        parts = [part for part in member.filename.replace("\\", "/").split("/") if part not in ("", ".")]
        seen.update(f"{printable(member.filename)}\0{member.file_size}\0{member.CRC}\n".encode())
        if any(is_ignored(part) and part != ".." for part in parts) or not parts:
            continue
        path = "/".join(part for part in parts if part != "..")
        within = parts if member.is_dir() else parts[:-1]
        folders.update("/".join(within[: depth + 1]) for depth in range(len(within)))
        if member.is_dir():
            continue
        if path in files:
            left_out.append(LeftOut(printable(path), "unreadable", "a second member of the same name"))
            continue
        files[path] = place

    def read(path: str) -> bytes:
        with reader.read(files[path]) as stream:
            return stream.read()

    try:
        return listing(files, folders, read, reader, f"{len(members)} members {seen.hexdigest()}", left_out)
    except Refused as error:
        raise UserError(f"A text file in '{source}' cannot be read: {error.reason}", "make the archive again") from None
    finally:
        reader.close()
