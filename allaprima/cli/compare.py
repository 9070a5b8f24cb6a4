"""``allaprima compare RUN RUN …``: which is better, and is the difference more than noise?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run or bundle folders.")],
    by: Annotated[str, typer.Option(help="The figure to rank by, such as 'Fréchet distance'.")] = "kernel distance",
    dataset: Annotated[Path | None, typer.Option(help="Prepared dataset. Default: the runs' own.")] = None,
    count: Annotated[int, typer.Option(help="Samples to paint of a run that is not measured yet.")] = 5000,
    split: Annotated[str, typer.Option(help="Held-out pictures to compare with: test or validation.")] = "test",
    features: Annotated[
        str, typer.Option(help="What figures see of pictures: domain, pixels, inception, dinov2, clip.")
    ] = "domain",
    weights: Annotated[Path | None, typer.Option(help="File with the weights of published features.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch those weights if they are not here.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    out: Annotated[Path, typer.Option(help="File for the result; the page is put beside it.")] = Path("compare.json"),
) -> None:
    """Rank runs with intervals; say which differences are noise; write compare.json and compare.html."""
    from allaprima.core.device import Device
    from allaprima.evaluation import compare as comparison
    from allaprima.evaluation.compare_page import page
    from allaprima.evaluation.features import Weights

    comparison.refuse_taken(out)
    asked = comparison.Asked(by, count, split, features, seed, dataset, Weights(weights, download))
    found = comparison.compare(runs, asked, Device.choose(), typer.echo)
    beside = comparison.write(found, out, page(found))
    print(f"{found.table()}\n\n{beside}")
