"""``allaprima demo``: the whole way once, on pictures that the program paints itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Option(help="Where datasets/ and runs/ are put.")] = Path("."),
    minutes: Annotated[float, typer.Option(help="Training budget.")] = 5.0,
    count: Annotated[int, typer.Option(help="How many pictures to learn from.")] = 6_000,
) -> None:
    """Prepare the built-in pictures, train on them, sample, measure."""
    from allaprima.recipes import demo as recipe

    made = recipe.run(folder, minutes, count, typer.echo)
    if made is None:
        typer.echo("stopped and saved; the same command goes on")
        return
    # the program as it was called: a newcomer's shell does not know it by its name
    program = os.path.relpath(sys.argv[0]) if os.path.isabs(sys.argv[0]) else sys.argv[0]
    typer.echo(f"play      {program} studio {made}")
