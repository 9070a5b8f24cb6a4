"""``allaprima encrypt FOLDER HOW``: datasets, runs and bundles that lie encrypted on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def encrypt(
    folder: Annotated[Path, typer.Argument(help="A dataset, a run or a bundle")],
    how: Annotated[
        str,
        typer.Argument(help="Where its key is: passphrase, file=PATH (made if missing), keyring; none: decrypt it"),
    ],
    whole: Annotated[
        bool, typer.Option("--whole", help="Encrypt every file anew, with a new key: after an old one has become known")
    ] = False,
) -> None:
    """Encrypt what stands, change how it is opened, or decrypt it. A kill leaves it as it was or as it is to be."""
    from allaprima.privacy.locking import encrypt as run

    typer.echo(run(folder, how, whole))
