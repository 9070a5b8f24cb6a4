"""Encryption of what stands already: a dataset, a run or a bundle is encrypted, gets another key, or is made plain again.

Another passphrase, file or keyring entry for the same key is one small file replaced. All else writes the folder anew beside the
old one, which then goes; a kill at any time leaves the one or the other, and the same command goes on. What was plain is
deleted, and disks keep deleted blocks for a while: to be sure, encrypt from the beginning.

Use: ``print(encrypt(Path("runs/cats"), "passphrase"))``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from allaprima import vault
from allaprima.bundle.format import DESCRIPTION
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.core.progress import progress
from allaprima.data.dataset import is_dataset
from allaprima.data.prepare import replacing, sweep
from allaprima.training import run as runs
from allaprima.training import survey, transfer
from allaprima.vault import lock
from allaprima.vault.folders import copy, everything, size_of

NOTHING = "none"
PAGES = ("report", "audit")  # of a run; they are plain
SECRETS_OF_A_RUN = ("checkpoints", "bundle", survey.FILE, transfer.TENSORS)


def encrypt(folder: Path, how: str, whole: bool = False) -> str:
    """Encrypt, change the key, or with ``none`` decrypt; what was done, in words.

    ``whole``: a locked folder's files are encrypted anew with a new key, as after a key has become known; without it the same
    key is only kept otherwise. Raises UserError for a folder that is none of ours, is in use, or has changed on the disk.
    """
    named, folder = folder, folder.resolve()
    sweep(folder)
    secret = _secrets_of(folder)
    vault.check_place(folder, how)
    locked = (folder / vault.FILE).is_file()
    around = None if locked else vault.locked_by(folder)
    if around is not None:  # a part that is locked by itself, or plain, would not be believed by what it is a part of
        raise UserError(
            f"'{folder}' is encrypted with '{around}', which it is a part of", f"run: allaprima encrypt {around} {how}"
        )
    if how == NOTHING and not locked:
        return f"'{named}' is not encrypted"
    with claim_folder(folder):
        if locked and how != NOTHING and not whole:
            lock.change(folder, how)
            return f"'{named}' has another key: {_words(how)}"
        shown = [] if locked else [page for page in PAGES if (folder / page).is_dir()]
        _rewrite(folder, how, secret, shown)
    if how == NOTHING:
        return f"'{named}' is plain"
    plain = "" if locked else ". What was plain is deleted, not overwritten"
    pages = f". {' and '.join(shown)}, which may show pictures, are deleted too: make them again" if shown else ""
    return f"'{named}' is encrypted: {_words(how)}{plain}{pages}"


def _secrets_of(folder: Path) -> Callable[[Path], bool]:
    """Which files, by their path in the folder, are encrypted."""
    if is_dataset(folder) or (folder / DESCRIPTION).is_file():
        return everything
    if (folder / "run.json").is_file() and runs.exists(folder):
        return lambda path: path.parts[0] in SECRETS_OF_A_RUN
    raise UserError(f"'{folder}' is no dataset, run or bundle", "name a folder that allaprima wrote")


def _rewrite(folder: Path, how: str, secret: Callable[[Path], bool], shown: list[str]) -> None:
    with replacing(folder) as new:
        if how != NOTHING:
            lock.create(new, how)
        try:
            with progress("encrypting" if how != NOTHING else "decrypting", size_of(folder), "bytes") as advance:
                copy(folder, new, secret, advance)
                for page in shown:
                    shutil.rmtree(new / page)
        except ValueError as error:
            raise UserError(f"{error}; nothing was changed", "bring it back from a copy") from None


def _words(how: str) -> str:
    way, _, given = how.partition("=")
    return {
        "passphrase": "a passphrase opens it, and nothing else does: keep it",
        "file": f"the file '{given}' opens it, and nothing else does: keep a copy elsewhere",
        "keyring": "this user's keyring opens it",
    }[way]
