"""The generator as an ONNX file for engines that read one: made once for each bundle, then kept in the cache."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.graph import export
from allaprima.core import cache
from allaprima.core.errors import UserError
from allaprima.core.files import new_file
from allaprima.vault import locked_by
from allaprima.vault.folders import in_memory

CONVERSION = 2  # to be raised with each change of what the graph computes
KEPT = 64  # files
ROOM = 256 << 20  # bytes, for a file that is to lie on no disk
INSTEAD = "take --engine torch, or free some memory"


@contextlib.contextmanager
def converted(bundle: Bundle, kind: str = "fp32", make: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """The path of the ``kind`` of ONNX file that ``make`` writes; by default the generator's graph in float32.

    Of a bundle from disk it stays in the cache, named after its weights; of another it is gone after the context, and of one that
    is encrypted it never was on a disk. Raises UserError without the extra ``engines``.
    """
    make = make or (lambda path: _export(bundle, path))
    weights = bundle.description.weights
    locked = bundle.folder is not None and locked_by(bundle.folder) is not None
    if weights is None or not weights.sha256 or locked:
        with in_memory(ROOM, INSTEAD) if locked else tempfile.TemporaryDirectory(prefix="allaprima-") as folder:
            path = Path(folder) / "generator.onnx"
            make(path)
            yield path
        return
    room = cache.folder("engines")
    path = room / f"{weights.sha256[:16]}-{kind}-{CONVERSION}-{version('torch').partition('+')[0]}.onnx"
    if not path.is_file():
        room.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="allaprima-") as folder, new_file(path) as file:
            make(Path(folder) / "generator.onnx")
            file.write((Path(folder) / "generator.onnx").read_bytes())
        _tidy(room)
    path.touch()
    yield path


def _tidy(room: Path) -> None:
    """The files that were used the longest ago go."""
    newest_first = sorted(room.glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[KEPT:]:
        path.unlink(missing_ok=True)


def _export(bundle: Bundle, path: Path) -> None:
    export(bundle, path)


def missing(package: str) -> UserError:
    """What to do about an engine's package that is not installed."""
    return UserError(f"This engine needs {package}, which is not installed", "pip install 'allaprima[engines]'")
