"""Named tokens: who may ask, how many pictures a minute, over how many sockets, and until when.

A file holds, for each name, the SHA-256 of its token, never the token: a token is 256 random bits, so a fast hash keeps it. The
file is read again when it changes. The name is what the access log says, so it should name a use, not a person.

    print-shop:
      sha256: 9f86d081884c7d65…
      pictures_a_minute: 600
      sockets: 2
      expires: 2027-01-31

Use: ``tokens = Tokens(path); tokens.name_of(given)``; ``new(path, "print-shop", limits)`` → the token, said once.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.core.files import as_json, write_atomic

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
SECONDS_BETWEEN_LOOKS = 1.0
BYTES = 32
REMEDIES = {
    "--pictures-a-minute": "give a number above 0",
    "--sockets": "give a whole number, 0 or more",
    "--expires": "give a day to come, such as --expires 2031-01-31",
}


class Grant(Config):
    """What a token's holder may do; None: as much as the server can. ``expires``: the last day, UTC."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    pictures_a_minute: float | None = Field(None, gt=0)
    sockets: int | None = Field(None, ge=0)
    expires: datetime.date | None = None

    def holds(self, today: datetime.date) -> bool:
        return self.expires is None or today <= self.expires


def new(path: Path, name: str, **limits: object) -> str:
    """A new token for ``name``, added to the file (for its owner alone to read) or in place of its old one, whose limits stay
    unless others (not None) are given.

    Raises UserError for a name or limits that cannot be, and a file that is none of ours.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is no name for a token", "take up to 40 of a-z, 0-9, '.', '_', '-', such as print-shop"
        )
    standing = _read(path) if path.exists() else {}
    token = secrets.token_urlsafe(BYTES)
    given = {key: value for key, value in limits.items() if value is not None}
    kept = standing[name].model_dump() if name in standing else {}
    try:
        standing[name] = Grant.model_validate({**kept, **given, "sha256": _hash(token)})
    except ValidationError as error:
        option = "--" + str(error.errors()[0]["loc"][0]).replace("_", "-")
        raise UserError(
            f"{option} '{limits.get(str(error.errors()[0]['loc'][0]))}' cannot be", REMEDIES[option]
        ) from None
    if not standing[name].holds(datetime.datetime.now(datetime.UTC).date()):
        raise UserError(f"The last day of '{name}', {standing[name].expires}, is over", REMEDIES["--expires"])
    values = {key: grant.model_dump(mode="json", exclude_none=True) for key, grant in sorted(standing.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    mode = path.stat().st_mode & 0o777
    write_atomic(path, as_json(values) if path.suffix == ".json" else yaml.safe_dump(values, sort_keys=False))
    os.chmod(path, mode & 0o600)
    return token


class Tokens:
    """The tokens of a file, as it stands."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where it cannot be read, or holds none."""
        self._path, self._looked = path, time.monotonic()
        self._stamp = self._state()
        self._grants = _read(path)
        if not self._grants:
            raise UserError(f"'{path}' holds no tokens", f"make one: allaprima token NAME {path}")
        self._held = self._holding()

    def name_of(self, given: str) -> str | None:
        """Whose token it is, if it is anybody's and holds still. Every hash is compared, so the time tells nothing."""
        digest, found = _hash(given), None
        for name, grant in self.grants().items():
            if hmac.compare_digest(grant.sha256, digest):
                found = name
        return found

    def grants(self) -> dict[str, Grant]:
        """Those that hold today. A file that is gone or damaged grants nothing, until it is mended."""
        now = time.monotonic()
        if now - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = now
            if (stamp := self._state()) != self._stamp:
                self._stamp = stamp
                try:
                    self._grants = _read(self._path)
                except UserError:
                    self._grants = {}
            self._held = self._holding()
        return self._held

    def _holding(self) -> dict[str, Grant]:
        today = datetime.datetime.now(datetime.UTC).date()
        return {name: grant for name, grant in self._grants.items() if grant.holds(today)}

    def _state(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def named(path: Path | None) -> Tokens | None:
    """Those of a file, if one is named."""
    return None if path is None else Tokens(path)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(path: Path) -> dict[str, Grant]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(values, dict):
            raise ValueError("it holds no names")
        wrong = [str(name) for name in values if not NAME.fullmatch(str(name))]
        if wrong:
            raise ValueError(f"'{wrong[0][:40]}' is no name for a token")
        return {str(name): Grant.model_validate(grant) for name, grant in values.items()}
    except ValidationError as error:
        raise UserError(f"'{path}' is damaged: {error.errors()[0]['msg']}", "mend it, or make it anew") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(
            f"'{path}' cannot be read: {reason}", "mend it, or make it anew: allaprima token NAME FILE"
        ) from None
