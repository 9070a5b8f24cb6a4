"""``allaprima evaluate RUN``: how good is it? Figures and a page with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run or bundle folder.")],
    dataset: Annotated[Path | None, typer.Option(help="Prepared dataset. Default: the run's own.")] = None,
    count: Annotated[int, typer.Option(help="Samples to paint, at most as many as training pictures.")] = 2000,
    split: Annotated[str, typer.Option(help="Held-out pictures to compare with: test or validation.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report, new or of an earlier one. Default: RUN/report, or BUNDLE-report."),
    ] = None,
) -> None:
    """Measure samples against held-out pictures; write report.json and report.html."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.device import Device
    from allaprima.evaluation.evaluate import evaluate as measure
    from allaprima.evaluation.evaluate import find_dataset

    device = Device.choose()
    bundle = Bundle.load(run, device.torch)
    report = measure(run, find_dataset(run, dataset), bundle, device, count, split, seed, out=out)
    print(report.table())
    print(f"\nfeatures: {report.facts['features']}\n{report.folder / 'report.html'}")
