"""What an erasure did, in plain words: what is gone, what is left, and who has seen the pictures.

Use: ``print(forget(dataset, images).text())``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from allaprima.data.dataset import Manifest
from allaprima.data.onlookers import Seer
from allaprima.data.split import BY_NUMBER, FEWEST_IN_SPLIT

MOST_NAMED = 20


@dataclass
class Forgotten:
    """``pictures``: by their old rows, name and number of the split. ``remains`` is empty where all is well.

    ``seers`` come with how many of the pictures each was trained on, None where that cannot be told. ``named_in``: texts of
    runs that name a picture. ``twins``: files of the source that were left out as repeats of one.
    """

    folder: Path
    pictures: dict[int, tuple[str, int]]
    runs: Path | None
    source: str = ""
    manifest: Manifest | None = None
    made_again: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    seers: list[tuple[Seer, int | None]] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    folds: list[Path] = field(default_factory=list)
    reports: list[Path] = field(default_factory=list)
    purged: bool = False
    named_in: list[Path] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    searched: int = 0

    def text(self) -> str:
        """Everything, a fact a line."""
        return "\n".join([*self._dataset(), *self._elsewhere(), *self._seers(), *self._left()])

    def _dataset(self) -> Iterator[str]:
        assert self.manifest is not None
        counts = ", ".join(f"{count:,} {name}" for name, count in self.manifest.split_counts.items())
        yield f"'{self.folder}': {_pictures(len(self.pictures))} forgotten, {self.manifest.count:,} stay ({counts})"
        lines = [
            f"  #{row} {name} ({BY_NUMBER[split] if split < len(BY_NUMBER) else 'in no split'})"
            for row, (name, split) in self.pictures.items()
        ]
        yield from _few(lines)
        yield "rows behind a forgotten one have moved up: row numbers that were written down no longer fit"
        if self.made_again:
            yield f"deleted, and made again when needed: {', '.join(self.made_again)}"
        if self.strangers:
            yield f"not of this program, and kept: {', '.join(self.strangers)}"
        for name in self.empty_classes:
            yield f"class '{name}' has no pictures any more; it stays a class"
        for split in ("train", "validation"):
            if self.manifest.split_counts.get(split, 0) < FEWEST_IN_SPLIT:
                yield f"too few {split} pictures are left to train: prepare a larger set"

    def _elsewhere(self) -> Iterator[str]:
        yield f"the source ({self.source}) is untouched: delete them there too, or preparing it again brings them back"
        if self.twins:
            yield "it also held repeats of them, which were left out and would take their place:"
            yield from _few([f"  {name}" for name in self.twins])
        for folder in self.copies:
            yield f"'{folder}' is a dataset with the same pictures: forget them there too"
        for folder in self.unread:
            yield f"'{folder}' is encrypted and its key is not here: whether it is of these pictures cannot be told"
        for folder in self.folds:
            yield f"deleted: '{folder}', a fold, whose files were those of the old dataset"
        for folder in self.unfinished:
            yield f"'{folder}' was made with the old pictures and cannot go on: begin it anew in another folder"

    def _seers(self) -> Iterator[str]:
        if self.seers:
            yield "Their generators may still remember the pictures; deleting a picture does not change a generator:"
        for seer, held in self.seers:
            yield f"  {seer.folder}: {self._how(seer, held)}"
        if self.seers:
            again = f"allaprima train {shlex.quote(str(self.folder))} NEW_RUN"
            yield f"delete them, with their exports and copies, and train it again: {again}"
        elif self.runs is not None:
            yield f"no run in '{self.runs}' has seen them"
        if self.runs is None:
            yield "no folder of runs was searched for what has seen them: name it with --runs"
        shows = "may show them among training or held-out pictures: delete it (--purge-reports does so at once)"
        for folder in self.reports:
            yield f"report {folder}: {'deleted' if self.purged else shows}"
        for path in self.named_in:
            yield f"names one of them: {path}"

    def _how(self, seer: Seer, held: int | None) -> str:
        every = len(self.pictures)
        if held is None:
            told = "may have been trained on them, its splits are gone"
        elif held == 0:
            told = (
                f"trained on none of the {every}; its best moment may have been chosen, or it was measured, with them"
            )
        else:
            told = f"trained on {held:,} of {every:,}"
        begun = "begun from a generator that was " if seer.begun_from else ""
        bounded = "; private: what it gives away of any one picture is bounded" if seer.private else ""
        return f"{begun}{told}{bounded}"

    def _left(self) -> Iterator[str]:
        if self.remains:
            yield "STILL THERE:"
            yield from (f"  {words}" for words in self.remains)
        else:
            yield f"searched {self.searched} files of the dataset: no name and no pixels of them are left"
        yield "beyond reach: backups, snapshots, and copies of the dataset, of runs and of bundles in other places"


def _pictures(count: int) -> str:
    return f"{count:,} picture{'s' * (count != 1)}"


def _few(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_NAMED
    return lines if more <= 0 else [*lines[:MOST_NAMED], f"  … and {more:,} more"]
