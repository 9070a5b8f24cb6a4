"""``allaprima doctor [RUN]``: what this machine has, and the quickest way to paint with RUN on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    run: Annotated[Path | None, typer.Argument(help="A run or bundle folder; without it the machine alone.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure every engine on a generator, and remember the quickest that paints rightly."""
    from allaprima.runtime import checkup

    if run is None:
        typer.echo(checkup.machine(as_json=json))
        return
    typer.echo(checkup.generator(run, as_json=json, say=lambda words: typer.echo(f"{words} …", err=True)))
