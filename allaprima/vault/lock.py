"""The lock of a folder: ``lock.json``, which holds the folder's key, encrypted by a key that is not there.

What is sealed in the folder is sealed with a random key of 256 bits. It stands in the lock wrapped by AES-256-GCM under another
key: of a passphrase (scrypt, RFC 7914), of a file, or of the system's keyring. To change that other key is to replace
one small file, so a kill leaves the old lock or the new one, and either opens.

Use: ``create(folder, "passphrase")``; ``key_of(folder)``; ``change(folder, "file=~/keys/cats.key")``.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from allaprima.core.errors import UserError
from allaprima.core.files import write_json
from allaprima.vault import keys
from allaprima.vault.sealed import KEY_BYTES, cipher

FILE = "lock.json"
FORMAT, VERSION = "allaprima-lock", 1
NONCE = 12
ABOVE = 3  # folders above a file in which its lock may be: run/checkpoints/000000064000/state.json


def locked_by(folder: Path) -> Path | None:
    """The nearest folder with a lock: this one, or one that it lies in; None where nothing is locked."""
    return next((one for one in (folder, *list(folder.absolute().parents)[:ABOVE]) if (one / FILE).is_file()), None)


def check_place(folder: Path, how: str) -> None:
    """Raises UserError for a key file in the very folder that it is to lock: it would go where the folder goes, or with it."""
    way, _, given = how.partition("=")
    if way == "file" and given and Path(given).expanduser().resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"The key file '{given}' would lie in the folder that it locks", "keep it elsewhere: file=keys/…"
        )


def is_kept(folder: Path, how: str) -> bool:
    """Whether the key of a locked folder is kept in the way that is asked, in that file if it is one. Raises as ``key_of``."""
    text = _text(folder)
    said, (way, _, given) = _parsed(folder, text)["key"], how.partition("=")
    if way != "file" or said["how"] != way:
        return bool(said["how"] == way)
    path = Path(given).expanduser().absolute()
    return said["path"] == str(path) or (path.is_file() and keys.new(how)[1] == _opened(str(folder), text)[1])


def create(folder: Path, how: str) -> None:
    """Lock a folder with a new key. ``how``: ``passphrase``, ``file=PATH`` or ``keyring``.

    Raises UserError for another word, a key that cannot be had, or a package that is missing.
    """
    _write(folder, *keys.new(how), secrets.token_bytes(KEY_BYTES))


def create_like(folder: Path, other: Path) -> None:
    """Lock a folder with a new key, in the way of ``other``, whose key must be at hand."""
    text = _text(other)
    _, wrapping = _opened(str(other), text)  # the one that opens it, not another that is at hand
    _write(folder, _parsed(other, text)["key"], wrapping, secrets.token_bytes(KEY_BYTES))


def change(folder: Path, how: str) -> None:
    """The same key of the folder, wrapped by another one: what is sealed stays as it is.

    Raises UserError as ``create`` and ``key_of`` do, and where the new passphrase or file is the old one.
    """
    text = _text(folder)
    own, wrapping = _opened(str(folder), text)
    source, new = keys.new(how)
    if _same(_parsed(folder, text)["key"], wrapping, source, new):
        raise UserError(
            f"'{folder}' has this key already",
            f"name another file; a new passphrase is asked for, or stands in {keys.NEW_PASSPHRASE}",
        )
    _write(folder, source, new, own)


def key_of(folder: Path) -> bytes:
    """The key of a locked folder. Raises UserError where it cannot be had or does not fit."""
    return _opened(str(folder), _text(folder))[0]


@cache  # scrypt takes a third of a second, and a person is asked but once
def _opened(folder: str, text: str) -> tuple[bytes, bytes]:
    """The folder's key, and the one that it was wrapped by."""
    said = _parsed(Path(folder), text)
    cipher(bytes(KEY_BYTES))  # a missing package is told before a passphrase is asked for
    from cryptography.exceptions import InvalidTag

    wrapped = bytes.fromhex(said["wrapped"])
    for wrapping in keys.obtain(said["key"]):
        with contextlib.suppress(InvalidTag):
            return cipher(wrapping).decrypt(wrapped[:NONCE], wrapped[NONCE:], _told(said["key"])), wrapping
    keys.forget(said["key"])
    raise UserError(f"The key does not open '{folder}'", keys.remedy(said["key"]))


def _same(old: dict[str, Any], wrapping: bytes, source: dict[str, Any], new: bytes) -> bool:
    """Whether a new key is the old one: the same passphrase under another salt, or the same file."""
    if old["how"] == source["how"] == "passphrase":
        return keys.is_passphrase_of(old, source)
    return wrapping == new


def _text(folder: Path) -> str:
    try:
        return (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"'{folder / FILE}' cannot be read: {words}", "copy the whole folder again") from None


def _parsed(folder: Path, text: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError("it is another kind of file")
        if said["version"] > VERSION:
            raise UserError(f"'{folder}' was locked by a newer allaprima", "upgrade: pip install -U allaprima")
        bytes.fromhex(said["wrapped"])
        keys.check(said["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{folder / FILE}' is damaged: {error}", "bring it back from a copy") from None
    return said


def _write(folder: Path, source: dict[str, Any], wrapping: bytes, own: bytes) -> None:
    nonce = secrets.token_bytes(NONCE)
    wrapped = nonce + cipher(wrapping).encrypt(nonce, own, _told(source))
    write_json(folder / FILE, {"format": FORMAT, "version": VERSION, "key": source, "wrapped": wrapped.hex()})


def _told(source: dict[str, Any]) -> bytes:
    return json.dumps([FORMAT, VERSION, source], sort_keys=True).encode()
