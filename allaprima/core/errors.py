"""The one error that a person sees: what is wrong, and what to do about it.

Use: ``raise UserError("No pictures in 'x'", "point at a folder that holds PNG or JPEG files")``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A problem that the person can mend. The command line prints it without a traceback and exits with code 2."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n  → {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        # Worker processes send their errors home; the default would rebuild them from one argument.
        return (type(self), (self.problem, self.remedy))


def suggest(word: str, choices: Iterable[str]) -> str:
    """The remedy for a misspelt name: the nearest valid choice if there is one, and all of them."""
    known = sorted(choices)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    guess = f"did you mean '{near[0]}'? " if near else ""
    words = [f"'{name}'" if "," in name else name for name in known]  # some figures have a comma in their name
    return f"{guess}choose one of: {', '.join(words) or '(none)'}"
