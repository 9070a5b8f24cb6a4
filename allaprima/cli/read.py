"""``allaprima read FILE``: a file of an encrypted folder, as it would be without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def read(file: Annotated[Path, typer.Argument(help="Such as datasets/scans/report.json, encrypted or not")]) -> None:
    """Print a file of an encrypted dataset, run or bundle: its card, or what was left out. Redirect it to keep it."""
    from allaprima import vault
    from allaprima.core.errors import UserError

    try:
        data = vault.read_bytes(file, mixed=True)
    except OSError as error:
        raise UserError(f"'{file}' cannot be read: {error.strerror}", "name a file that allaprima wrote") from None
    except ValueError as error:
        raise UserError(str(error), "bring it back from a copy") from None
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
