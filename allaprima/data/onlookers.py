"""What has seen the pictures of a dataset: runs, bundles, reports and folds, told by the fingerprints that they wrote down.

Only their JSON is read: nothing here knows how to train.

    run.json       a run; ``fingerprint`` is that of its dataset
    bundle.json    a bundle; so are ``provenance.dataset_fingerprint``, and ``provenance.begun_from`` of an earlier generator
    report.json    an evaluation's, with training and held-out pictures in the report.html beside it
    settings.json  a cross-validation or a search, with runs below it; folds/N/dataset is a fold, which shares our files

Use: ``found = look(roots, manifest, earlier)``; ``found.seers[0].held(places)``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.data.dataset import FORMAT, MANIFEST, Manifest
from allaprima.data.split import TRAIN

MARKERS = ("run.json", "bundle.json", "report.json", "settings.json", MANIFEST)
PASSED = ("checkpoints", "tensorboard", "samples")  # of runs: many files, and none that says whose they are
PAGES = ("report.html", "report.json")


@dataclass(frozen=True)
class Seer:
    """A run, or a bundle on its own. ``splits`` uint8 ``[N]`` are those that it was trained on; None where they are gone.

    ``begun_from``: it did not see the pictures, the generator that it was begun from did. ``private``: what it gives away of
    any one picture is bounded.
    """

    folder: Path
    splits: np.ndarray | None
    begun_from: bool = False
    private: bool = False

    def held(self, places: np.ndarray) -> int | None:
        """How many of the pictures at ``places`` it was trained on; None where that cannot be told."""
        return None if self.splits is None else int((self.splits[places] == TRAIN).sum())


@dataclass
class Found:
    """All onlookers below some folders. ``copies`` are other datasets with the same pictures; ``unread``: encrypted bundles and
    datasets whose key is not at hand.
    """

    seers: list[Seer] = field(default_factory=list)
    reports: list[Path] = field(default_factory=list)
    folds: list[Path] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)  # cross-validations and searches: they cannot go on


def look(roots: Iterable[Path], own: Path, manifest: Manifest, earlier: Iterable[str], splits: np.ndarray) -> Found:
    """What below ``roots`` has seen the dataset in ``own`` as it is, or as it was before (``earlier`` fingerprints)."""
    known, found = {manifest.fingerprint, *earlier}, Found()
    bundles: list[Seer] = []
    for path in sorted({marker for root in roots for marker in _markers(root)}):
        folder = path.parent
        try:
            values = _json(path)
        except UserError:  # its key is not at hand
            of_a_run = path.name == "bundle.json" and (folder.parent / "run.json").is_file()
            found.unread += [] if of_a_run or folder in found.unread else [folder]
            continue
        if path.name == "run.json" and (seer := _run(folder, values, manifest, known, splits)):
            found.seers.append(seer)
        elif path.name == "bundle.json" and (seer := _bundle(folder, values, known, splits)):
            bundles.append(seer)
        elif path.name == "report.json" and values.get("dataset_fingerprint") in known:
            found.reports.append(folder)
        elif path.name == "settings.json" and values.get("dataset_fingerprint") in known:
            found.unfinished.append(folder)
        elif path.name == MANIFEST and folder.resolve() != own.resolve() and _same_pictures(values, manifest):
            (found.folds if _crossval_of(folder) else found.copies).append(folder)
    runs = {seer.folder for seer in found.seers}
    for seer in bundles:
        run = seer.folder.parent
        if not (run / "run.json").is_file():
            found.seers.append(seer)
        elif run not in runs:  # a run on other pictures that was begun from one on these
            found.seers.append(Seer(run, seer.splits, seer.begun_from, seer.private))
    # a fold's report names the fold's fingerprint
    own_reports = [seer.folder / "report" for seer in found.seers if not seer.begun_from]
    found.reports += [one for one in own_reports if (one / "report.json").is_file() and one not in found.reports]
    return found


def _markers(root: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in PASSED and not name.startswith(".")]
        yield from (Path(folder) / name for name in MARKERS if name in names)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(vault.read_bytes(path, mixed=True))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _run(folder: Path, values: dict[str, Any], manifest: Manifest, known: set[str], splits: np.ndarray) -> Seer | None:
    private = False
    with contextlib.suppress(UserError):  # without its key nothing is known of its generator, and that it saw them is
        made = _json(folder / "bundle" / "bundle.json").get("provenance") or {}
        private = bool(made.get("privacy"))
    if values.get("fingerprint") in known:
        return Seer(folder, splits, private=private)
    fold = folder.with_name("dataset")  # a fold has a fingerprint of its own
    crossval = _crossval_of(fold)
    if crossval is None or _json(crossval / "settings.json").get("dataset_fingerprint") not in known:
        return None
    try:
        own = vault.array(fold / "splits.npy")[:]
    except (OSError, ValueError, UserError):
        own = None
    return Seer(folder, own if own is not None and own.shape == (manifest.count,) else None, private=private)


def _bundle(folder: Path, values: dict[str, Any], known: set[str], splits: np.ndarray) -> Seer | None:
    made = values.get("provenance") or {}
    if made.get("dataset_fingerprint") in known:
        return Seer(folder, splits)
    begun = made.get("begun_from")
    if isinstance(begun, dict) and begun.get("dataset_fingerprint") in known:
        return Seer(folder, splits, begun_from=True, private=bool(made.get("privacy")))
    return None


def _same_pictures(values: dict[str, Any], manifest: Manifest) -> bool:
    files = values.get("files")
    same = isinstance(files, dict) and files.get("images.npy") == manifest.files.get("images.npy")
    return values.get("format") == FORMAT and same


def _crossval_of(dataset: Path) -> Path | None:
    """The folder of the cross-validation that ``…/folds/N/dataset`` belongs to."""
    folder = dataset.parent.parent.parent
    fits = dataset.name == "dataset" and dataset.parent.parent.name == "folds"
    return folder if fits and _json(folder / "settings.json").get("format") == "allaprima-crossval" else None


@contextlib.contextmanager
def held_still(found: Found, name: Path) -> Iterator[None]:
    """Nobody trains any of them meanwhile. Raises UserError where somebody does."""
    folders = sorted({*(seer.folder for seer in found.seers), *found.unfinished})
    with contextlib.ExitStack() as stack:
        for folder in folders:
            if not (folder / ".lock").is_file():
                continue  # a bundle, or a run that was copied here
            try:
                stack.enter_context(claim_folder(folder))
            except UserError as error:
                if "in use" not in error.problem:
                    raise
                raise UserError(
                    f"'{folder}' is being trained on '{name}' now; nothing was changed",
                    "wait until it ends, or stop it, then give the same command again",
                ) from None
        yield


def delete_reports(folders: Iterable[Path]) -> None:
    """Take the pages of reports away, and their folders where nothing else lies there."""
    for folder in folders:
        for name in PAGES:
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def delete_folds(folders: Iterable[Path]) -> None:
    """Take folds away: their files are those of the dataset as it was, under another name."""
    for folder in folders:
        shutil.rmtree(folder)
