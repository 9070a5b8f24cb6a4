"""Combinations that no training picture shows, to see whether a generator can put together what it knows singly.

Use: ``places = choose(records, ["subject", "style"], share=0.1)``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allaprima.core.errors import UserError, suggest

FEWEST_COMBINATIONS = 4


def choose(records: Sequence[Mapping[str, Any]], columns: Sequence[str], share: float) -> np.ndarray:
    """bool ``[N]``: the records whose combination of ``columns`` is kept apart, a ``share`` of all combinations.

    Which ones is fixed by their names. Every single value stays in some combination that is not kept apart. Raises UserError
    for columns that nobody has, and for too few combinations.
    """
    known = {column for record in records for column in record}
    for column in columns:
        if column not in known:
            raise UserError(f"No metadata column '{column}' to keep apart", suggest(column, known))
    found = [tuple(str(record.get(column, "")) for column in columns) for record in records]
    combinations = sorted(set(found), key=lambda one: hashlib.sha256("\0".join(one).encode()).digest())
    if len(combinations) < FEWEST_COMBINATIONS:
        raise UserError(
            f"{len(combinations)} combinations of {', '.join(columns)} are too few to keep some apart",
            "name more columns with --apart, or leave it out",
        )
    left = Counter(value for one in combinations for value in enumerate(one))
    wanted = max(1, round(share * len(combinations)))
    chosen: set[tuple[str, ...]] = set()
    for one in combinations:
        if len(chosen) == wanted:
            break
        if all(left[value] > 1 for value in enumerate(one)):
            chosen.add(one)
            left.subtract(enumerate(one))
    return np.array([one in chosen for one in found], bool)
