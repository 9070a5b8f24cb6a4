"""What a folder and a zip have in common: pictures in class subfolders, with metadata files, or a file beside each: its text
(``.txt``), its columns (``.json``), its sound.

``metadata.jsonl`` and ``metadata.csv`` are as Hugging Face's imagefolder has them: ``file_name`` is relative to the
metadata's own folder, ``text`` and all other columns are kept.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from posixpath import basename, dirname, normpath, splitext
from typing import Any

from allaprima.core.errors import UserError
from allaprima.data.refused import Refused
from allaprima.data.sources import Item, LeftOut, Listing, Reader

METADATA = ("metadata.jsonl", "metadata.csv")
IGNORED = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
NOT_PICTURES = {".txt", ".json", ".jsonl", ".csv", ".md", ".html", ".xml", ".yaml", ".yml", ".py", ".zip", ".pdf"}
SPLIT_FOLDERS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
BESIDE = (".txt", ".json", *SOUNDS)

Metadata = dict[str, dict[str, Any]]


def is_ignored(name: str) -> bool:
    """Hidden files and what operating systems leave in folders; nobody means these."""
    return name.startswith(".") or name.lower() in IGNORED


def printable(name: str) -> str:
    """A file's name as text that can be written as UTF-8, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def listing(
    files: Mapping[str, Any],
    folders: Iterable[str],
    read: Callable[[str], bytes],
    reader: Reader,
    state: str,
    left_out: Iterable[LeftOut] = (),
) -> Listing:
    """``files``: path within the source, with ``/`` → the reader's key; ``folders``: the paths of all folders."""
    left = list(left_out)
    metadata, described_by = _metadata(files, read)
    beside = {path for path in files if splitext(path)[1].lower() in BESIDE}
    stems = {
        splitext(path)[0] for path in files if path not in beside and splitext(path)[1].lower() not in NOT_PICTURES
    }
    companions = {path for path in beside if splitext(path)[0] in stems}
    kept = []
    for path in sorted(files):
        if path in companions or basename(path) in METADATA:
            continue
        if splitext(path)[1].lower() in NOT_PICTURES:
            left.append(LeftOut(printable(path), "unreadable", "not a picture"))
            continue
        kept.append(path)
    root = _common_root(kept)
    splits = _has_splits(kept, root)
    items = []
    for path in kept:
        columns = dict(metadata.pop(path, {}))
        found = {splitext(other)[1].lower(): other for other in _companions(path, companions)}
        columns |= _own_columns(found.get(".json"), read, left)
        text = columns.pop("text", None)
        if text is None and ".txt" in found:
            text = _caption(found[".txt"], read, left)
        inner = path.split("/")[len(root) : -1]
        split = SPLIT_FOLDERS[inner[0].lower()] if splits else None
        inner = inner[1:] if splits else inner
        items.append(
            Item(
                name=printable(path),
                key=files[path],
                folder=printable(inner[0]) if inner else None,
                split=split,
                text=None if text is None else str(text),
                columns=columns,
                sound=next((files[found[suffix]] for suffix in SOUNDS if suffix in found), None),
            )
        )
    left += [
        LeftOut(printable(p), "unreadable", f"named in {described_by[p]}, but not there") for p in sorted(metadata)
    ]
    return Listing(items, reader, state, left, _class_folders(folders, root, splits))


def _companions(path: str, companions: set[str]) -> list[str]:
    stem = splitext(path)[0]
    either = [stem + suffix for ending in BESIDE for suffix in (ending, ending.upper())]
    return [other for other in either if other in companions]


def _caption(path: str, read: Callable[[str], bytes], left: list[LeftOut]) -> str | None:
    try:
        return read(path).decode("utf-8", "replace").strip()
    except (OSError, Refused) as error:  # the picture itself may be sound
        left.append(LeftOut(printable(path), "unreadable", f"{_why(error)}; its picture has no text"))
        return None


def _own_columns(path: str | None, read: Callable[[str], bytes], left: list[LeftOut]) -> dict[str, Any]:
    """The JSON object beside a picture, as columns."""
    if path is None:
        return {}
    try:
        found = json.loads(read(path).decode("utf-8-sig", "replace"))
        if isinstance(found, dict):
            return found
        why = "no JSON object"
    except (OSError, Refused) as error:
        why = _why(error)
    except (ValueError, RecursionError):
        why = "no JSON"
    left.append(LeftOut(printable(path), "unreadable", f"{why}; its picture has no columns"))
    return {}


def _why(error: OSError | Refused) -> str:
    return error.reason if isinstance(error, Refused) else f"cannot be opened: {error.strerror}"


def _common_root(paths: list[str]) -> list[str]:
    """The deepest folder that holds every picture: one folder around all is a wrapping, not a class."""
    parents = [path.split("/")[:-1] for path in paths]
    if not parents:
        return []
    low, high = min(parents), max(parents)
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    return low[:shared]


def _has_splits(paths: list[str], root: list[str]) -> bool:
    """Whether the source is divided into ``train`` and others at its top."""
    inner = (path.split("/")[len(root) :] for path in paths)
    tops = {parts[0].lower() if len(parts) > 1 else "" for parts in inner}
    return len(tops) > 1 and tops <= set(SPLIT_FOLDERS) and any(SPLIT_FOLDERS[top] == "train" for top in tops)


def _class_folders(folders: Iterable[str], root: list[str], splits: bool) -> list[str]:
    found = set()
    for folder in folders:
        parts = folder.split("/")
        if parts[: len(root)] != root:
            continue
        inner = parts[len(root) :]
        inner = inner[1:] if splits and inner and inner[0].lower() in SPLIT_FOLDERS else inner
        if inner and not any(is_ignored(part) for part in inner):
            found.add(printable(inner[0]))
    return sorted(found)


def _metadata(files: Mapping[str, Any], read: Callable[[str], bytes]) -> tuple[Metadata, dict[str, str]]:
    """Path of a picture → its columns, and → the metadata file that describes it."""
    columns: Metadata = {}
    described_by: dict[str, str] = {}
    for path in sorted(files):
        name = basename(path)
        if name not in METADATA:
            continue
        try:
            data = read(path)
        except OSError as error:
            raise UserError(
                f"'{path}' cannot be opened: {error.strerror}", "allow reading it, or delete the file"
            ) from None
        rows = _jsonl(path, data) if name.endswith(".jsonl") else _csv(path, data)
        for line, row in rows:
            file_name = row.pop("file_name", None)
            if not isinstance(file_name, str) or not file_name:
                raise UserError(f"'{path}', line {line}: no 'file_name'", "name each picture in a column 'file_name'")
            where = _normal(dirname(path), file_name)
            columns[where] = columns.get(where, {}) | row
            described_by[where] = path
    return columns, described_by


def _normal(parent: str, file_name: str) -> str:
    """The path within the source; what points outside it stays a path that no file has."""
    return normpath("/".join([parent, file_name.replace("\\", "/")]).removeprefix("/"))


def _jsonl(path: str, data: bytes) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(
                f"'{path}', line {number} is not a JSON object", "write one object a line, or delete the file"
            )
        rows.append((number, row))
    return rows


def _csv(path: str, data: bytes) -> list[tuple[int, dict[str, Any]]]:
    table = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    try:
        rows = [(table.line_num, {key: value for key, value in row.items() if key}) for row in table]
    except csv.Error as error:
        raise UserError(f"'{path}', line {table.line_num}: {error}", "mend the line, or delete the file") from None
    if rows and "file_name" not in rows[0][1]:
        raise UserError(
            f"'{path}' has no column 'file_name', only: {', '.join(rows[0][1])}",
            "name each picture in a column 'file_name'",
        )
    return rows
