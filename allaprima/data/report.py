"""What was left out, and why: a few words in an error, a short table at the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from allaprima.data.sources import LeftOut
from allaprima.data.split import SPLITS

if TYPE_CHECKING:
    from allaprima.data.assembly import Selection


def causes(left_out: Iterable[LeftOut]) -> str:
    """Such as `` (left out: 2 tiny, 1 unreadable)``; empty when nothing was left out."""
    counts = Counter(one.check for one in left_out)
    words = ", ".join(f"{count:,} {check.replace('_', ' ')}" for check, count in counts.most_common())
    return f" (left out: {words})" if words else ""


def say(text: str) -> None:
    """A line for the person; not on standard output, which is for results."""
    print(text, file=sys.stderr, flush=True)


def summary(target: Path, selection: Selection) -> None:
    """How many pictures there are, how they are divided, and a row for each check that left some out."""
    counts = [int((selection.splits == number).sum()) for number in range(len(SPLITS))]
    parts = ", ".join(f"{count:,} {name}" for name, count in zip(SPLITS, counts, strict=True))
    classes = f", {len(selection.classes)} classes" if selection.classes else ""
    say(f"'{target}': {len(selection.places):,} pictures ({parts}){classes}")
    rows = Counter(one.check for one in selection.left_out)
    if not rows:
        return
    examples = {one.check: one for one in reversed(selection.left_out)}
    say(f"left out: {sum(rows.values()):,}; every one is named in {target / 'report.json'}")
    for check, count in rows.most_common():
        one = examples[check]
        say(f"  {count:>7,}  {check.replace('_', ' '):<15}  e.g. {_short(one.name)}: {one.reason}")


def _short(name: str, most: int = 40) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= most else "…" + plain[1 - most :]
