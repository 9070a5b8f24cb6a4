"""A picture of a dataset named by what it was made of: its file, or, where names are pseudonyms, its name and their key.

A file is decoded, and its faces are filled, as they were when the dataset was prepared; it is the picture whose every pixel is
then the same.

Use: ``rows = Originals(dataset, key=Path("key.txt")).rows("holidays/anna.jpg")``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.core.errors import UserError
from allaprima.data import faces, pseudonyms, traces, worker
from allaprima.data.dataset import Dataset
from allaprima.data.sources.folder import Reader

OPTIONS = ("size", "fit", "colour", "min_side", "max_megapixels")


class Originals:
    """``key``: the file of the pseudonyms' key; ``detector``: the file of the face detector."""

    def __init__(self, dataset: Dataset, key: Path | None = None, detector: str = "") -> None:
        """Raises UserError for a key that is not that of the dataset."""
        self._dataset, self._detector = dataset, detector
        self._naming = pseudonyms.read(key) if key is not None else None
        if self._naming is not None and self._naming.mark != dataset.manifest.pseudonyms:
            raise UserError(
                f"The key in '{key}' is not that of '{dataset.folder}'; nothing was changed",
                "name the file that was given to prepare as --pseudonym-key",
            )

    def pseudonym(self, image: str) -> str:
        """The name that ``image`` has in the dataset, if it is one of the source's."""
        return self._naming.of(image) if self._naming else image

    def rows(self, image: str) -> list[int]:
        """Rows of the dataset whose pixels come out of the file ``image``; none where that is no file. Raises UserError."""
        if not os.path.isfile(image):
            return []
        row, outcome = worker.examine(self._job(), image, os.path.abspath(image))
        if row is None:
            raise UserError(
                f"'{image}' is no picture that '{self._dataset.folder}' could hold: {outcome.reason}; nothing was changed",
                "name the picture as in its records.jsonl",
            )
        if self._dataset.domain.shape.channels == 1 and row.shape[2] > 1:
            row = row.mean(axis=2, keepdims=True, dtype=np.float32).round().astype(np.uint8)  # as all were, in assembly
        found = traces.equal_to(self._dataset.images, row[None])
        if not found:
            raise UserError(
                f"No picture of '{self._dataset.folder}' has the pixels of '{image}'; nothing was changed",
                "it was left out, has gone already, or was prepared by another version: see report.json and records.jsonl",
            )
        return found

    def _job(self) -> worker.Job:
        from allaprima.data.prepare import MODES, PrepareConfig

        options = self._dataset.manifest.options
        config = PrepareConfig.model_validate({key: options[key] for key in OPTIONS if key in options})
        limits, mode = config.limits(), MODES[config.colour]
        return worker.Job(Reader(""), "", config.size, config.fit, mode, limits, self._faces())

    def _faces(self) -> faces.Faces | None:
        told: dict[str, Any] | None = self._dataset.manifest.faces
        if told is None:
            return None
        found = faces.choose(self._detector, told["certain"], told["doubtful_from"], "keep")
        if found.sha256 != told["detector"]:
            raise UserError(
                f"'{found.path}' is not the face detector that '{self._dataset.folder}' was prepared with",
                f"give the file with the SHA-256 {told['detector']}",
            )
        return found
