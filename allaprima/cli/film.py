"""``allaprima film RUN FILE``: a film from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allaprima.cli._options import Unmarked, Watermark


def film(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    file: Annotated[Path, typer.Argument(help="A .mp4, .webm, .gif, or a .zip of numbered PNGs.")],
    seconds: Annotated[float, typer.Option(help="How long it is.")] = 4.0,
    seed: Annotated[int, typer.Option(help="Where it begins, and where it comes back to: it is a perfect loop.")] = 0,
    reach: Annotated[float, typer.Option(help="How far it goes, up to 1.")] = 0.25,
    to: Annotated[
        list[int] | None, typer.Option("--to", help="Seeds to go to, one after the other, then back.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="A class.")] = None,
    text: Annotated[str | None, typer.Option(help='A wish in words: "a blue pen-drawn bird".')] = None,
    truncation: Annotated[float, typer.Option(help="Below 1 safer and more alike, above 1 bolder.")] = 1.0,
    recipe: Annotated[
        Path | None, typer.Option(help="A film that the studio kept as .json; replaces the above.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames a second; a recording keeps its own.")] = 30.0,
    size: Annotated[int, typer.Option(help="Pixels of the longer side; 0: as the generator paints.")] = 0,
    crisp: Annotated[bool, typer.Option("--crisp", help="Enlarge pixels as squares.")] = False,
    engine: Annotated[str | None, typer.Option(help="What paints; by default what `allaprima doctor` found.")] = None,
    watermark: Watermark = False,
    unmarked: Unmarked = False,
) -> None:
    """Write a perfect loop, or a film that the studio kept."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.config import load
    from allaprima.core.device import Device
    from allaprima.core.progress import progress
    from allaprima.runtime.engine import Engine
    from allaprima.runtime.film import Film, loop, read
    from allaprima.runtime.films import write

    if recipe is not None:
        made = read(recipe)
    else:
        wish = {"label": label, "text": text, "truncation": truncation}
        motion = loop([seed, *(to or [])], seconds, reach, wish)
        made = load(Film, {"motion": motion, "fps": fps, "size": size, "crisp": crisp})
    bundle = Bundle.load(run, Device.choose().torch)
    with progress("painting", made.count, "frames") as advance:
        write(Engine(bundle, engine), made, file, advance)
    print(file)
