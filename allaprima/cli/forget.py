"""``allaprima forget DATASET IMAGE…``: pictures leave a dataset for good, and the models that saw them are named.

``allaprima forget --expired``: datasets and runs go whose time is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def forget(
    dataset: Annotated[Path | None, typer.Argument(help="A prepared dataset.")] = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Names as in its records.jsonl, files that they were made of, or rows from 0 on: '#17', quoted.",
        ),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder to search for what has seen them. Default: runs, where it exists.")
    ] = None,
    purge_reports: Annotated[
        bool, typer.Option("--purge-reports", help="Also delete the reports that may show them.")
    ] = False,
    pseudonym_key: Annotated[
        Path | None, typer.Option(help="File of the pseudonyms' key: IMAGE may then be a name in the source.")
    ] = None,
    face_detector: Annotated[
        str, typer.Option(help="The detector's ONNX file, where faces were filled and IMAGE is a file.")
    ] = "",
    expired: Annotated[
        bool,
        typer.Option(
            "--expired",
            help="Delete datasets and runs whose --keep is over, in the folders named [default: datasets runs].",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --expired: delete without asking.")] = False,
) -> None:
    """Erase pictures from a prepared dataset; name the runs that saw them. Exits with 1 where something is left."""
    if expired:
        return _expired([Path(one) for one in (dataset, *(images or [])) if one is not None], yes)
    from allaprima.core.errors import UserError
    from allaprima.data.forget import forget as erase

    if dataset is None or not images:
        raise UserError(
            "A dataset and its pictures must be named",
            "allaprima forget DATASET IMAGE…, or: allaprima forget --expired",
        )
    usual = Path("runs")
    seen_in = runs or (usual if usual.is_dir() else None)
    found = erase(dataset, images, seen_in, purge_reports, pseudonym_key, face_detector)
    print(found.text())
    if found.remains:
        raise typer.Exit(1)


def _expired(folders: Sequence[Path], yes: bool) -> None:
    import sys

    from allaprima.data.expired import delete, find

    plan = find(folders or [folder for folder in (Path("datasets"), Path("runs")) if folder.is_dir()])
    print(plan.text())
    if plan.due or plan.leftovers:
        if not yes and not (sys.stdin.isatty() and typer.confirm("delete them for good?")):
            print("nothing was deleted; to do it: add --yes")
            raise typer.Exit(1)
        done = delete(plan)
        print(done.text())
        if done.remains:
            raise typer.Exit(1)
    if plan.held:
        raise typer.Exit(1)
