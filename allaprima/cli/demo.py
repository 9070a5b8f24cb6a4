"""``allaprima demo``: the whole way once, on pictures that the program paints itself."""

from __future__ import annotations

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
    typer.echo(f"play      allaprima studio {made}")
