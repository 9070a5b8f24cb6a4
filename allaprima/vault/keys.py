"""Where the key comes from that opens a lock: a passphrase, a file, or the system's keyring."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from allaprima.core.errors import UserError, suggest
from allaprima.core.files import plain_disk_errors
from allaprima.vault.sealed import KEY_BYTES

PASSPHRASE, KEY_FILE = "ALLAPRIMA_PASSPHRASE", "ALLAPRIMA_KEY_FILE"
NEW_PASSPHRASE = "ALLAPRIMA_NEW_PASSPHRASE"  # where the other one opens what is to get another
WAYS = ("passphrase", "file=PATH", "keyring")
COST = {"n": 2**17, "r": 8, "p": 1}  # scrypt: 128 MiB and a third of a second, what OWASP's cheat sheet asks at least
MOST_COST = 2**20  # of a lock.json that others wrote
SHORTEST = 12  # characters: each guess takes that third of a second, but guesses are many
SERVICE = "allaprima"
_known: dict[str, str] = {}  # passphrases that were typed, by salt: nobody is asked twice


def new(how: str) -> tuple[dict[str, Any], bytes]:
    """What a lock is to say of a new key, and the key, 32 bytes; it is made where there is none. Raises UserError."""
    way, _, given = how.partition("=")
    if way == "passphrase" and not given:
        source: dict[str, Any] = {"how": way, "salt": secrets.token_hex(16), **COST}
        _known[source["salt"]] = _chosen()
        return source, _derived(source, _known[source["salt"]])
    if way == "file" and given:
        path = Path(given).expanduser().absolute()
        _make_file(path)
        return {"how": way, "path": str(path)}, _of_file(path, "name a file that is not there yet: a key is made in it")
    if way == "keyring" and not given:
        entry, key = secrets.token_hex(8), secrets.token_bytes(KEY_BYTES)
        with _keyring() as ring:
            ring.set_password(SERVICE, entry, key.hex())
        return {"how": way, "entry": entry}, key
    raise UserError(f"There is no way '{how}' to keep a key", suggest(how, (*WAYS, "none")))


def check(source: dict[str, Any]) -> None:
    """Raises ValueError or KeyError where a lock says of its key what cannot be."""
    wanted = {"passphrase": ("salt", "n", "r", "p"), "file": ("path",), "keyring": ("entry",)}
    if source["how"] not in wanted:
        raise ValueError(f"it names no way to the key that is known: {source['how']}")
    for name in wanted[source["how"]]:
        if not isinstance(source[name], int if name in COST else str):
            raise ValueError(f"'{name}' is of another kind")
    if source["how"] == "passphrase" and not 0 < source["n"] * source["r"] * source["p"] <= MOST_COST * COST["r"]:
        raise ValueError("the passphrase would take too long")


def obtain(source: dict[str, Any]) -> Iterator[bytes]:
    """Keys that may be it, 32 bytes each, the likeliest first. Raises UserError where none is to be had."""
    if source["how"] == "passphrase":
        said = _known.get(source["salt"]) or os.environ.get(PASSPHRASE) or _typed("Passphrase: ")
        _known[source["salt"]] = said
        yield _derived(source, said)
        return
    if source["how"] == "file":
        named, usual = os.environ.get(KEY_FILE), Path(source["path"])
        yield _of_file(Path(named) if named else usual)
        if named and usual.is_file():  # the variable may be there for another folder
            yield _of_file(usual)
        return
    with _keyring() as ring:
        found = ring.get_password(SERVICE, source["entry"])
    if found is None:
        raise UserError("The system's keyring does not hold this key", remedy(source))
    yield bytes.fromhex(found)


def forget(source: dict[str, Any]) -> None:
    """A passphrase that was wrong is not taken again."""
    _known.pop(source.get("salt", ""), None)


def is_passphrase_of(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the passphrase that was just chosen for ``new`` is the one that just opened ``old``."""
    return _known.get(old["salt"]) == _known[new["salt"]]


def remedy(source: dict[str, Any]) -> str:
    """What a person can do where a key does not open a lock."""
    return {
        "passphrase": f"give the passphrase that it was locked with (asked for, or in {PASSPHRASE})",
        "file": f"set {KEY_FILE} to the key file that it was locked with; it was {source.get('path')}",
        "keyring": "log in as the user, on the machine, that locked it",
    }[source["how"]]


def _derived(source: dict[str, Any], said: str) -> bytes:
    cost = {name: source[name] for name in COST}
    room = 128 * cost["r"] * (cost["n"] + cost["p"] + 2) + (1 << 20)
    return hashlib.scrypt(said.encode(), salt=bytes.fromhex(source["salt"]), **cost, maxmem=room, dklen=KEY_BYTES)


def _chosen() -> str:
    said = os.environ.get(NEW_PASSPHRASE) or os.environ.get(PASSPHRASE) or _typed_twice()
    if len(said) < SHORTEST:
        raise UserError(
            f"A passphrase of {len(said)} characters is soon guessed", f"take {SHORTEST} or more: some words"
        )
    return said


@cache  # a source's dataset and the run on it are locked by one
def _typed_twice() -> str:
    said = _typed(f"New passphrase ({SHORTEST} characters or more): ", ", or take a key file: file=PATH")
    if len(said) >= SHORTEST and _typed("The same again: ") != said:  # a short one is refused by who asks
        raise UserError("The two passphrases differ", "give the command again")
    return said


def _typed(question: str, otherwise: str = "") -> str:
    if not sys.stdin.isatty():
        raise UserError("A passphrase is needed, and nobody can be asked", f"set {PASSPHRASE}{otherwise}")
    return getpass.getpass(question)


def _make_file(path: Path) -> None:
    with plain_disk_errors(path), contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _of_file(path: Path, help_: str | None = None) -> bytes:
    help_ = help_ or remedy({"how": "file", "path": str(path)})
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise UserError(f"The key file '{path}' cannot be read: {error.strerror}", help_) from None
    except ValueError:
        raise UserError(f"'{path}' is no key file", help_) from None
    if len(key) != KEY_BYTES:
        raise UserError(f"'{path}' is no key file: it holds {len(key)} bytes, not {KEY_BYTES}", help_)
    return key


@contextlib.contextmanager
def _keyring() -> Any:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise UserError("The system's keyring needs the package 'keyring'", "pip install 'allaprima[vault]'") from None
    try:
        yield keyring
    except KeyringError as error:
        raise UserError(
            f"The system has no keyring that answers: {error}", "lock with a passphrase or a file"
        ) from None
