"""An attribute vector: several things that are true, false, a number or a word, each of which may be left out.

Columns: a number's standardised value or a word's one-hot code, and beside it whether it was said at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from allaprima.core.config import Component
from allaprima.core.config import Config as Settings
from allaprima.core.errors import UserError, suggest
from allaprima.models.blocks import as_embedded

MOST_CHOICES = 64
MOST_FLAGS = 64  # of columns of lists, the most frequent
SHARE_OF_WORDS = 0.5  # a column with more different words than this share of its values is no attribute but a name
FARTHEST = 4.0  # standard deviations
NOT_ATTRIBUTES = ("name", "text", "caption", "file_name")
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")


class Attribute(Settings):
    """``choices`` of a word; ``mean`` and ``deviation`` of a number; a flag has neither."""

    name: str
    kind: Literal["flag", "number", "choice"]
    choices: list[str] = []
    mean: float = 0.0
    deviation: float = Field(1.0, gt=0)

    @property
    def size(self) -> int:
        return (len(self.choices) if self.kind == "choice" else 1) + 1

    def columns(self, value: Any) -> list[float]:
        """A value, or None, as numbers. Raises UserError for what it cannot be."""
        if value is None or value == "":
            return [0.0] * self.size
        if self.kind == "choice":
            if str(value) not in self.choices:
                raise UserError(f"'{self.name}' cannot be '{value}'", suggest(str(value), self.choices))
            return [*(float(choice == str(value)) for choice in self.choices), 1.0]
        return [self._flag(value) if self.kind == "flag" else self._number(value), 1.0]

    def takes(self, value: Any) -> bool:
        """Whether ``columns`` would take the value."""
        try:
            self.columns(value)
        except UserError:
            return False
        return True

    def _flag(self, value: Any) -> float:
        word = str(value).lower()
        if word in TRUE or word in FALSE:
            return 1.0 if word in TRUE else -1.0
        raise UserError(f"'{self.name}' cannot be '{value}'", "say yes or no")

    def _number(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"'{self.name}' cannot be '{value}'", f"give a number, such as {self.mean:.3g}")
        return max(-FARTHEST, min(FARTHEST, (number - self.mean) / self.deviation))


class Config(Component):
    """``names``: the columns wanted, by default all that suit. ``known``: what was found of them."""

    names: list[str] = []
    known: list[Attribute] = []

    @property
    def size(self) -> int:
        """Columns of prepared attributes."""
        return sum(attribute.size for attribute in self.known)

    def width(self, dim: int) -> int:
        """The embedding's width when ``dim`` is asked for."""
        return 2 * dim

    def fitted(self, values: Sequence[Mapping[str, Any] | None]) -> Config:
        """With the attributes of the training pictures' records. Raises UserError where a wanted one is none."""
        records = [_flat(value) for value in values if value]
        columns: dict[str, list[Any]] = {}
        for record in records:
            for name, value in record.items():
                if value is not None and value != "":
                    columns.setdefault(name, []).append(value)
        found = {name: _attribute(name, column, len(records)) for name, column in columns.items()}
        wanted = self.names or [key.partition("=")[0] for key in found if key not in NOT_ATTRIBUTES]
        for name in self.names:
            if not any(key == name or key.startswith(f"{name}=") for key in found):
                raise UserError(f"No column '{name}' to take attributes from", suggest(name, found))
        known = [one for key, one in found.items() if one is not None and key.partition("=")[0] in wanted]
        flags = sorted((one for one in known if "=" in one.name), key=lambda one: -len(columns[one.name]))
        known = [one for one in known if one not in flags[MOST_FLAGS:]]
        if not known:
            raise UserError(
                "No column of the pictures' records is an attribute",
                "add columns of numbers, of yes and no, or of a few words to metadata.jsonl",
            )
        return self.model_copy(update={"known": known})

    def prepare(self, raw: Sequence[Mapping[str, Any] | None]) -> torch.Tensor:
        """Values by the attributes' names → float32 ``[N, size]``; what is not named is left out.

        Raises UserError, with the nearest, for a value that an attribute cannot have, and, where it is not a ``Record``, for a
        name that is no attribute's.
        """
        rows = [self._row(value) for value in raw]
        return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), self.size)

    def _row(self, value: Mapping[str, Any] | None) -> list[float]:
        if value is not None and not isinstance(value, Mapping):
            raise UserError(
                f"{type(value).__name__} names no attributes", "give values by name, such as {'colour': 'blue'}"
            )
        value, names = value or {}, [one.name for one in self.known]
        flat = _flat(value)
        if not isinstance(value, Record):
            # "tags=red" says that the flag is up
            flat = {f"{key}={word}" if f"{key}={word}" in names else key: word for key, word in flat.items()}
            flat = {key: True if key.partition("=")[2] == word else word for key, word in flat.items()}
            for name in flat:
                if name not in names:
                    raise UserError(f"Unknown attribute '{name}'", suggest(name, names))
        lists = {name for name, one in value.items() if isinstance(one, list)}
        # a list that does not hold a word denies it; where there is no list, nothing is known
        denied = {name: False for name in names if name.partition("=")[0] in lists}
        said = denied | flat
        if isinstance(value, Record):
            said = {one.name: said.get(one.name) for one in self.known if one.takes(said.get(one.name))}
        return [number for one in self.known for number in one.columns(said.get(one.name))]

    def build(self, width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(self.size, 2 * width), nn.LeakyReLU(0.2), nn.Linear(2 * width, width), Scaled())


class Record(dict[str, Any]):
    """What a dataset knows of a picture. A name that is no attribute is just another column there, and a value that no training
    picture had is left out; in a wish both are mistakes.
    """


class Scaled(nn.Module):
    """``as_embedded`` as a layer."""

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return as_embedded(y)


def parse_attributes(words: Iterable[str]) -> dict[str, Any]:
    """``["colour=blue", "size=3"]`` → ``{"colour": "blue", "size": "3"}``. Raises UserError for what is not so."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.rpartition("=")
        if not equals or not name.strip():
            raise UserError(f"'{word}' is no attribute", "write it as name=value, such as colour=blue")
        found[name.strip()] = value.strip()
    return found


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of words as a flag for each word: ``tags: [a, b]`` → ``tags=a: True, tags=b: True``."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            found |= {f"{name}={one}": True for one in value}
        elif not isinstance(value, list | dict):
            found[name] = value
    return found


def _attribute(name: str, values: list[Any], records: int) -> Attribute | None:
    """What the column is, if it is an attribute."""
    if "=" in name and all(value is True for value in values):
        return Attribute(name=name, kind="flag") if 1 < len(values) < records else None
    words = Counter(str(value).lower() for value in values)
    if len(words) < 2:
        return None  # it says nothing
    if set(words) <= {*TRUE, *FALSE}:
        return Attribute(name=name, kind="flag")
    if all(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values):
        numbers = torch.tensor([float(value) for value in values], dtype=torch.float64)
        return Attribute(name=name, kind="number", mean=float(numbers.mean()), deviation=float(numbers.std()))
    kinds = sorted({str(value) for value in values if not isinstance(value, bool)})
    if len(kinds) > MOST_CHOICES or len(kinds) > SHARE_OF_WORDS * len(values):
        return None
    return Attribute(name=name, kind="choice", choices=kinds)
