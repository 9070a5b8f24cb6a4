"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer


def _leave_out(asked: bool) -> bool:
    if asked:
        from allaprima import marks

        marks.leave_out()
    return asked


Unmarked = Annotated[
    bool,
    typer.Option(
        "--unmarked",
        callback=_leave_out,
        help="Leave out the marks that say a machine made it; where such marks are the law, it is you who breaks it.",
    ),
]
