"""How long something may be kept: an end date (UTC) in a dataset's manifest or a run's ``run.json``, and a reminder after it.

Nothing is deleted here, and by no other command than ``allaprima forget --expired``.

Use: ``kept = Kept.for_span("90d")``; ``remind(folder, "dataset", kept.until)``.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from allaprima.core.errors import UserError
from allaprima.core.files import write_json

DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
MOST_DAYS = 365 * 100
RUN = "run.json"
FOR_EVER = "none"
_told: set[str] = set()


@dataclass(frozen=True)
class Kept:
    """ISO dates (UTC): written on ``since``, to be kept to the end of ``until``."""

    since: str
    until: str

    @classmethod
    def for_span(cls, span: str, today: datetime.date | None = None) -> Kept:
        """From today on for a span such as ``90d``."""
        today = today or today_utc()
        return cls(today.isoformat(), (today + datetime.timedelta(days=days(span))).isoformat())

    @classmethod
    def with_(cls, until: str) -> Kept:
        """From today on, to the end of another thing's last day."""
        return cls(today_utc().isoformat(), until)


def today_utc() -> datetime.date:
    """What the clock says."""
    return datetime.datetime.now(datetime.UTC).date()


def days(span: str) -> int:
    """``90d``, ``12w``, ``6m`` (of 30 days), ``2y`` (of 365) → days. Raises UserError otherwise."""
    match = re.fullmatch(r"(\d{1,6})\s*([dwmy])", span.strip().lower())
    count = int(match[1]) * DAYS[match[2]] if match else 0
    if not 0 < count <= MOST_DAYS:
        raise UserError(
            f"'{span}' is no time to keep something", "write it as 90d, 12w, 6m or 2y: up to a hundred years"
        )
    return count


def date_of(text: str | None) -> datetime.date | None:
    """An ISO date; None for anything else."""
    try:
        return datetime.date.fromisoformat(text or "")
    except (TypeError, ValueError):
        return None


def is_due(until: str | None, today: datetime.date | None = None) -> bool:
    """Whether the day ``until`` is over. What is no date is never due."""
    end = date_of(until)
    return end is not None and (today or today_utc()) > end


def remind_of_run(folder: Path) -> None:
    """``remind`` by the ``run.json`` in ``folder``, if there is one that carries a date."""
    try:
        values = json.loads((folder / RUN).read_text(encoding="utf-8"))
        remind(folder, "run", values.get("kept_until"))
    except (OSError, ValueError, AttributeError):
        return


def stamp(run: Path, kept: Kept) -> None:
    """Write into a run's ``run.json`` how long the run is to be kept, in place of what stood there."""
    values = json.loads((run / RUN).read_text(encoding="utf-8"))
    write_json(run / RUN, {**values, "kept_from": kept.since, "kept_until": kept.until})


def remind(folder: Path, kind: str, until: str | None) -> None:
    """Say on standard error, once in this process, that ``folder`` should be gone. Deletes nothing."""
    name, place = str(folder), str(folder.resolve())
    if not is_due(until) or place in _told:
        return
    _told.add(place)
    print(
        f"allaprima: the {kind} '{name}' was to be kept until {until} (UTC) and is due\n"
        f"  → allaprima forget --expired {shlex.quote(name)}",
        file=sys.stderr,
        flush=True,
    )
