"""``allaprima sample RUN``: new pictures from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from allaprima.cli._options import Unmarked, Watermark


def sample(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    count: Annotated[int, typer.Option(help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    label: Annotated[str | None, typer.Option(help="Only this class. Default: all, as often as in training.")] = None,
    text: Annotated[str | None, typer.Option(help='What they show, in words: "a blue pen-drawn bird".')] = None,
    towards: Annotated[str | None, typer.Option(help="A second text, which --mix leads to.")] = None,
    mix: Annotated[float, typer.Option(help="From --text (0) to --towards (1).")] = 0.5,
    audio: Annotated[Path | None, typer.Option(help="A sound file: wav, flac, ogg or mp3.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="Name=value, such as colour=blue. Repeatable.")
    ] = None,
    truncation: Annotated[float, typer.Option(help="Below 1 safer and more alike, above 1 bolder.")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(help="A .png (contact sheet), an .npz, or a folder. Default: a sheet beside the run.")
    ] = None,
    watermark: Watermark = False,
    unmarked: Unmarked = False,
) -> None:
    """Paint new pictures: a contact sheet, a folder of PNGs, or an .npz."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.bundle.mixing import mixed
    from allaprima.bundle.samples import default_path, write
    from allaprima.core.device import Device
    from allaprima.core.errors import UserError
    from allaprima.models.conditions.attributes import parse_attributes

    bundle = Bundle.load(run, Device.choose().torch)
    attributes = parse_attributes(attribute or []) or None
    wishes: dict[str, Any] = {"text": text, "sound": audio, "attributes": attributes}
    if towards is not None:
        if not 0 <= mix <= 1:
            raise UserError(f"A mix of {mix} is not between the two texts", "give --mix from 0 to 1")
        start, end = (
            bundle.embed(bundle.asked(count, seed, label=label, **wishes | {"text": one})) for one in (text, towards)
        )
        wishes = {"asked": mixed(start, end, mix)}
    names = [label, text, towards, audio.stem if audio else None, *(attribute or [])]
    target = out or default_path(run, seed, *names)
    write(bundle, target, count, seed, label, truncation, **wishes)
    print(target)
