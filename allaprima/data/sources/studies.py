"""The built-in set: pictures drawn by this program, as many as wanted, each with its caption and exact factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allaprima.data.sources import Item, Listing, Request


def accepts(source: str) -> bool:
    """The word ``studies``. A folder of that name is meant by ``./studies``."""
    return source == "studies"


@dataclass(frozen=True)
class Reader:
    """Draws the picture of an index, at the size that will be stored."""

    seed: int
    size: tuple[int, int]

    def read(self, key: int) -> np.ndarray:
        """uint8 ``[H, W, 3]``."""
        from allaprima.data.studies.studies import study

        return study(self.seed, key, self.size)[0]

    def close(self) -> None:
        """Nothing is ever open."""


def scan(source: str, request: Request) -> Listing:
    """``request.count`` studies of ``request.seed``."""
    from allaprima.data.studies.studies import factors

    items = []
    for index in range(request.count):
        drawn = factors(request.seed, index)
        items.append(
            Item(
                name=f"study-{request.seed}-{index:06d}",
                key=index,
                folder=drawn.label,
                text=drawn.caption,
                columns=drawn.as_dict(),
            )
        )
    state = f"studies, seed {request.seed}, {request.count} pictures"
    return Listing(items, Reader(request.seed, request.size), state)
