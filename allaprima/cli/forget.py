"""``allaprima forget DATASET IMAGE…``: pictures leave a dataset for good, and the models that saw them are named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def forget(
    dataset: Annotated[Path, typer.Argument(help="A prepared dataset.")],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Names as in its records.jsonl, or rows from 0 on: '#17', quoted."),
    ],
    runs: Annotated[
        Path | None, typer.Option(help="Folder to search for what has seen them. Default: runs, where it exists.")
    ] = None,
    purge_reports: Annotated[
        bool, typer.Option("--purge-reports", help="Also delete the reports that may show them.")
    ] = False,
) -> None:
    """Erase pictures from a prepared dataset; name the runs that saw them. Exits with 1 where something is left."""
    from allaprima.data.forget import forget as erase

    usual = Path("runs")
    found = erase(dataset, images, runs or (usual if usual.is_dir() else None), purge_reports)
    print(found.text())
    if found.remains:
        raise typer.Exit(1)
