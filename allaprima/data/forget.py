"""Erasure: pictures leave a prepared dataset for good, and what has seen them is named.

The dataset is written anew beside the old one, without them, and takes its place in the last moment; then the old files are
deleted, and what stands is searched for names and pixels. What was made of the pictures and is kept with them (features,
prepared texts) goes with the old files: it is made again when it is needed. Deleting ends at the file system: backups,
snapshots and blocks that a disk keeps for itself are beyond it.

A generator cannot be made to forget. The runs that learned from the pictures are found by fingerprint (data.onlookers).

Use: ``print(forget("datasets/cats", ["a.png", "#17"], runs=Path("runs")).text())``.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allaprima import vault
from allaprima.core.errors import UserError, suggest
from allaprima.core.files import PARTIAL
from allaprima.data import onlookers, traces, without
from allaprima.data.dataset import REMEDY, Dataset
from allaprima.data.forgotten import Forgotten
from allaprima.data.originals import Originals
from allaprima.data.prepare import SPARE_BYTES, replacing, sweep
from allaprima.vault.folders import plain, rewriting


@dataclass(frozen=True)
class _Going:
    """The pictures that go, as long as anything is known of them: ``places`` in the dataset, ``rows`` uint8 ``[M, H, W, C]``."""

    places: np.ndarray
    rows: np.ndarray
    names: traces.Names
    report: dict[str, Any]


def forget(
    folder: str | Path,
    images: Sequence[str],
    runs: Path | None = None,
    purge_reports: bool = False,
    key: Path | None = None,
    detector: str = "",
) -> Forgotten:
    """Erase pictures, given by name, as ``#`` and their row, or by the file they were made of, from the dataset in ``folder``.

    ``key`` tells pseudonyms of names in the source, ``detector`` finds the faces that were filled (data.originals).

    ``runs``, and what lies beside the dataset as ``NAME-…``, is searched for what has seen them; ``purge_reports`` deletes the
    reports that may show them. Raises UserError, and nothing is changed, for unknown pictures, for a dataset that is being
    prepared or trained on, when none would stay, and when there is no space; also when old files cannot be deleted.
    """
    target = Path(folder).resolve()  # of a link the folder behind it would stay
    if runs is not None and not runs.is_dir():
        raise UserError(f"There is no folder '{runs}'; nothing was changed", "name the folder of your runs with --runs")
    sweep(target)
    Dataset.open(folder)
    _check_space(target)
    with contextlib.ExitStack() as held, replacing(target) as beside:
        # opened when the place is ours: from here on nobody else prepares or forgets it
        going, found, result = _planned(Path(folder), target, images, runs, key, detector)
        held.enter_context(onlookers.held_still(found, Path(folder)))
        _write(target, beside, going, result)
        elsewhere = _elsewhere(target, found.folds)
        # before the swap, for afterwards nobody could tell whose they were; they can be made again as long as it has not come
        onlookers.delete_folds(found.folds)
        if purge_reports:
            onlookers.delete_reports(found.reports)
        result.purged = purge_reports
    _really_gone(target)
    _verify(result, target, going, elsewhere)
    return result


def _planned(
    named: Path, target: Path, images: Sequence[str], runs: Path | None, key: Path | None, detector: str
) -> tuple[_Going, onlookers.Found, Forgotten]:
    """What goes, who has seen it, and what is to be told of both, while all is as it was."""
    dataset = Dataset.open(target)
    going = _going(dataset, images, Originals(dataset, key, detector))
    beside = {path for one in (target, Path(os.path.abspath(named))) for path in one.parent.glob(f"{one.name}-*")}
    roots = [one for one in (runs, *sorted(beside)) if one is not None and one.is_dir()]
    earlier = [one["fingerprint"] for one in going.report.get("forgotten", [])]
    found = onlookers.look(roots, target, dataset.manifest, earlier, np.array(dataset.split_of))
    names = [str(dataset.records[place].get("name")) for place in going.places]
    splits = np.array(dataset.split_of)[going.places].tolist()
    result = Forgotten(named, dict(zip(going.places.tolist(), zip(names, splits, strict=True), strict=True)), runs)
    result.source = dataset.manifest.source
    result.seers = [(seer, seer.held(going.places)) for seer in found.seers]
    result.unfinished, result.copies, result.unread, result.folds, result.reports = (
        found.unfinished,
        found.copies,
        found.unread,
        found.folds,
        found.reports,
    )
    return going, found, result


def _going(dataset: Dataset, images: Sequence[str], originals: Originals) -> _Going:
    """Raises UserError for a picture that is not there, none at all, or all of them; and for what cannot be rewritten."""
    strange = sorted(set(dataset.manifest.files) - set(without.FILES))
    if strange:
        raise UserError(
            f"'{dataset.folder}' holds '{strange[0]}', unknown to this version", "upgrade: pip install -U allaprima"
        )
    records = dataset.records
    if len(records) != len(dataset):
        raise UserError(f"'{dataset.folder}/records.jsonl' is damaged: it has {len(records):,} lines", REMEDY)
    known: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        known.setdefault(str(record.get("name")), []).append(place)
    found = [place for image in images for place in _places(image, known, dataset, originals)]
    places = np.unique(found).astype(np.int64)
    if not len(places):
        raise UserError("No picture is named", "give names as in records.jsonl, or rows such as '#17'")
    if len(places) == len(dataset):
        raise UserError(
            f"These are all pictures of '{dataset.folder}'; nothing was changed", "delete the whole folder instead"
        )
    try:
        report = dict(json.loads(vault.read_bytes(dataset.folder / "report.json")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"'{dataset.folder}/report.json' is damaged: {error}", REMEDY) from None
    gone = set(places.tolist())
    names = [str(records[place].get("name")) for place in places]
    others = [str(record.get("name")) for place, record in enumerate(records) if place not in gone]
    others += [str(entry.get("name")) for entry in report.get("left_out", [])]
    return _Going(places, np.array(dataset.images[places]), traces.Names(names, others), report)


def _places(image: str, known: dict[str, list[int]], dataset: Dataset, originals: Originals) -> list[int]:
    """Rows of the pictures of that name (a source may use one twice), the row that ``#17`` is, or those made of that file."""
    named = image if image in known else originals.pseudonym(image)
    if named in known:
        return known[named]
    if image.startswith("#") and image[1:].isdecimal():
        if int(image[1:]) < len(dataset):
            return [int(image[1:])]
        raise UserError(
            f"'{dataset.folder}' has no row {image}; nothing was changed", f"rows go from '#0' to '#{len(dataset) - 1}'"
        )
    if rows := originals.rows(image):
        return rows
    if dataset.manifest.pseudonyms:
        raise UserError(
            f"No picture of '{dataset.folder}', whose names are pseudonyms, is named '{image}'; nothing was changed",
            "give the picture's file, or its name in the source with --pseudonym-key, or a row such as '#17'",
        )
    near = difflib.get_close_matches(image, known, n=3, cutoff=0.5)
    raise UserError(
        f"No picture of '{dataset.folder}' is named '{image}'; nothing was changed",
        suggest(image, near)
        if near
        else f"for their names: allaprima read {shlex.quote(str(dataset.folder / 'records.jsonl'))}",
    )


def _check_space(target: Path) -> None:
    """For the dataset once more, as long as both stand."""
    needed = sum((target / name).stat().st_size for name in without.FILES if (target / name).is_file()) + SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise UserError(
            f"No space: the dataset is written anew, which needs {needed / 1e9:,.1f} GB; {free / 1e9:,.1f} are free",
            "free some space, then give the same command again",
        )


def _write(target: Path, beside: Path, going: _Going, result: Forgotten) -> None:
    """The new dataset; the old one is closed again when this returns: Windows moves no open files."""
    with rewriting(target, beside) as (old, new):
        dataset = Dataset.open(old)
        keep = np.setdiff1d(np.arange(len(dataset)), going.places)
        report, result.twins = without.without_names(
            going.report, going.names, len(going.places), dataset.manifest.fingerprint
        )
        rest = without.write(dataset, keep, new, report)
    result.manifest, result.made_again, result.strangers = rest.manifest, rest.made_again, rest.strangers
    left = {int(label) for label in np.asarray(dataset.labels)[keep]}
    result.empty_classes = [name for number, name in enumerate(dataset.classes) if number not in left]


def _elsewhere(target: Path, folds: Sequence[Path]) -> list[str]:
    """Where the old files have other names that are not deleted with the folder: links to them, and from them."""
    found = []
    for name in without.FILES:
        path = target / name
        if path.is_symlink():
            found.append(f"'{name}' was a link to '{path.resolve()}', which holds it still")
        elif path.is_file():
            own = path.stat()
            known = sum(
                (fold / name).is_file()
                and not (fold / name).is_symlink()
                and os.path.samestat((fold / name).stat(), own)
                for fold in folds
            )
            if own.st_nlink - 1 - known > 0:
                found.append(f"the old '{name}' has another name on this disk (a hard link), where it stands still")
    return found


def _really_gone(target: Path) -> None:
    """Raises UserError where something of the old dataset stands beside the new one."""
    for left in target.parent.glob(f".{target.name}{PARTIAL}-*"):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():
            raise UserError(
                f"The new dataset stands, but the old files in '{left}' could not be deleted", "delete that folder"
            )


def _verify(result: Forgotten, target: Path, going: _Going, elsewhere: list[str]) -> None:
    """Looks for what must not be there any more, in the dataset and in the texts of those that saw it."""
    with plain(target) as folder:
        words, equal, result.searched = traces.left_in(folder, going.names, going.rows)
    records = Dataset.open(target).records
    result.remains = elsewhere + words
    result.remains += [
        f"'{records[place].get('name')}' (#{place}) is the same picture in every pixel, and stays: forget it too"
        for place in equal
    ]
    folders = {seer.folder for seer, _ in result.seers} | set(result.unfinished) | set(result.reports)
    pages = {path for folder in folders if folder.is_dir() for path in traces.named_in(folder, going.names)}
    result.named_in = sorted(pages)
