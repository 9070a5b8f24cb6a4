"""StackedMNIST: three digits drawn at random, one in each of red, green and blue; a class for each of the 1,000 numbers.

The usual test of how many kinds of pictures a generator paints (Metz et al. 2017, "Unrolled generative adversarial
networks", section 3.3; Lin et al. 2018, "PacGAN"). SOURCE is ``stacked:PATH``, PATH an IDX file or folder as of MNIST, with
labels 0 to 9 (Fashion-MNIST's will do). Every tenth stack is made of the ``t10k`` pictures alone, and no other is: they
are the test split.

Use: ``allaprima prepare stacked:mnist/ datasets/stacked --size 32 --count 60000``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allaprima.core.errors import UserError
from allaprima.core.seeds import numpy_stream
from allaprima.data.refused import Refused
from allaprima.data.sources import Item, Listing, Request, idx
from allaprima.data.sources._rows import Rows

PREFIX = "stacked:"
STATE = "stacked, "  # how the state of such a listing begins; a dataset's manifest keeps it
TEST_EVERY = 10
LABELS = frozenset("0123456789")


def accepts(source: str) -> bool:
    """``stacked:`` and a path. A folder of that name is meant by ``./stacked:…``."""
    return source.startswith(PREFIX)


@dataclass
class Reader:
    """Reads a stack: ``parts`` are files of ``counts`` digits, which every process unpacks once and keeps."""

    parts: list[Rows]
    counts: list[int]
    _digits: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def read(self, key: Sequence[tuple[int, int]]) -> np.ndarray:
        """Three of ``(part, row)``, for red, green and blue → uint8 ``[H, W, 3]``."""
        for part in {part for part, _ in key} - self._digits.keys():
            self._digits[part] = self.parts[part].read_all(self.counts[part])
        return np.stack([self._digits[part][row] for part, row in key], axis=2)

    def close(self) -> None:
        """Forget the digits; the next read unpacks them again."""
        self._digits = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_digits": {}}  # 47 MB are quicker read than sent


def scan(source: str, request: Request) -> Listing:
    """``request.count`` stacks, drawn by ``request.seed``.

    Raises UserError where ``idx`` does, when a file is damaged, and when labels are missing or not 0 to 9.
    """
    path = os.path.expanduser(source.removeprefix(PREFIX))
    if not path or not idx.accepts(path):
        raise UserError(
            f"There is no IDX file or folder '{path}' to take digits from",
            "name the folder that holds train-images-idx3-ubyte.gz and its like, as in stacked:mnist/",
        )
    digits = idx.scan(path, request)
    strange = next((item.folder for item in digits.items if item.folder not in LABELS), "0")
    if strange not in LABELS:
        raise UserError(
            f"'{path}' has {'no labels' if strange is None else f'a label {strange}'}; stacks need labels 0 to 9",
            "give MNIST or Fashion-MNIST, with the labels file beside each images file",
        )
    counts = Counter(item.key[0] for item in digits.items)
    parts: list[Rows] = digits.reader.parts  # type: ignore[attr-defined]  # the reader of idx
    reader = Reader(parts, [counts[part] for part in range(len(parts))])
    if not all(reader.counts):
        raise UserError(f"'{path}' has an images file without pictures", "fetch the files again")
    try:
        for part in range(len(parts)):
            reader.read([(part, 0)] * 3)
    except Refused as refused:
        raise UserError(f"'{path}': {refused.reason}", "fetch the files again") from refused
    reader.close()
    return Listing(
        _draw(digits.items, request), reader, f"{STATE}seed {request.seed}, {request.count} pictures, {digits.state}"
    )


def _draw(digits: list[Item], request: Request) -> list[Item]:
    """Stacks of three digits each, equally likely, with replacement."""
    test = [digit for digit in digits if digit.split == "test"]
    rest = [digit for digit in digits if digit.split != "test"]
    items = []
    for number, shares in enumerate(numpy_stream(request.seed, "stacked").random((request.count, 3))):
        held_out = bool(test) and number % TEST_EVERY == TEST_EVERY - 1
        pool = test if held_out else rest
        three = [pool[int(share * len(pool))] for share in shares]
        items.append(
            Item(
                name=f"stack-{request.seed}-{number:06d}",
                key=tuple(digit.key for digit in three),
                folder="".join(digit.folder or "" for digit in three),
                split="test" if held_out else "train" if test else None,
            )
        )
    return items


def digits_of(options: Mapping[str, Any], classes: Sequence[str]) -> list[list[int]] | None:
    """The three digits of each class, where a dataset was prepared from this source with ``options``; else None."""
    if not str(options.get("state", "")).startswith(STATE):
        return None
    if not all(len(name) == 3 and name.isdigit() and name.isascii() for name in classes):
        return None  # labels taken from elsewhere, or none
    return [[int(digit) for digit in name] for name in classes]
