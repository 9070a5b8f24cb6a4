"""Where pictures come from. One kind of source a file: ``accepts(source)`` and ``scan(source, request)`` → ``Listing``.

A listing is cheap: names and what is known about each picture. The picture itself is read by the listing's reader,
which is small and travels to the worker processes. ``accepts`` gets the text that the person typed.

Use: ``listing = find("pictures.zip").scan("pictures.zip", Request(...)); listing.reader.read(listing.items[0].key)``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, BinaryIO, Protocol

import numpy as np

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError

SOURCES = Catalog("source", __name__)


@dataclass(frozen=True)
class Request:
    """What a source that draws its pictures itself must know: ``size`` is (width, height) in pixels."""

    size: tuple[int, int]
    count: int
    seed: int


@dataclass(frozen=True)
class Item:
    """One picture before it is read. ``key`` is what the reader needs; ``folder`` its class folder, if it has one.

    ``sound``: the key of the sound that lies beside it.
    """

    name: str
    key: Any
    folder: str | None = None
    split: str | None = None
    text: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    sound: Any = None


class Reader(Protocol):
    """Reads pictures by key. It is pickled, so it opens files when it is first used, in each process."""

    def read(self, key: Any) -> BinaryIO | np.ndarray:
        """An encoded file, to be closed after use, or uint8 ``[H, W]`` or ``[H, W, 1|3|4]``.

        Raises ``refused.Refused`` or OSError when this one cannot be had.
        """
        ...

    def close(self) -> None:
        """Close what was opened; the next read opens it again."""
        ...


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, the check that says so, and its reason in words."""

    name: str
    check: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a source holds. ``state`` changes when its content does; ``class_folders`` may hold no picture at all."""

    items: list[Item]
    reader: Reader
    state: str
    left_out: list[LeftOut] = field(default_factory=list)
    class_folders: list[str] = field(default_factory=list)


def find(source: str) -> ModuleType:
    """The kind of source that takes ``source``. Raises UserError when there is none."""
    fallback = None
    for name in SOURCES.names():
        module = SOURCES.get(name)
        if _accepts(module, source):
            if not getattr(module, "FALLBACK", False):
                return module
            fallback = module
    if fallback is not None:
        return fallback
    if not os.path.lexists(source):
        from allaprima.core.errors import suggest

        beside = os.path.dirname(source) or "."
        near = [os.path.join(os.path.dirname(source), n) for n in _names(beside)]
        hint = suggest(source, near[:200]).partition("? ")[0] + "? " if near else ""
        hint = hint if hint.startswith("did you mean") else ""
        raise UserError(f"'{source}' does not exist", f"{hint}give a folder, a .zip, an .npz, an IDX file, or: studies")
    raise UserError(
        f"'{source}' is no kind of source that is known here",
        "give a folder of pictures, a .zip of one, an .npz with an array 'images', an IDX file, or: studies",
    )


def _accepts(module: ModuleType, source: str) -> bool:
    try:
        return bool(module.accepts(source))
    except (OSError, ValueError):  # nothing can be called that, or it may not be looked at
        return False


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
