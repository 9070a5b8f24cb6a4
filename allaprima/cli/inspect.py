"""``allaprima inspect FILE…``: what a picture or film says of where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    files: Annotated[list[Path], typer.Argument(help="Pictures or films, made here or anywhere else.")],
    json: Annotated[bool, typer.Option("--json", help="For programs, a line a file.")] = False,
) -> None:
    """Read the marks of generated pictures: XMP (IPTC, GB 45438) and C2PA manifests."""
    from allaprima.marks import inspection

    for file in files:
        found = inspection.inspect(file)
        print(found.as_json() if json else found.words())
