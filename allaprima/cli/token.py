"""``allaprima token NAME FILE``: a token for a server, with a name and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def token(
    name: Annotated[str, typer.Argument(help="What it is for, such as print-shop; the access log says it.")],
    file: Annotated[Path, typer.Argument(help="The file for `serve --tokens`, made if missing.")],
    pictures_a_minute: Annotated[float | None, typer.Option(help="At most so many, frames too.")] = None,
    sockets: Annotated[int | None, typer.Option(help="Live sessions at once, at most.")] = None,
    expires: Annotated[str | None, typer.Option(help="The last day that it holds, as 2027-01-31 (UTC).")] = None,
) -> None:
    """Make a token, or another one for a name that has one, with the limits that it had unless others are given.

    It is printed once; the file keeps its hash alone.
    """
    from allaprima.server.tokens import new

    typer.echo(new(file, name, pictures_a_minute=pictures_a_minute, sockets=sockets, expires=expires))
