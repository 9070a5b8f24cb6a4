"""Pseudonyms: names of files that say nothing of whom they show; in a dataset they stand in the place of the real ones.

A pseudonym is the beginning of HMAC-SHA-256 (RFC 2104) of the name in the source. Whoever has the key, and nobody else, can
tell which pictures a list of names are. The key is random and thrown away, or kept in a file by who asked for that.

Use: ``naming = begin("key.txt"); naming.of("holidays/anna.jpg")``.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import basename, splitext
from typing import Any

from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, write_synced
from allaprima.data.sources import Item, LeftOut, Listing
from allaprima.data.worker import Outcome

DIGITS = 16  # hexadecimal: 64 bits, so that two of a million pictures share a pseudonym once in 37 million sets
KEY_BYTES = 32
RANDOM = "random"
TOKEN = re.compile(r"[^\s,;:|\"'()<>\[\]{}]+")
FOLDERS_BEFORE = re.compile(r"(?<=named in ).*/")


@dataclass(frozen=True)
class Pseudonyms:
    """``mark`` tells keys apart and tells nothing of them; it is ``random`` where the key is not kept."""

    key: bytes
    mark: str

    def of(self, name: str) -> str:
        """The pseudonym of a name: 16 hexadecimal digits."""
        return hmac.new(self.key, name.encode(), hashlib.sha256).hexdigest()[:DIGITS]

    def listing(self, listing: Listing) -> Listing:
        """The listing with pseudonyms for names: of items, of what is left out, and where texts and columns name files."""
        names = [item.name for item in listing.items] + [one.name for one in listing.left_out]
        known = {form: self.of(name) for name in reversed(names) for form in (basename(name), name)}
        return replace(
            listing,
            items=[self._item(item, known) for item in listing.items],
            left_out=[
                LeftOut(self.of(one.name), one.check, _without(FOLDERS_BEFORE.sub("", one.reason), known))
                for one in listing.left_out
            ],
        )

    def outcomes(self, outcomes: Sequence[Outcome], items: Sequence[Item]) -> list[Outcome]:
        """Outcomes whose reasons do not name the picture. ``items`` with their real names, in the same order."""
        return [
            outcome if outcome.reason is None else outcome._replace(reason=self._without_own(outcome.reason, item.name))
            for outcome, item in zip(outcomes, items, strict=True)
        ]

    def _item(self, item: Item, known: Mapping[str, str]) -> Item:
        own = self.of(item.name)
        stems = {splitext(item.name)[0], splitext(basename(item.name))[0]}

        def hidden(value: Any) -> Any:
            if isinstance(value, str):
                return own if value in stems else _without(self._without_own(value, item.name), known)
            if isinstance(value, Mapping):
                return {key: hidden(inner) for key, inner in value.items()}
            return [hidden(inner) for inner in value] if isinstance(value, list) else value

        text = None if item.text is None else hidden(item.text)
        return replace(item, name=own, text=text, columns=hidden(item.columns))

    def _without_own(self, text: str, name: str) -> str:
        for form in (name, basename(name)):
            if splitext(form)[1] or "/" in form:  # a bare word may be meant as one
                text = text.replace(form, self.of(name))
        return text


def _without(text: str, known: Mapping[str, str]) -> str:
    """``text`` with pseudonyms for the files that it names, whole or word by word."""
    if text in known:
        return known[text]
    return TOKEN.sub(lambda word: known.get(word[0], word[0]) if "." in word[0] else word[0], text)


def begin(key_file: str) -> Pseudonyms:
    """With the key in ``key_file``, which is made if it is missing; with ``""`` a key that nobody will know.

    Raises UserError when the file is no key, can be read by others, or cannot be written.
    """
    if not key_file:
        return Pseudonyms(secrets.token_bytes(KEY_BYTES), RANDOM)
    path = Path(key_file)
    with plain_disk_errors(path), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write_synced(path, secrets.token_hex(KEY_BYTES).encode() + b"\n")
    return read(path)


def read(path: Path) -> Pseudonyms:
    """The pseudonyms of the key in a file. Raises UserError when it is none, or can be read by others."""
    with plain_disk_errors(path):
        try:
            text = path.read_text(encoding="ascii").strip()
        except UnicodeDecodeError:
            text = ""
        open_to_others = os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077
    if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", text):
        raise UserError(
            f"'{path}' holds no key for pseudonyms", "name a file that does not exist: a key is written into it"
        )
    if open_to_others:
        raise UserError(f"Others can read the key in '{path}'", f"keep it to yourself: chmod 600 {path}")
    key = bytes.fromhex(text)
    return Pseudonyms(key, hashlib.sha256(b"allaprima pseudonyms\0" + key).hexdigest()[:DIGITS])
