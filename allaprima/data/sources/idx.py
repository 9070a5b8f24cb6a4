"""IDX, the format of MNIST: a big-endian header, then bytes; gzip-packed or not (yann.lecun.com/exdb/mnist).

SOURCE is an images file, whose labels file is found beside it, or the folder with the ``train-`` and ``t10k-`` pairs;
``t10k`` is then the test split.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file
from allaprima.data.sources import Item, Listing, Request
from allaprima.data.sources._rows import Rows

IMAGES, LABELS = 0x00000803, 0x00000801  # uint8 in three dimensions, uint8 in one
PART = re.compile(r"(?P<set>.*?)(?P<part>train|t10k|test|val|valid|validation)-images", re.IGNORECASE)
DAMAGED = (OSError, EOFError, zlib.error)  # what a gzip stream raises
SPLIT_OF = {"train": "train", "t10k": "test", "test": "test"}


def accepts(source: str) -> bool:
    """An IDX file of images or labels, or a folder that holds files of images."""
    path = Path(source)
    return _magic(path) in (IMAGES, LABELS) if path.is_file() else bool(path.is_dir() and _image_files(path))


@dataclass
class Reader:
    """Reads picture ``(part, row)``."""

    parts: list[Rows] = field(default_factory=list)

    def read(self, key: tuple[int, int]) -> np.ndarray:
        """uint8 ``[H, W]``."""
        part, row = key
        return self.parts[part].read(row)

    def close(self) -> None:
        """Close the streams."""
        for part in self.parts:
            part.close()


def scan(source: str, request: Request) -> Listing:
    """Raises UserError for a labels file alone, files cut short, and labels that do not fit."""
    path = Path(source)
    files = _image_files(path) if path.is_dir() else [path]
    sets = {match["set"] if (match := PART.match(file.name)) else file.name for file in files}
    if len(sets) > 1:
        raise UserError(
            f"'{source}' holds {len(sets)} IDX sets",
            f"give one images file, for example {files[0]}, or a folder with one set",
        )
    reader, items, states = Reader(), [], []
    for part, file in enumerate(files):
        if _magic(file) == LABELS:
            raise UserError(
                f"'{file}' holds labels, not pictures", "give the images file; its labels are found beside it"
            )
        split = _split(file) if len(files) > 1 else None
        count, height, width = _header(file, 4)[1:]
        labels = _labels(file, count)
        reader.parts.append(Rows(partial(_open, file), 16, (height, width)))
        states.append(sha256_file(file) + (sha256_file(found) if (found := _labels_file(file)) else ""))
        stem = file.name.split(".")[0]
        items += [
            Item(f"{stem}-{row:05d}", (part, row), folder=None if labels is None else str(labels[row]), split=split)
            for row in range(count)
        ]
    return Listing(items, reader, " ".join(states))


def _split(file: Path) -> str:
    match = PART.match(file.name)
    return SPLIT_OF.get(match["part"].lower(), "validation") if match else "train"


def _image_files(folder: Path) -> list[Path]:
    named = [folder / name for name in sorted(os.listdir(folder)) if re.search(r"idx3-ubyte", name)]
    files = [file for file in named if file.is_file() and _magic(file) == IMAGES]
    by_stem = {file.name.removesuffix(".gz"): file for file in files}  # packed and unpacked side by side are one
    return sorted(by_stem.values(), key=lambda file: (_split(file) != "train", file.name))


def _open(file: Path) -> BinaryIO:
    with open(file, "rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    return gzip.open(file, "rb") if packed else open(file, "rb")  # type: ignore[return-value]  # GzipFile reads bytes


def _magic(file: Path) -> int:
    try:
        with _open(file) as stream:
            head = stream.read(4)
    except DAMAGED:
        return -1
    return int.from_bytes(head, "big") if len(head) == 4 else -1


def _header(file: Path, fields: int) -> tuple[int, ...]:
    try:
        with _open(file) as stream:
            return struct.unpack(f">{fields}I", stream.read(4 * fields))
    except (*DAMAGED, struct.error) as error:
        raise UserError(f"'{file}' has no complete IDX header", "fetch the file again") from error


def _labels_file(images: Path) -> Path | None:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    bare = name.removesuffix(".gz")
    found = [
        images.with_name(n) for n in (name, bare, bare + ".gz") if n != images.name and images.with_name(n).is_file()
    ]
    return found[0] if found else None


def _labels(images: Path, count: int) -> np.ndarray | None:
    file = _labels_file(images)
    if file is None:
        return None
    _, stored = _header(file, 2)
    if stored != count:
        raise UserError(f"'{file}' has {stored:,} labels for {count:,} pictures", "put the matching pair side by side")
    try:
        with _open(file) as stream:
            data = stream.read(8 + count)[8:]
    except DAMAGED as error:
        raise UserError(f"'{file}' is damaged: {error}", "fetch the file again") from error
    if len(data) < count:
        raise UserError(f"'{file}' ends after {len(data):,} of {count:,} labels", "fetch the file again")
    return np.frombuffer(data, np.uint8)
