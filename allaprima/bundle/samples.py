"""Samples on disk: a folder of numbered PNGs, one contact sheet, or one ``.npz``; each is there whole or not at all.

Use: ``write(bundle, Path("sheet.png"), count=16, seed=0)``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.core.files import new_file, new_folder, plain_disk_errors, write_atomic
from allaprima.core.progress import progress
from allaprima.marks import marked, watermarked

SHEET_LIMIT = 4096
LONGEST_WORD = 60  # characters of a file's name
QUIET_BELOW = 256  # a bar that flashes by tells nobody anything

Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


def default_path(run: Path, seed: int, *asked: str | None) -> Path:
    """Where a contact sheet goes when nothing was said: beside the run, named after what it shows."""
    run = run.resolve()
    words = ["".join(letter if letter.isalnum() else "_" for letter in word)[:LONGEST_WORD] for word in asked if word]
    kind = "".join(f"{word}-" for word in words)
    return run.parent / f"{run.name}-{kind}seed{seed}.png"


def write(
    bundle: Bundle,
    out: Path,
    count: int = 16,
    seed: int = 0,
    label: str | None = None,
    truncation: float = 1.0,
    **wishes: Any,
) -> None:
    """``count`` new pictures at ``out``: ``.npz``, ``.png`` (a contact sheet), or else a folder of numbered PNGs.

    The npz holds ``images`` uint8 ``[N, H, W, C]``, ``labels`` int64 ``[N]`` (zeros without classes, -1 where none is asked
    for) and the class names as ``classes``; it is written as it is painted, so any number fits. ``wishes`` as ``Bundle.sample``
    takes them. Raises UserError for bad arguments or a full disk.
    """
    if count < 1:
        raise UserError(f"{count} pictures cannot be painted", "give --count 1 or more")
    writer = {".npz": _npz, ".png": _sheet, "": _folder}.get(out.suffix.lower())
    if writer is None:
        raise UserError(f"'{out}' is of a kind that cannot be written", "name a .png, an .npz, or a folder (no ending)")
    if writer is not _folder and out.is_dir():
        raise UserError(f"'{out}' is a folder", "name another file")
    if writer is _sheet and count > SHEET_LIMIT:
        raise UserError(f"A sheet of {count:,} pictures is too large to look at", "name a folder or an .npz instead")
    pieces = _watched(bundle, count, bundle.stream(count, seed, label, truncation, **wishes))
    with plain_disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        writer(bundle, out, count, pieces)


def _watched(bundle: Bundle, count: int, stream: Iterator[tuple[np.ndarray, torch.Tensor]]) -> Pieces:
    """The pieces, with progress shown while they are painted."""

    def watched() -> Pieces:
        if count < QUIET_BELOW:
            yield from ((images, labels.numpy()) for images, labels in stream)
            return
        with progress("painting", count) as advance:
            for images, labels in stream:
                yield images, labels.numpy()
                advance(len(images))

    return watched()


def _sheet(bundle: Bundle, out: Path, count: int, pieces: Pieces) -> None:
    images = np.concatenate([images for images, _ in pieces])
    write_atomic(out, _png(bundle.domain.to_grid(images)))


def _folder(bundle: Bundle, out: Path, count: int, pieces: Pieces) -> None:
    if out.exists():
        raise UserError(f"'{out}' exists already", "choose another name, or delete it first")
    digits = max(4, len(str(count - 1)))
    number = 0
    with new_folder(out) as folder:
        for images, _ in pieces:
            for picture in bundle.domain.to_pictures(images):
                (folder / f"{number:0{digits}d}.png").write_bytes(_png(picture))
                number += 1


def _npz(bundle: Bundle, out: Path, count: int, pieces: Pieces) -> None:
    shape = (count, *bundle.domain.shape.spatial, bundle.domain.shape.channels)
    all_labels: list[np.ndarray] = []
    with new_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, header)
            for images, labels in pieces:
                member.write(images.tobytes())
                all_labels.append(labels)
        _put(archive, "labels.npy", np.concatenate(all_labels).astype(np.int64))
        _put(archive, "classes.npy", np.array(bundle.classes, dtype=np.str_))


def _put(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    archive.writestr(name, buffer.getvalue())


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pixels = np.asarray(picture)
    made = watermarked(pixels.reshape(*pixels.shape[:2], -1)).reshape(pixels.shape)
    Image.fromarray(made).save(buffer, "PNG")
    return marked(buffer.getvalue(), "image/png")
