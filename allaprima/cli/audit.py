"""``allaprima audit RUN``: how much does it give away about the pictures that it was trained on?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    dataset: Annotated[Path | None, typer.Option(help="Prepared dataset. Default: the run's own.")] = None,
    samples: Annotated[int, typer.Option(help="Samples to paint: what an outsider has.")] = 10_000,
    pictures: Annotated[int, typer.Option(help="Training pictures to attack, at most, and as many others.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of the samples and of the pictures drawn.")] = 0,
    features: Annotated[
        str, typer.Option(help="What attacks see of pictures, beside pixels: domain, pixels, inception, dinov2, clip.")
    ] = "domain",
    canaries: Annotated[
        list[str] | None,
        typer.Option(help="Name of a training picture, as in records.jsonl, whose own rank is told; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Attack a generator's training pictures; say what it gives away; write audit.json and audit.html."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.device import Device
    from allaprima.evaluation.evaluate import find_dataset
    from allaprima.privacy.audit import audit as attack

    device = Device.choose()
    data = find_dataset(run, dataset)
    bundle = Bundle.load(run, device.torch)
    found = attack(run, data, bundle, device, samples, pictures, seed, features, canaries or [])
    if json:
        print((found.folder / "audit.json").read_text(encoding="utf-8").rstrip())
    else:
        print(f"{found.text()}\n\n{found.folder / 'audit.html'}")
