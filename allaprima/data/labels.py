"""Which class each picture belongs to: from a metadata column, from its folder, or none.

Use: ``labels = choose(items, "auto")``: one name or None for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from allaprima.core.errors import UserError, suggest
from allaprima.data.sources import Item

COLUMNS = ("label", "category", "class")
FOLDER = "folder"


def choose(items: Sequence[Item], wanted: str) -> list[str | None]:
    """``auto``: the first of ``COLUMNS`` that there is, else class folders; ``none``; ``folder``; or a column's name.

    Raises UserError for a column that nobody has, or one that holds lists.
    """
    if wanted == "none":
        return [None] * len(items)
    columns = {column for item in items for column in item.columns}
    if wanted == "auto":
        wanted = next((name for name in COLUMNS if name in columns), FOLDER)
    if wanted == FOLDER and FOLDER not in columns:
        return [item.folder for item in items]
    if wanted not in columns:
        raise UserError(
            f"No metadata column '{wanted}' to take labels from", suggest(wanted, columns | {"none", FOLDER})
        )
    return [_word(item, wanted) for item in items]


def uses_folders(items: Sequence[Item], wanted: str) -> bool:
    """Whether ``choose`` takes the labels from the class folders."""
    columns = {column for item in items for column in item.columns}
    return wanted == FOLDER or (wanted == "auto" and not any(name in columns for name in COLUMNS))


def class_names(labels: Iterable[str | None]) -> list[str]:
    """The classes in the order of their numbers: alphabetical, or by value where all are whole numbers."""
    names = {label for label in labels if label is not None}
    if names and all(name.lstrip("-").isascii() and name.lstrip("-").isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _word(item: Item, column: str) -> str | None:
    value = item.columns.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, list | dict):
        raise UserError(
            f"Column '{column}' holds more than one value for '{item.name}'",
            "choose another column with --labels, or none",
        )
    return str(value).strip() or None
