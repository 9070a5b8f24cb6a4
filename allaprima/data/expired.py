"""What was to be kept for a time that is over: datasets and runs are found by the date that they carry, and deleted whole.

Nothing goes that carries no date, or holds something that is not due. A clock that runs behind what is known already deletes
nothing: no file here, none of this program and no date written down may be later than now. One that runs ahead cannot be
told from time that went by, so what is due is shown first, with its dates.

Afterwards the folders are searched for copies of the files that went, and for what names them: bundles, exports, reports.

Use: ``plan = find([Path("datasets"), Path("runs")]); print(plan.text()); print(delete(plan).text())``.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.files import PARTIAL, claim_folder, sha256_file, sync_folder
from allaprima.core.retention import date_of, is_due, today_utc

KINDS = {"manifest.json": ("allaprima-dataset", "dataset"), "run.json": ("allaprima-run", "run")}
FIRST_POSSIBLE = datetime.date(2026, 1, 1)  # no program that writes these dates is older
ASIDE = f"{PARTIAL}-expired"
USUAL = ("datasets", "runs")
TEXTS = (".json", ".jsonl", ".md", ".html", ".yaml", ".txt")
LARGEST_TEXT = 8 << 20
SMALLEST_COPY = 1024  # bytes: shorter files may be equal by chance
MARK = 16  # hexadecimal digits of a fingerprint, as cards write it


@dataclass(frozen=True)
class Marked:
    """A dataset or a run, and what it says of itself: ISO dates; ``marks``, by which others name it."""

    folder: Path
    kind: str
    since: str | None
    until: str | None
    marks: tuple[str, ...]


@dataclass
class Plan:
    """``due`` goes, ``leftovers`` of an interrupted deletion too; ``held`` says why something stays; ``later`` is not due."""

    roots: list[Path]
    due: list[Marked] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    later: list[Marked] = field(default_factory=list)
    undated: int = 0

    def text(self) -> str:
        """What would go, and what stays, a line each."""
        lines = []
        for one in self.due:
            count, size = _extent(one.folder)
            lines.append(
                f"due since {one.until}: the {one.kind} '{one.folder}' of {one.since} ({count:,} files, {size / 1e6:,.1f} MB)"
            )
        lines += [f"left of an interrupted deletion: '{folder}'" for folder in self.leftovers]
        lines += self.held
        if self.later:
            first = min(self.later, key=lambda one: str(one.until))
            lines.append(
                f"{len(self.later):,} with a date are not due; the next is '{first.folder}', after {first.until}"
            )
        if self.undated:
            lines.append(f"{self.undated:,} have no date and are left alone")
        if not self.due and not self.leftovers:
            lines.append("nothing can be deleted" if self.held else "nothing is due")
        return "\n".join(lines)


@dataclass
class Deleted:
    """``gone``: what went. ``remains``: what should not be there. ``named_in``: texts that name what went; ``unread``: others."""

    gone: list[Path] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    named_in: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    searched: int = 0

    def text(self) -> str:
        """Everything, a fact a line."""
        lines = [f"deleted: '{folder}'" for folder in self.gone]
        if self.named_in:
            lines.append("made of what was deleted, and still there; a generator may remember its pictures:")
            lines += [f"  {path}" for path in self.named_in]
        if self.remains:
            lines += ["STILL THERE:", *(f"  {words}" for words in self.remains)]
        elif self.gone:
            lines.append(f"searched {self.searched:,} files: no copy of a deleted file is left")
        if self.unread:
            lines.append(
                f"{len(self.unread):,} files could not be read, locked ones among them, such as '{self.unread[0]}'"
            )
        lines.append("beyond reach: backups, snapshots, and what was copied or exported to other places")
        return "\n".join(lines)


def find(roots: Sequence[Path], today: datetime.date | None = None) -> Plan:
    """What is due in ``roots``, or is one of them. Raises UserError when one is missing, or the clock cannot be right."""
    today = today or today_utc()
    missing = [root for root in roots if not root.is_dir()]
    if missing or not roots:
        what = (
            f"There is no folder '{missing[0]}'" if missing else "There is neither a folder 'datasets' nor 'runs' here"
        )
        raise UserError(what, "name folders in which to look: allaprima forget --expired FOLDER")
    plan = Plan([root.resolve() for root in roots])
    marked = {one.folder: one for root in plan.roots for one in _marked(root, plan.held)}
    _check_clock(plan.roots, marked.values(), today)
    plan.leftovers = sorted({path for root in plan.roots for path in _leftovers(root)})
    due = {folder: one for folder, one in marked.items() if is_due(one.until, today)}
    for folder, one in sorted(due.items()):
        inside = [other for path, other in marked.items() if folder in path.parents and path not in due]
        if any(parent in due for parent in folder.parents):
            continue  # it goes with what holds it
        if not FIRST_POSSIBLE <= (date_of(one.since) or datetime.date.min) <= date_of(one.until):  # type: ignore[operator]
            plan.held.append(f"the {one.kind} '{folder}' stays: its dates ({one.since} to {one.until}) cannot be right")
        elif inside:
            plan.held.append(f"the {one.kind} '{folder}' is due and stays: it holds '{inside[0].folder}', which is not")
        else:
            plan.due.append(one)
    rest = [one for folder, one in marked.items() if folder not in due]
    plan.later = [one for one in rest if date_of(one.until)]
    plan.undated = len(rest) - len(plan.later)
    return plan


def delete(plan: Plan) -> Deleted:
    """Delete what is due, whole folders. What is in use stays, and is told."""
    done = Deleted()
    others = list(_others(plan))
    marks = {mark[:MARK].encode() for one in plan.due for mark in one.marks}
    done.named_in = [path for path in others if path.suffix in TEXTS and _names(path, marks, done.unread)]
    copies = list(_copies(plan.due, others))
    done.searched = len(others)
    for leftover in plan.leftovers:
        _remove(leftover, leftover, done)
    for one in plan.due:
        trained = [path.parent for path in done.named_in if path.name == "run.json"] if one.kind == "dataset" else []
        try:
            for folder in (one.folder, *trained):
                if (folder / ".lock").is_file():
                    with claim_folder(folder):  # nobody prepares it, trains it or trains on it
                        pass
            aside = one.folder.with_name(f".{one.folder.name}{ASIDE}")  # gone at once, however long deleting takes
            os.rename(one.folder, aside)
            sync_folder(aside.parent)
        except (UserError, OSError) as error:
            words = error.problem if isinstance(error, UserError) else str(error.strerror)
            done.remains.append(f"the {one.kind} '{one.folder}': {words}")
            continue
        _remove(aside, one.folder, done)
    gone = set(done.gone)
    done.remains += [words for path, folder, words in copies if folder in gone and os.path.lexists(path)]
    return done


def _remove(folder: Path, name: Path, done: Deleted) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder) or os.path.lexists(name):
        done.remains.append(f"'{folder}' could not be deleted")
    else:
        done.gone.append(name)


def _marked(root: Path, unread: list[str]) -> Iterator[Marked]:
    """Datasets and runs in ``root``; of those that are locked and whose key is not here, words in ``unread``."""
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        for name, (form, kind) in KINDS.items():
            try:
                values = _json(Path(folder) / name) if name in names else {}
            except UserError as error:
                unread.append(f"'{folder}' is locked and stays, its date cannot be read: {error.problem}")
                continue
            if values.get("format") == form:
                since, until = (str(values.get(key) or "") or None for key in ("kept_from", "kept_until"))
                yield Marked(Path(folder), kind, since, until, tuple(_marks(Path(folder), kind, values)))


def _marks(folder: Path, kind: str, values: dict[str, Any]) -> Iterator[str]:
    """By what others name it: a dataset's fingerprints, now and before something was forgotten; the weights of a run."""
    if kind == "dataset":
        earlier = [one.get("fingerprint") for one in _json(folder / "report.json").get("forgotten", [])]
        yield from (str(one) for one in (values.get("fingerprint"), *earlier) if one)
    else:
        weights = _json(folder / "bundle" / "bundle.json").get("weights") or {}
        yield from [str(weights["sha256"])] if weights.get("sha256") else []


def _leftovers(root: Path) -> Iterator[Path]:
    yield from (path for path in root.parent.glob(f".{root.name}{ASIDE}") if path.is_dir())
    for folder, below, _ in os.walk(root):
        yield from (Path(folder) / name for name in below if name.startswith(".") and name.endswith(ASIDE))
        below[:] = [name for name in below if not name.startswith(".")]


def _check_clock(roots: Iterable[Path], marked: Iterable[Marked], today: datetime.date) -> None:
    """Raises UserError when something is known to be later than now, by more than a day."""
    paths = [*roots, Path(__file__)]
    known = [(date_of(one.since), one.folder) for one in marked]
    paths += [one.folder / name for one in marked for name in KINDS if (one.folder / name).is_file()]
    known += [(_written(path), path) for path in paths]
    latest, path = max((date or datetime.date.min, path) for date, path in known)
    if latest > today + datetime.timedelta(days=1):
        raise UserError(
            f"The clock says {today}, and '{path}' is of {latest}: one of them is wrong, and nothing was deleted",
            "set the clock right, then give the same command again",
        )


def _written(path: Path) -> datetime.date:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).date()


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(vault.read_bytes(path, mixed=True))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _extent(folder: Path) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _others(plan: Plan) -> Iterator[Path]:
    """Every file below the roots, beside them as ``NAME-…``, and where datasets and runs usually lie, that does not go."""
    going = {one.folder for one in plan.due} | set(plan.leftovers)
    tops = set(plan.roots) | {path for root in plan.roots for path in root.parent.glob(f"{root.name}-*")}
    tops |= {Path(usual).resolve() for usual in USUAL}
    tops = {top for top in tops if top.is_dir() and top not in going}
    for top in sorted(top for top in tops if not any(parent in tops for parent in top.parents)):
        for folder, below, names in os.walk(top):
            below[:] = [name for name in below if Path(folder) / name not in going]
            yield from (path for name in names if (path := Path(folder) / name).is_file())


def _names(path: Path, marks: Iterable[bytes], unread: list[Path]) -> bool:
    """Whether one of ``marks`` stands in the file. What cannot be read joins ``unread``."""
    try:
        content = vault.read_bytes(path, mixed=True) if path.stat().st_size <= LARGEST_TEXT else b""
    except (OSError, ValueError, UserError):
        unread.append(path)
        return False
    return any(mark in content for mark in marks)


def _copies(due: Iterable[Marked], others: Iterable[Path]) -> Iterator[tuple[Path, Path, str]]:
    """Files outside that are equal to one that goes: the file, the folder of the other, and words."""
    by_size: dict[int, list[Path]] = {}
    for path in others:
        by_size.setdefault(path.stat().st_size, []).append(path)
    for one in due:
        for own in (path for path in sorted(one.folder.rglob("*")) if path.is_file()):
            alike = by_size.get(own.stat().st_size, [])
            if own.stat().st_size < SMALLEST_COPY or not alike:
                continue
            digest = sha256_file(own)
            for other in alike:
                if sha256_file(other) == digest:
                    yield other, one.folder, f"'{other}' is a copy of '{own}', which was deleted"
