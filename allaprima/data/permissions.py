"""Consent and licence: columns of the source that say whether a picture may be used. Kept, summed up, and required where asked.

Use: ``listing = only(listing, parse(["consent=yes", "licence=CC0,CC-BY"]))``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from allaprima.core.errors import UserError, suggest
from allaprima.data.sources import LeftOut, Listing

CHECK = "not_permitted"
COLUMNS = ("consent", "licence", "license", "rights")
NOTHING, OTHERS = "(nothing said)", "(others)"
MOST = 20  # different values of a column that are counted one by one


def parse(words: Sequence[str]) -> dict[str, list[str]]:
    """``consent=yes`` or ``licence=CC0,CC-BY`` → column → values that are enough. Raises UserError for anything else."""
    found: dict[str, list[str]] = {}
    for word in words:
        column, _, text = word.partition("=")
        values = [value.strip() for value in text.split(",") if value.strip()]
        if not column.strip() or not values:
            raise UserError(
                f"'{word}' requires nothing", "write COLUMN=VALUE, or COLUMN=VALUE,VALUE, such as consent=yes"
            )
        if column.strip() in found:
            raise UserError(f"Column '{column.strip()}' is required twice", "give all its values at once, with commas")
        found[column.strip()] = values
    return found


def only(listing: Listing, required: Mapping[str, Sequence[str]]) -> Listing:
    """The listing without pictures that a column does not permit; each is left out with its reason.

    Upper and lower case do not matter; ``yes`` in JSON may be ``true``. Raises UserError for a column that no picture has,
    and when none is permitted.
    """
    columns = {column for item in listing.items for column in item.columns}
    for column in required:
        if column not in columns:
            raise UserError(
                f"No picture has a column '{column}', which --require asks for",
                suggest(column, columns)
                if columns
                else "give the columns in a metadata.csv or metadata.jsonl beside them",
            )
    kept, left = [], list(listing.left_out)
    for item in listing.items:
        reason = next((why for column in required if (why := _refusal(item.columns, column, required[column]))), None)
        if reason is None:
            kept.append(item)
        else:
            left.append(LeftOut(item.name, CHECK, reason))
    if not kept:
        raise UserError(
            f"None of {len(listing.items):,} pictures is permitted; of '{left[-1].name}', for example, {left[-1].reason}",
            "see what the columns say, and what --require asks for",
        )
    return replace(listing, items=kept, left_out=left)


def _refusal(columns: Mapping[str, Any], column: str, values: Sequence[str]) -> str | None:
    said = columns.get(column)
    given = [_word(one) for one in (said if isinstance(said, list) else [said])]
    if not any(given):
        return f"nothing is said in '{column}'"
    wanted = {value.casefold() for value in values}
    other = [word for word in given if word.casefold() not in wanted]
    return f"'{column}' is '{other[0]}'" if other else None


def sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many pictures have which value, for each of ``COLUMNS`` that there is; the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    every = 0
    for row in rows:
        every += 1
        for column, said in row.items():
            if column.casefold() in COLUMNS:
                counts.setdefault(column, Counter())[_word(said) or NOTHING] += 1
    found = {}
    for column, count in sorted(counts.items()):
        count[NOTHING] += every - count.total()
        values = {value: number for value, number in count.most_common() if number}
        shown = dict(list(values.items())[:MOST])
        rest = sum(values.values()) - sum(shown.values())
        found[column] = shown | ({OTHERS: rest} if rest else {})
    return found


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value).strip()
