"""The sounds of a dataset: a picture's own, or recordings of its class, of which it is given one or another.

    sounds.npy    int16 [samples], all recordings one behind the other, mono, 16 kHz
    sounds.json   for each recording its name, its end in sounds.npy, and its picture or its class and split

A picture and the recordings that it may be given are of the same split, so that held-out recordings stay unheard.

Use: ``sounds = Sounds.of(dataset.folder); sounds.waveform(int(sounds.candidates(labels, splits, place)[0]))``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.files import write_json
from allaprima.core.progress import progress
from allaprima.data import labels as labelling
from allaprima.data.refused import Refused
from allaprima.data.sources import Item, LeftOut, Reader, Request, find
from allaprima.data.split import APART, GIVEN, TEST, assign

FILES = WAVEFORMS, INDEX = "sounds.npy", "sounds.json"
FULL = 32767  # of int16
NOBODY = -1


@dataclass(frozen=True)
class Recording:
    """float32 ``waveform`` in [-1, 1]; of the picture at a place, or of a class and a split."""

    name: str
    waveform: np.ndarray
    picture: int = NOBODY
    label: int = NOBODY
    split: int = NOBODY


class Sounds:
    """All recordings of a dataset, opened for reading."""

    def __init__(self, waveforms: Any, index: dict[str, list[int]]) -> None:
        self._waveforms = waveforms
        self.ends = np.array(index["ends"], np.int64)
        self.pictures, self.labels, self.splits = (
            np.array(index[key], np.int64) for key in ("pictures", "labels", "splits")
        )

    @classmethod
    def of(cls, folder: Path) -> Sounds | None:
        """Those of the dataset in ``folder``, if it has any. Raises UserError when they are damaged."""
        if not (folder / INDEX).is_file():
            return None
        try:
            index = json.loads(vault.read_bytes(folder / INDEX))
            return cls(vault.array(folder / WAVEFORMS), index)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"The sounds of '{folder}' are damaged: {error}", "prepare it again, with --force"
            ) from None

    def __len__(self) -> int:
        return len(self.ends)

    def waveform(self, number: int) -> np.ndarray:
        """float32 ``[T]`` in [-1, 1] of a recording, 16 kHz."""
        begin = self.ends[number - 1] if number else 0
        found: np.ndarray = self._waveforms[begin : self.ends[number]]
        return found.astype(np.float32) / FULL

    def all(self) -> list[np.ndarray]:
        """Every recording's waveform."""
        return [self.waveform(number) for number in range(len(self))]

    @cached_property
    def _own(self) -> dict[int, np.ndarray]:
        return {int(place): np.flatnonzero(self.pictures == place) for place in np.unique(self.pictures) if place >= 0}

    @cached_property
    def _of_class(self) -> dict[tuple[int, int], np.ndarray]:
        shared = self.pictures < 0
        kinds = set(zip(self.labels[shared].tolist(), self.splits[shared].tolist(), strict=True))
        return {kind: np.flatnonzero(shared & (self.labels == kind[0]) & (self.splits == kind[1])) for kind in kinds}

    def candidates(self, place: int, label: int, split: int) -> np.ndarray:
        """The recordings that the picture at ``place`` may be given: its own, else those of its class and split."""
        own = self._own.get(place)
        if own is not None:
            return own
        return self._of_class.get((label, TEST if split == APART else split), np.empty(0, np.int64))


def own_recordings(
    items: Sequence[Item], places: Iterable[int], reader: Reader, left: list[LeftOut]
) -> list[Recording]:
    """What lies beside the pictures that stay; what is no sound is told in ``left`` and its picture has none."""
    found = []
    for row, place in enumerate(places):
        item = items[place]
        if item.sound is None:
            continue
        waveform = _decoded(reader, item.sound, f"the sound of {item.name}", left)
        if waveform is not None:
            found.append(Recording(item.name, waveform, picture=row))
    return found


def shared_recordings(
    source: str, classes: Sequence[str], validation: float, test: float, left: list[LeftOut]
) -> list[Recording]:
    """All of a folder or zip of recordings, whose labels are class names of the pictures.

    Raises UserError when there are none, or none has the label of a class.
    """
    listing = find(source).scan(source, Request((8, 8), 0, 0))
    names = labelling.choose(listing.items, "auto")
    known = {name: number for number, name in enumerate(classes)}
    of_class = [(item, known[name]) for item, name in zip(listing.items, names, strict=True) if name in known]
    if not of_class:
        raise UserError(
            f"No recording in '{source}' has the label of a class",
            f"label them in a metadata.jsonl, or put them into folders named as the classes: {', '.join(classes[:5])}",
        )
    decoded = []
    with progress("listening", len(of_class), "recordings") as advance:
        for item, label in of_class:
            waveform = _decoded(listing.reader, item.key, item.name, left)
            if waveform is not None:
                decoded.append((item, label, waveform))
            advance(1)
    listing.reader.close()
    given = np.array([GIVEN[item.split] for item, _, _ in decoded], np.int64)
    labels = np.array([label for _, label, _ in decoded], np.int64)
    digests = np.array([_digest(waveform) for _, _, waveform in decoded], "V16")
    splits = assign(digests, labels, np.arange(len(decoded)), given, validation, test)
    return [
        Recording(item.name, waveform, label=label, split=int(split))
        for (item, label, waveform), split in zip(decoded, splits, strict=True)
    ]


def write(folder: Path, recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Both files into ``folder``; their names, nothing where there are no recordings."""
    if not recordings:
        return ()
    waveforms = [(one.waveform.clip(-1, 1) * FULL).round().astype(np.int16) for one in recordings]
    np.save(folder / WAVEFORMS, np.concatenate(waveforms))
    index = {
        "names": [one.name for one in recordings],
        "ends": np.cumsum([len(one) for one in waveforms]).tolist(),
        "pictures": [one.picture for one in recordings],
        "labels": [one.label for one in recordings],
        "splits": [one.split for one in recordings],
    }
    write_json(folder / INDEX, index)
    return FILES


def _decoded(reader: Reader, key: object, name: str, left: list[LeftOut]) -> np.ndarray | None:
    from allaprima.models.sound import decode

    try:
        stream = reader.read(key)
        if isinstance(stream, np.ndarray):
            raise Refused("unreadable", "not a sound")
        with stream:
            return decode(stream.read())
    except Refused as error:
        left.append(LeftOut(name, error.check, error.reason))
    except OSError as error:
        left.append(LeftOut(name, "unreadable", f"cannot be opened: {error.strerror}"))
    except UserError as error:
        if "pip install" in error.remedy:
            raise  # not this file's fault
        left.append(LeftOut(name, "unreadable", error.problem))
    return None


def _digest(waveform: np.ndarray) -> bytes:
    import hashlib

    return hashlib.sha256(waveform.tobytes()).digest()[:16]
