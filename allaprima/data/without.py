"""A prepared dataset once more, without some of its pictures: every file that has a row a picture, the report, the manifest.

What is made of the pictures and kept with them (``MADE_AGAIN``) does not come along. Files of other programs do.

Use: ``rest = write(dataset, keep, beside, report)``.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.core.files import PARTIAL, sha256_file, write_json
from allaprima.data import card, permissions, sounds
from allaprima.data.dataset import DATA, MANIFEST, Dataset, Manifest, fingerprint_of
from allaprima.data.split import SPLITS
from allaprima.data.traces import Names

FILES = (*DATA, "records.jsonl", "report.json", *sounds.FILES)
OURS = (*FILES, MANIFEST, card.FILE)
MADE_AGAIN = ("conditions", "features")
NAMELESS = "a picture that was forgotten"
ROWS = 1024  # pictures copied at a time


@dataclass
class Rest:
    """What was written; names of folders that did not come along, and of strangers' files that did."""

    manifest: Manifest
    made_again: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def write(dataset: Dataset, keep: np.ndarray, beside: Path, report: dict[str, Any]) -> Rest:
    """The pictures at ``keep``, int64 ascending, as a dataset in ``beside``. The manifest comes last."""
    old = dataset.folder
    _like(old, beside)
    _write_images(beside / "images.npy", dataset.images, keep)
    np.save(beside / "labels.npy", np.asarray(dataset.labels)[keep])
    np.save(beside / "splits.npy", np.asarray(dataset.split_of)[keep])
    lines = (old / "records.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    (beside / "records.jsonl").write_bytes(b"".join(lines[place] + b"\n" for place in keep))
    write_json(beside / "report.json", report)
    _write_sounds(old, beside, keep)
    rest = Rest(_manifest(beside, dataset, keep))
    for path in sorted(old.iterdir()):
        if path.name in MADE_AGAIN:
            rest.made_again.append(path.name)
        elif path.name not in (*OURS, ".lock") and not (path.name.startswith(".") and PARTIAL in path.name):
            rest.strangers.append(path.name)
            shutil.copytree(path, beside / path.name) if path.is_dir() else shutil.copyfile(path, beside / path.name)
    card.write(beside, rest.manifest, report)
    write_json(beside / MANIFEST, rest.manifest.model_dump(mode="json"))
    for path in old.iterdir():
        if (beside / path.name).exists():
            _like(path, beside / path.name)
    return rest


def without_names(
    report: dict[str, Any], names: Names, going: int, fingerprint: str
) -> tuple[dict[str, Any], list[str]]:
    """A dataset's ``report.json`` without the names, and which entries were repeats of those pictures.

    The fingerprint of the dataset as it was stays: by it are runs found that saw what is forgotten later.
    """
    entries, twins = [], []
    for entry in report.get("left_out", []):
        if names.found(str(entry.get("name", ""))):
            continue  # of the picture itself, such as a sound of it that could not be read
        reason = str(entry.get("reason", ""))
        if names.found(reason):
            twins.append(str(entry["name"]))
            entry = {**entry, "reason": names.replaced(reason, NAMELESS)}
        entries.append(entry)
    kept: dict[str, Any] = {**report, "left_out": entries}
    if "doubtful" in report:
        kept["doubtful"] = [entry for entry in report["doubtful"] if not names.found(str(entry.get("name", "")))]
    if "used" in report:
        kept["used"] = report["used"] - going
    if "counts" in report:
        kept["counts"] = dict(sorted(Counter(entry["check"] for entry in entries).items()))
    kept["forgotten"] = [*report.get("forgotten", []), {"count": going, "fingerprint": fingerprint}]
    return kept, twins


def _write_images(path: Path, images: np.ndarray, keep: np.ndarray) -> None:
    """Written, not mapped: a full disk is then an error, and not the end of the process."""
    shape = (len(keep), *images.shape[1:])
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for start in range(0, len(keep), ROWS):
            file.write(np.asarray(images[keep[start : start + ROWS]]).tobytes())


def _write_sounds(old: Path, beside: Path, keep: np.ndarray) -> None:
    """All recordings but those of pictures that go, sample by sample as they were; those of pictures under their new rows."""
    if not (old / sounds.INDEX).is_file():
        return
    index = json.loads((old / sounds.INDEX).read_text(encoding="utf-8"))
    waveforms: np.ndarray = np.load(old / sounds.WAVEFORMS, mmap_mode="r")
    row_of = {int(place): row for row, place in enumerate(keep)} | {sounds.NOBODY: sounds.NOBODY}
    stay = [number for number, picture in enumerate(index["pictures"]) if picture in row_of]
    if not stay:
        return
    begins = [0, *index["ends"]]
    pieces = [waveforms[begins[number] : begins[number + 1]] for number in stay]
    np.save(beside / sounds.WAVEFORMS, np.concatenate(pieces))
    kept = {key: [values[number] for number in stay] for key, values in index.items()}
    kept["ends"] = np.cumsum([len(piece) for piece in pieces]).tolist()
    kept["pictures"] = [row_of[picture] for picture in kept["pictures"]]
    write_json(beside / sounds.INDEX, kept)


def _like(old: Path, new: Path) -> None:
    """What others could not read they still cannot; whoever erases pictures must be able to write them."""
    new.chmod(stat.S_IMODE(old.stat().st_mode) | stat.S_IWUSR)


def _manifest(beside: Path, dataset: Dataset, keep: np.ndarray) -> Manifest:
    splits = np.asarray(dataset.split_of)[keep]
    files = {name: sha256_file(beside / name) for name in FILES if (beside / name).is_file()}
    changed = {
        "count": len(keep),
        "split_counts": {name: int((splits == number).sum()) for number, name in enumerate(SPLITS)},
        "has_text": all(dataset.records[place].get("text") for place in keep),
        "files": files,
        "fingerprint": fingerprint_of(files),
        "rights": permissions.sums(dataset.records[place] for place in keep),
    }
    return dataset.manifest.model_copy(update=changed)
