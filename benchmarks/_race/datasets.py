"""The pictures of the race: prepared once by ``allaprima prepare``, and handed to everybody as the same array.

<name>/           the prepared dataset, with labels: the judge's features learn from its training split
<name>-pictures/  the same pictures and splits without labels, for contestants that go by our dataset format
<name>.npz        ``images`` uint8 [N,H,W,C]: the training split, for all others
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.core.errors import UserError, suggest
from allaprima.core.files import new_folder, sha256_file, write_json
from allaprima.data.dataset import MANIFEST, Dataset
from allaprima.data.prepare import PrepareConfig, prepare

ROOT = Path(__file__).resolve().parents[2]

# Enough pictures are held out that about a thousand judge even the small set. Fashion-MNIST keeps its own test set.
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "fashion": ("fashion-mnist", {"size": "32"}),
    "sprites": ("sprites/dcss-tiles-32.zip", {"size": "32", "colour": "rgb", "test": 0.25}),
}


@dataclass(frozen=True)
class Pictures:
    """Where one data set lies; ``labelled`` is open."""

    name: str
    labelled: Dataset
    plain: Path
    array: Path


def shared_folder() -> Path:
    """Where the sources are: ``ALLAPRIMA_DATA``, or ``../shared/data`` beside the checkout. Raises UserError."""
    named = os.environ.get("ALLAPRIMA_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        raise UserError(f"The pictures of the race are not at '{folder}'", "name their folder in ALLAPRIMA_DATA")
    return folder


def ready(name: str, folder: Path, source: Callable[[], Path] = shared_folder) -> Pictures:
    """The data set ``name``, prepared into ``folder`` unless it stands there. Raises UserError for a name unknown."""
    if name not in SOURCES:
        raise UserError(f"There is no data set '{name}' to race on", suggest(name, SOURCES))
    place, options = SOURCES[name]
    labelled = prepare(source() / place, folder / name, PrepareConfig(**options))
    return hand_out(name, labelled, folder)


def hand_out(name: str, labelled: Dataset, folder: Path) -> Pictures:
    """The two other forms of ``labelled``, made anew when it has changed."""
    plain, array = folder / f"{name}-pictures", folder / f"{name}.npz"
    mark = folder / f"{name}.fingerprint"
    if not mark.exists() or mark.read_text(encoding="utf-8") != labelled.manifest.fingerprint:
        _without_labels(labelled, plain)
        with open(array, "wb") as file:
            np.savez(file, images=labelled.images[labelled.indices("train")])
        mark.write_text(labelled.manifest.fingerprint, encoding="utf-8")
    return Pictures(name, labelled, plain, array)


def _without_labels(labelled: Dataset, target: Path) -> None:
    import shutil

    if target.exists():
        shutil.rmtree(target)
    with new_folder(target) as folder:
        for file in ("images.npy", "splits.npy", "records.jsonl"):
            shutil.copyfile(labelled.folder / file, folder / file)
        np.save(folder / "labels.npy", np.full(len(labelled), -1, np.int64))
        write_json(folder / "report.json", {"used": len(labelled), "notes": [], "counts": {}, "left_out": []})
        files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
        manifest = labelled.manifest.model_copy(
            update={"classes": [], "files": files, "fingerprint": f"{labelled.manifest.fingerprint}-without-labels"}
        )
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
