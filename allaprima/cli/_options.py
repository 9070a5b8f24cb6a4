"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _leave_out(asked: bool) -> bool:
    if asked:
        from allaprima import marks

        marks.leave_out()
    return asked


def _add_watermarks(asked: bool) -> bool:
    if asked:
        from allaprima import marks

        marks.add_watermarks()
    return asked


Watermark = Annotated[
    bool,
    typer.Option(
        "--watermark",
        callback=_add_watermarks,
        help="Also a mark in the pixels, which outlives JPEG and cutting; not seen, 5 ms at 256 px.",
    ),
]
Unmarked = Annotated[
    bool,
    typer.Option(
        "--unmarked",
        callback=_leave_out,
        help="Leave out the marks that say a machine made it; where such marks are the law, it is you who breaks it.",
    ),
]
Tokens = Annotated[
    Path | None, typer.Option(help="A file of tokens with names and limits; `allaprima token NAME FILE` adds one.")
]
AccessLog = Annotated[
    Path | None, typer.Option(help="Who asked for how much, a JSON line a request; no addresses, no texts.")
]
