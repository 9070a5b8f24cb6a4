"""Folds of a prepared dataset, each a dataset of its own: the same pictures on the disk, other splits.

The training and validation pictures are dealt into folds, class by class. A fold's own pictures are its ``test`` split; of
the rest a share of each class is its ``validation`` split. The dataset's own test pictures are in no split of a fold: they
stay for the last look.

Use: ``fold = write_fold(dataset, fold_splits(dataset, 5, seed=0)[0], Path("folds/1/dataset"))``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from pathlib import Path

import numpy as np

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, sweep_partial, write_atomic
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import MANIFEST, Dataset, is_dataset
from allaprima.data.sounds import FILES as SOUND_FILES
from allaprima.data.split import FEWEST_IN_SPLIT, SPLITS, TEST, TRAIN, UNUSED, VALIDATION

FEWEST_FOLDS = 2
LINKED = ("images.npy", "labels.npy", "records.jsonl", "report.json", *SOUND_FILES)
USUAL_VALIDATION = 0.1  # of a dataset that was prepared without validation pictures


def deal(labels: np.ndarray, hands: int, draw: np.random.Generator) -> np.ndarray:
    """Which of ``hands`` each picture is dealt to: int64 ``[N]``, as evenly over each class of ``labels`` as can be.

    Each class is shuffled and dealt like cards, the next one going on where the last one ended, so that hands differ by
    one picture at most, within a class and in all. scikit-learn's StratifiedKFold gives the same sizes, but refuses
    where every class is smaller than the number of folds.
    """
    order = np.lexsort((draw.permutation(len(labels)), labels))
    dealt = np.empty(len(labels), np.int64)
    dealt[order] = np.arange(len(labels)) % hands
    return dealt


def fold_splits(dataset: Dataset, folds: int, seed: int) -> list[np.ndarray]:
    """The splits of each fold: uint8 ``[len(dataset)]`` each. Raises UserError when the pictures are too few."""
    places = np.sort(np.concatenate([dataset.indices("train"), dataset.indices("validation")]))
    check(dataset, len(places), folds)
    labels = np.asarray(dataset.labels)
    dealt = deal(labels[places], folds, numpy_stream(seed, "folds"))
    share = len(dataset.indices("validation")) / len(places) or USUAL_VALIDATION
    found = []
    for fold in range(folds):
        splits = np.full(len(dataset), UNUSED, np.uint8)
        splits[places[dealt == fold]] = TEST
        rest = places[dealt != fold]
        wanted = max(FEWEST_IN_SPLIT, round(share * len(rest)))
        hands = deal(labels[rest], max(2, len(rest) // wanted), numpy_stream(seed, "fold-validation", fold))
        splits[rest] = np.where(hands == 0, VALIDATION, TRAIN)
        found.append(splits)
    return found


def check(dataset: Dataset, pictures: int, folds: int) -> None:
    """Raises UserError for fewer than 2 folds, or more than leave two pictures in each and two in the other splits."""
    if folds < FEWEST_FOLDS:
        raise UserError(
            f"{folds} fold{'s' * (folds != 1)} cannot be held out in turn", "ask for --folds 2 or more; 5 are usual"
        )
    if pictures < 2 * FEWEST_IN_SPLIT * FEWEST_FOLDS:
        raise UserError(
            f"'{dataset.folder}' has {pictures} training and validation pictures, too few to hold some out in turn",
            "prepare a larger set",
        )
    if pictures < FEWEST_IN_SPLIT * folds:
        raise UserError(
            f"{folds} folds of {pictures} pictures leave fewer than {FEWEST_IN_SPLIT} in a fold",
            f"ask for --folds {pictures // FEWEST_IN_SPLIT} or fewer; 5 are usual",
        )


def warnings(dataset: Dataset, folds: int) -> list[str]:
    """What a reader of the figures should know about these folds, in plain words."""
    places = np.concatenate([dataset.indices("train"), dataset.indices("validation")])
    labels = np.asarray(dataset.labels)[places]
    sizes = np.bincount(labels[labels >= 0], minlength=len(dataset.classes))
    small = [f"'{name}' ({size})" for name, size in zip(dataset.classes, sizes, strict=True) if size < folds]
    found = []
    if small:
        named = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        found.append(f"fewer pictures than folds in class {named}: some folds hold none of it out, or learn from none")
    if dataset.manifest.options.get("keep_duplicates"):
        found.append(
            "the set keeps duplicates, which may lie on both sides of a fold: prepare it without --keep-duplicates"
        )
    return found


def write_fold(dataset: Dataset, splits: np.ndarray, folder: Path) -> Dataset:
    """The fold as a dataset in ``folder``: pictures linked, splits its own, the manifest last. Opened if it stands.

    Raises UserError when it cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, splits)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    fingerprint = hashlib.sha256(f"{dataset.manifest.fingerprint}{digest}".encode()).hexdigest()
    if is_dataset(folder):
        standing = Dataset.open(folder)
        if standing.manifest.fingerprint == fingerprint:
            return standing
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep_partial(folder)
        if (dataset.folder / vault.FILE).is_file():  # the same key: the pictures are the same files
            write_atomic(folder / vault.FILE, (dataset.folder / vault.FILE).read_bytes())
        for name in LINKED:
            if (dataset.folder / name).exists():
                link(dataset.folder / name, folder / name)
    vault.write_atomic(folder / "splits.npy", buffer.getvalue())
    manifest = dataset.manifest.model_copy(
        update={
            "split_counts": {name: int((splits == number).sum()) for number, name in enumerate(SPLITS)},
            "files": {**dataset.manifest.files, "splits.npy": digest},
            "fingerprint": fingerprint,
        }
    )
    vault.write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return Dataset.open(folder)


def link(source: Path, target: Path) -> None:
    """``target`` becomes the same file as ``source``: a hard link, else a symbolic one, else a copy. Raises OSError."""
    target.unlink(missing_ok=True)
    source = source.resolve()
    for make in (os.link, os.symlink):
        with contextlib.suppress(OSError, NotImplementedError):
            make(source, target)
            return
    shutil.copy2(source, target)
