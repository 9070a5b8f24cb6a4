"""What is left of pictures that were forgotten: their names in texts, their pixels in arrays and in any other file.

A name counts where it stands by itself or ends a path: ``1.png`` is not found in ``11.png``, nor in ``cats/1.png`` if that is
another picture. A name that is a plain word or number counts only where a whole value is that name.

Use: ``Names(["a.png"], others).found("the same picture as a.png")``; ``left_in(folder, names, rows)``.
"""

from __future__ import annotations

import contextlib
import html
import json
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

TEXTS = (".json", ".jsonl", ".html", ".htm", ".txt", ".md", ".yaml", ".yml", ".csv")
ROWS = 1024  # pictures compared at a time
WORD_BEFORE, WORD_AFTER = r"(?<![\w.-])", r"(?![\w-]|[./\\]\w)"


class Names:
    """Names to look for; ``others`` are pictures that stay, some of which may hold such a name in theirs."""

    def __init__(self, names: Iterable[str], others: Iterable[str] = ()) -> None:
        self._written = {form: name for name in names if name for form in _forms(name)}
        longer = {
            other for other in others if other not in self._written and any(one in other for one in self._written)
        }
        every = sorted({*self._written, *longer}, key=len, reverse=True)  # the longest that fits is what was meant
        self._pattern = re.compile(f"{WORD_BEFORE}(?:{'|'.join(map(re.escape, every))}){WORD_AFTER}") if every else None

    def found(self, text: str) -> set[str]:
        """Those that stand in ``text``."""
        hits = self._pattern.findall(text) if self._pattern else []
        return {self._written[hit] for hit in hits if hit in self._written}

    def replaced(self, text: str, by: str) -> str:
        """``text`` with ``by`` in the place of every one of them."""
        return self._pattern.sub(lambda hit: by if hit[0] in self._written else hit[0], text) if self._pattern else text

    def in_value(self, value: Any) -> set[str]:
        """Those that stand in JSON: in its strings, and in its keys."""
        if isinstance(value, str):
            return {name for name in self.found(value) if name == value or not name.isalnum()}
        if isinstance(value, Mapping):
            return set().union(*(self.in_value(one) for pair in value.items() for one in pair))
        return set().union(*map(self.in_value, value)) if isinstance(value, list) else set()

    def in_file(self, path: Path) -> set[str]:
        """Those that stand in a file; of JSON in its values. A file may be large and no text at all."""
        with contextlib.suppress(ValueError):  # not what it is called: searched as it stands
            if path.suffix == ".json":
                return self.in_value(json.loads(path.read_text(encoding="utf-8")))
            if path.suffix == ".jsonl":
                with open(path, encoding="utf-8") as file:
                    return set().union(*(self.in_value(json.loads(line)) for line in file if line.strip()))
        if not self._pattern or not path.stat().st_size:
            return set()
        pattern = re.compile(self._pattern.pattern.encode())
        with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as view:
            hits = {hit.decode() for hit in pattern.findall(view)}
        return {name for hit in hits if (name := self._written.get(hit)) and not name.isalnum()}


def _forms(name: str) -> set[str]:
    """A name as it may be written down: as it is, in JSON, in HTML, in an address."""
    return {name, json.dumps(name)[1:-1], json.dumps(name, ensure_ascii=False)[1:-1], html.escape(name), quote(name)}


def left_in(folder: Path, names: Names, rows: np.ndarray) -> tuple[list[str], list[int], int]:
    """What is left in a dataset's ``folder``: in words; the places of pictures equal to one of ``rows``, uint8 ``[M, H, W, C]``;
    and how many files were searched.
    """
    words, files = [], [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        if path.suffix != ".npy":  # ours hold numbers only
            words += [f"the name '{name}' stands in '{path}'" for name in sorted(names.in_file(path))]
        if path.name != "images.npy" and any(_holds(path, rows)):
            words.append(f"pixels of it stand in '{path}'")
    return words, equal_to(np.load(folder / "images.npy", mmap_mode="r"), rows), len(files)


def equal_to(images: np.ndarray, rows: np.ndarray) -> list[int]:
    """The places in ``images`` of pictures whose every byte is that of one of ``rows``."""
    wanted = {row.tobytes() for row in rows}
    found = []
    for start in range(0, len(images), ROWS):
        some = np.asarray(images[start : start + ROWS])
        found += [start + place for place, row in enumerate(some) if row.tobytes() in wanted]
    return found


def named_in(folder: Path, names: Names) -> Iterator[Path]:
    """The texts below ``folder``, a run, that name one of them."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in TEXTS and path.is_file() and names.in_file(path):
            yield path


def _holds(path: Path, rows: np.ndarray) -> Iterator[bool]:
    """Whether the bytes of each of ``rows`` stand anywhere in the file."""
    if path.stat().st_size < rows[0].nbytes:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        yield from (view.find(row.tobytes()) >= 0 for row in rows)
