"""What was left out, and why: a few words in an error, a short table at the end."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from allaprima.data.sources import LeftOut
from allaprima.data.split import SPLITS
from allaprima.vault import is_sealed

if TYPE_CHECKING:
    from allaprima.data.assembly import Selection
    from allaprima.data.prepare import PrepareConfig


def causes(left_out: Iterable[LeftOut]) -> str:
    """Such as `` (left out: 2 tiny, 1 unreadable)``; empty when nothing was left out."""
    counts = Counter(one.check for one in left_out)
    words = ", ".join(f"{count:,} {check.replace('_', ' ')}" for check, count in counts.most_common())
    return f" (left out: {words})" if words else ""


def say(text: str) -> None:
    """A line for the person; not on standard output, which is for results."""
    print(text, file=sys.stderr, flush=True)


def notes(selection: Selection) -> list[str]:
    """What was changed in pictures that were kept, a sentence each."""
    count = selection.painted_over
    if not count:
        return []
    are = "picture is" if count == 1 else "pictures are"
    return [f"{count:,} {are} transparent; painted on white; --colour rgba keeps it"]


def summary(target: Path, selection: Selection, config: PrepareConfig, more: Sequence[str] = ()) -> None:
    """How many pictures there are, how they are divided and stored, what was left out by each check, what comes next."""
    counts = [int((selection.splits == number).sum()) for number in range(len(SPLITS))]
    parts = ", ".join(f"{count:,} {name}" for name, count in zip(SPLITS, counts, strict=True))
    classes = f", {len(selection.classes)} classes" if selection.classes else ""
    width, height = config.size
    colour = "grey" if selection.grey else "rgb" if config.colour == "auto" else config.colour
    say(f"'{target}': {len(selection.places):,} pictures ({parts}){classes}, {width}x{height} px, {colour}")
    for note in (*notes(selection), *more):
        say(note)
    _left_out(target, selection)
    say(next_step(target))


def next_step(target: Path) -> str:
    """The command that trains on the dataset."""
    runs = Path("runs") / target.resolve().name
    return f"next: allaprima train {shlex.quote(str(target))} {shlex.quote(str(runs))}"


def _left_out(target: Path, selection: Selection) -> None:
    rows = Counter(one.check for one in selection.left_out)
    if not rows:
        return
    examples = {one.check: one for one in reversed(selection.left_out)}
    named = target / "report.json"
    how = f": allaprima read {shlex.quote(str(named))}" if is_sealed(named) else ""
    say(f"left out: {sum(rows.values()):,}; every one is named in {named}{how}")
    for check, count in rows.most_common():
        one = examples[check]
        say(f"  {count:>7,}  {check.replace('_', ' '):<15}  e.g. {_short(one.name)}: {one.reason}")


def _short(name: str, most: int = 40) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= most else "…" + plain[1 - most :]
