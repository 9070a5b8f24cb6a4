"""``allaprima sample RUN``: new pictures from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    count: Annotated[int, typer.Option(help="How many pictures.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    label: Annotated[str | None, typer.Option(help="Only this class. Default: all, as often as in training.")] = None,
    truncation: Annotated[float, typer.Option(help="Below 1 safer and more alike, above 1 bolder.")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(help="A .png (contact sheet), an .npz, or a folder. Default: a sheet beside the run.")
    ] = None,
) -> None:
    """Paint new pictures: a contact sheet, a folder of PNGs, or an .npz."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.bundle.samples import default_path, write
    from allaprima.core.device import Device

    bundle = Bundle.load(run, Device.choose().torch)
    target = out or default_path(run, seed, label)
    write(bundle, target, count, seed, label, truncation)
    print(target)
