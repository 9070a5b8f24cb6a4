"""NumPy archives: ``images`` uint8 ``[N, H, W]`` or ``[N, H, W, 1|3|4]`` and perhaps ``labels``; or parts.

Parts, each a split, may be named as MedMNIST names them (``train_images``, ``val_images``, ``test_images`` and
``…_labels``; Yang et al. 2023) or as Keras does (``x_train``, ``y_train``, …). ``label_names`` gives words to
numbers. Nothing pickled is ever read.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

import numpy as np

from allaprima.core.errors import UserError
from allaprima.core.files import sha256_file
from allaprima.data.sources import Item, Listing, Request
from allaprima.data.sources._rows import Rows

PARTS = {  # images array → its labels, its split
    "images": (("labels", "label"), None),
    "train_images": (("train_labels",), "train"),
    "val_images": (("val_labels",), "validation"),
    "validation_images": (("validation_labels",), "validation"),
    "test_images": (("test_labels",), "test"),
    "x_train": (("y_train",), "train"),
    "x_val": (("y_val",), "validation"),
    "x_test": (("y_test",), "test"),
}
MOST_LABEL_BYTES = 1 << 30  # what is read into memory; pictures are streamed


def accepts(source: str) -> bool:
    """A file called ``.npz``."""
    return source.lower().endswith(".npz") and zipfile.is_zipfile(source)


@dataclass
class Reader:
    """Reads picture ``(part, row)``."""

    parts: list[Rows] = field(default_factory=list)

    def read(self, key: tuple[int, int]) -> np.ndarray:
        """uint8 ``[H, W]`` or ``[H, W, C]``."""
        part, row = key
        return self.parts[part].read(row)

    def close(self) -> None:
        """Close the streams."""
        for part in self.parts:
            part.close()


def scan(source: str, request: Request) -> Listing:
    """Raises UserError when no array of pictures is there, or one is damaged or has another type or shape."""
    try:
        opened = zipfile.ZipFile(source)
    except Exception as error:  # whatever a damaged directory provokes
        raise UserError(f"'{source}' is a damaged archive: {error}", "save it again with np.savez") from error
    with opened as archive:
        arrays = {name.removesuffix(".npy") for name in archive.namelist()}
        parts = [name for name in PARTS if name in arrays]
        if not parts:
            raise UserError(
                f"'{source}' has no array 'images' or 'train_images', only: {', '.join(sorted(arrays)) or 'nothing'}",
                "save it with np.savez(file, images=..., labels=...)",
            )
        names = _values(archive, source, "label_names") if "label_names" in arrays else None
        reader, items = Reader(), []
        for number, part in enumerate(parts):
            shape, offset = _pictures(archive, source, part)
            wanted, split = PARTS[part]
            labels = _labels(archive, source, next((name for name in wanted if name in arrays), None), shape[0], names)
            reader.parts.append(Rows(partial(_open, source, f"{part}.npy"), offset, shape[1:]))
            items += [Item(f"{part}-{row:05d}", (number, row), labels[row], split) for row in range(shape[0])]
    return Listing(items, reader, sha256_file_of(source))


def sha256_file_of(source: str) -> str:
    from pathlib import Path

    return sha256_file(Path(source))


def _open(source: str, member: str) -> BinaryIO:
    return zipfile.ZipFile(source).open(member)  # type: ignore[return-value]  # ZipExtFile reads bytes


def _header(archive: zipfile.ZipFile, source: str, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    try:
        with archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            return shape, fortran, dtype, stream.tell()
    except Exception as error:  # every decompressor has its own exceptions
        raise UserError(
            f"The array '{name}' in '{source}' cannot be read: {error}", "save it again with np.savez"
        ) from error


def _pictures(archive: zipfile.ZipFile, source: str, name: str) -> tuple[tuple[int, ...], int]:
    shape, fortran, dtype, offset = _header(archive, source, name)
    what = f"The array '{name}' in '{source}'"
    if dtype != np.uint8:
        raise UserError(
            f"{what} is {dtype}, not uint8", "save it as uint8 from 0 to 255: (images * 255).round().astype('uint8')"
        )
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))):
        turned = len(shape) == 4 and shape[1] in (1, 3, 4)
        remedy = "images.transpose(0, 2, 3, 1)" if turned else "[N, H, W] or [N, H, W, C] with 1, 3 or 4 channels"
        raise UserError(f"{what} has the shape {list(shape)}", f"save it as {remedy}")
    if fortran:
        raise UserError(f"{what} is in Fortran order", "save np.ascontiguousarray(images)")
    return shape, offset


def _values(archive: zipfile.ZipFile, source: str, name: str) -> np.ndarray:
    shape, _, dtype, _ = _header(archive, source, name)
    if int(np.prod(shape)) * dtype.itemsize > MOST_LABEL_BYTES:
        raise UserError(f"The array '{name}' in '{source}' is too large for labels", "save one number a picture")
    try:
        with archive.open(f"{name}.npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # every decompressor has its own exceptions
        raise UserError(
            f"The array '{name}' in '{source}' cannot be read: {error}", "save it as numbers or text"
        ) from error


def _labels(
    archive: zipfile.ZipFile, source: str, name: str | None, count: int, names: np.ndarray | None
) -> list[str | None]:
    if name is None:
        return [None] * count
    values = _values(archive, source, name)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise UserError(
            f"The array '{name}' in '{source}' has the shape {list(values.shape)}",
            "save one label a picture, or use --labels none",
        )
    if len(values) != count:
        raise UserError(
            f"'{source}' has {len(values):,} labels for {count:,} pictures", "save as many labels as pictures"
        )
    if values.dtype.kind in "iub":
        return [_word(int(value), names) for value in values]
    if values.dtype.kind == "U":
        return [str(value) or None for value in values]
    raise UserError(f"The labels '{name}' in '{source}' are {values.dtype}", "save whole numbers or text")


def _word(value: int, names: np.ndarray | None) -> str | None:
    if value < 0:
        return None  # the usual mark of 'no label'
    return str(names[value]) if names is not None and value < len(names) else str(value)
