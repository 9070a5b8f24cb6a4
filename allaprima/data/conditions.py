"""What is asked of each picture of a dataset: raw values, and their prepared form, which is kept beside the pictures.

Use: ``asked = Asked(dataset, condition, drop=0.1, seed=0); asked.rows(places, step=7)`` → a tensor for the nets.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.models.conditions import parts_of
from allaprima.models.conditions.attributes import Record
from allaprima.models.conditions.label import LEFT_OUT

FOLDER = "conditions"
AT_ONCE = 4096
QUIET_BELOW = 20_000


def raw(dataset: Dataset, name: str, places: Sequence[int] | np.ndarray) -> list[Any]:
    """What the condition ``label``, ``text`` or ``attributes`` prepares, for the pictures at ``places``; None where one has
    nothing of the kind. Sounds are not the pictures' own: see ``Asked``.
    """
    if name == "label":
        numbers = np.asarray(dataset.labels[np.asarray(places)])
        return [dataset.classes[number] if number >= 0 else None for number in numbers]
    if name == "text":
        return [dataset.records[place].get("text") or None for place in places]
    assert name == "attributes", name
    return [Record(dataset.records[place]) for place in places]


def check(dataset: Dataset, name: str) -> None:
    """Raises UserError where no picture of the dataset has what the condition needs."""
    if name == "label" and len(dataset.classes) < 2:
        raise UserError(
            f"'{dataset.folder}' has no classes to condition on",
            "put the pictures into class subfolders and prepare them again, or leave out --set condition=label",
        )
    if name == "text" and not any(record.get("text") for record in dataset.records):
        raise UserError(
            f"'{dataset.folder}' has no texts to condition on",
            "give each picture a .txt of the same name, or a metadata.jsonl with a column 'text', and prepare it again",
        )
    if name == "sound" and dataset.sounds is None:
        raise UserError(
            f"'{dataset.folder}' has no sounds to condition on",
            "give each picture a sound of the same name, or prepare it again with --sounds RECORDINGS",
        )


class Asked:
    """One prepared row for each picture, as ``condition`` (a Config) prepares it.

    ``drop``: how often, in a training step, a picture's text, sound, attributes or optional class is left out, so that
    leaving it out is learned. Of several conditions each is left out on its own. ``part`` as the loader has it.
    """

    def __init__(
        self, dataset: Dataset, condition: Any, drop: float = 0.0, seed: int = 0, part: tuple[int, int] = (0, 1)
    ) -> None:
        self.dataset, self.condition, self.drop, self.seed, self.part = dataset, condition, drop, seed, part
        self.name = condition.component_name()
        self._parts = [(name, part, _table(dataset, name, part)) for name, part in parts_of(condition).items()]

    def rows(self, places: np.ndarray, step: int | None = None) -> torch.Tensor:
        """Prepared ``[N, …]``. Without a ``step`` always the same sound for a picture, and nothing is left out."""
        pieces = [self._piece(name, part, table, places, step) for name, part, table in self._parts]
        if self.name == "several":
            joined: torch.Tensor = self.condition.joined(pieces)
            return joined
        return pieces[0]

    def _piece(self, name: str, part: Any, table: Any, places: np.ndarray, step: int | None) -> torch.Tensor:
        rows = places if name != "sound" else self._recordings(places, step)
        found = torch.from_numpy(table[rows])  # fancy indexing copies
        encoder: Any = getattr(part, "encoder", None)
        if step is not None and hasattr(encoder, "thinned"):
            found = encoder.thinned(found, torch.from_numpy(self._draws("thinned", step, len(places), 1 + part.size)))
        droppable = name != "label" or part.optional
        if step is not None and self.drop and droppable:
            gone = self._draws(f"left-out/{name}", step, len(places))[:, 0] < self.drop
            found[torch.from_numpy(gone)] = LEFT_OUT if name == "label" else 0
        return found

    def _draws(self, name: str, step: int, count: int, columns: int = 1) -> np.ndarray:
        """In [0, 1), for this part of the batch's pictures: ``[count, columns]``."""
        number, parts = self.part
        return numpy_stream(self.seed, name, step).random((count * parts, columns))[number::parts]

    def _recordings(self, places: np.ndarray, step: int | None) -> np.ndarray:
        """The recording for each picture: another one in every step, always the same one without a step, where the pictures of a
        class have all of its recordings in turn. The last row of the table says that there is none.
        """
        sounds = _sounds(self.dataset)
        draws = self._draws("recordings", step, len(places))[:, 0] if step is not None else None
        found = np.full(len(places), len(sounds), np.int64)
        for row, place in enumerate(places):
            candidates = sounds.candidates(*_kind(self.dataset, place))
            if len(candidates):
                found[row] = candidates[
                    int(draws[row] * len(candidates)) if draws is not None else place % len(candidates)
                ]
        return found


def _table(dataset: Dataset, name: str, part: Any) -> Any:
    """Prepared rows of every picture, of every recording for sounds: from the dataset's folder, or made and kept there."""
    if name == "label":
        return dataset.labels
    path = dataset.folder / FOLDER / f"{name}-{_identity(dataset, part)}.npy"
    try:
        return vault.array(path)
    except (OSError, ValueError):
        pass  # not there yet, or damaged: it is made again
    table = _prepared(dataset, name, part)
    _keep(path, table)
    return table


def _prepared(dataset: Dataset, name: str, part: Any) -> np.ndarray:
    values = [*_sounds(dataset).all(), None] if name == "sound" else raw(dataset, name, range(len(dataset.images)))
    starts = range(0, len(values), AT_ONCE)
    if len(values) < QUIET_BELOW:
        pieces = [part.prepare(values[start : start + AT_ONCE]) for start in starts]
    else:
        pieces = []
        with progress(f"preparing each {name}", len(values)) as advance:
            for start in starts:
                pieces.append(part.prepare(values[start : start + AT_ONCE]))
                advance(len(pieces[-1]))
    return torch.cat(pieces).numpy()


def _keep(path: Path, table: np.ndarray) -> None:
    """For the next time; a folder that takes no files is none of a trainer's business."""
    try:
        path.parent.mkdir(exist_ok=True)
        content = io.BytesIO()
        np.save(content, table)
        vault.write_atomic(path, content.getvalue())
    except (OSError, UserError):
        return


def _identity(dataset: Dataset, part: Any) -> str:
    """Changes with everything that prepared values depend on."""
    encoder, manifest = getattr(part, "encoder", None), dataset.manifest
    told = [part.model_dump(mode="json"), getattr(encoder, "identity", None), manifest.fingerprint, manifest.files]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _sounds(dataset: Dataset) -> Any:
    check(dataset, "sound")
    return dataset.sounds


def _kind(dataset: Dataset, place: int) -> tuple[int, int, int]:
    return int(place), int(dataset.labels[place]), int(dataset.split_of[place])
