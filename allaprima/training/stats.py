"""The run's diary: ``stats.jsonl``, one line a tick, and TensorBoard beside it when that is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from allaprima.core.files import plain_disk_errors, write_atomic


class Diary:
    """Appends lines; on a resume, forgets those after the checkpoint, which the run is about to write again."""

    def __init__(self, run: Path, num_images_seen: int) -> None:
        self.path = run / "stats.jsonl"
        kept = [line for line in read(run) if line["num_images_seen"] <= num_images_seen]
        write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._board = _open_board(run / "tensorboard", num_images_seen)

    def write(self, num_images_seen: int, values: dict[str, float]) -> None:
        """Values by name, such as ``loss/generator``, at a number of images seen."""
        with plain_disk_errors(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"num_images_seen": num_images_seen, **values}) + "\n")
        if self._board is not None:
            with plain_disk_errors(self.path):
                for name, value in values.items():
                    self._board.add_scalar(name, value, num_images_seen)
                self._board.flush()

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def read(run: Path) -> list[dict[str, Any]]:
    """The diary's lines; a last line that a kill cut short is left out."""
    path = run / "stats.jsonl"
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "num_images_seen" in line:
            lines.append(line)
    return lines


def _open_board(folder: Path, purge_step: int) -> Any:
    """TensorBoard's writer, or None without the extra ``track``: the diary holds the same numbers."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: F401 - the check that it is installed
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    with plain_disk_errors(folder):
        return SummaryWriter(str(folder), purge_step=purge_step or None)
