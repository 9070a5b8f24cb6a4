"""A picture that is not used: which check says so, and why, in words for a person."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - a verdict, not an error
    """``check`` is the name of a file in ``data/checks``; ``reason`` completes the sentence 'left out: …'."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(check, reason)
        self.check = check
        self.reason = reason
