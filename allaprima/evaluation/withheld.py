"""What figures say of an encrypted dataset without its names: a page is plain, and classes are often people or places.

Use: ``figure = nameless(figure, dataset.classes)``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from allaprima.core.errors import UserError
from allaprima.evaluation.metrics import Figure


def called(name: str, classes: Sequence[str]) -> str:
    """A class by its number among the dataset's, from 1."""
    return f"class {classes.index(name) + 1}" if name in classes else "a class of the generator’s own"


def nameless(figure: Figure, classes: Sequence[str]) -> Figure:
    """The same figure, with numbers in its tables where classes, or the values of a column, stood."""
    details, known = dict(figure.details), {name: called(name, classes) for name in classes}

    def number(name: str) -> str:
        return known.setdefault(name, f"value {len(known) - len(classes) + 1}")

    named: Any = details.get("classes")
    if isinstance(named, dict):
        details["classes"] = {number(name): value for name, value in named.items()}
    elif isinstance(named, list):
        own = {} if set(named) <= set(classes) else {name: f"value {place}" for place, name in enumerate(named, 1)}
        details["classes"] = [own.get(name) or number(name) for name in named]
    if "confused most" in details:
        details["confused most"] = [
            [number(one), number(other), count] for one, other, count in details["confused most"]
        ]
    return replace(figure, details=details)


def reason(error: UserError, classes: Sequence[str]) -> UserError:
    """Why a figure is missing, in the same manner."""
    if not classes:
        return error
    longest_first = sorted(classes, key=len, reverse=True)
    names = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def told(words: str) -> str:
        return names.sub(lambda found: called(found.group(), classes), words)

    return UserError(told(error.problem), told(error.remedy))
