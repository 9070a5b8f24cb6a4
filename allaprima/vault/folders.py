"""Whole folders: sealed, sealed anew, or made plain; and a place in memory where plain files may lie meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.vault import sealed
from allaprima.vault.lock import FILE, create, create_like, key_of, locked_by

MEMORY = Path("/dev/shm")
PREFIX = "allaprima-"
SPARE = 64 << 20
WHOLE_DISK = (
    "free some memory, choose a smaller --size, or do it without --encrypt on a disk that is encrypted as a whole, "
    "then: allaprima encrypt DATASET passphrase"
)
NEVER = (FILE, ".lock")


def size_of(folder: Path) -> int:
    """Bytes of all files but the lock."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name not in NEVER)


def copy(old: Path, new: Path, secret: Callable[[Path], bool], advance: Callable[[int], None]) -> None:
    """All files of ``old`` into ``new``: as its lock has it those of which ``secret`` is true, others as they are.

    ``secret`` is asked of paths relative to the folder; where ``new`` has no lock, all becomes plain. ``advance`` is told
    bytes. Raises ValueError where a sealed file was changed.
    """
    key = key_of(new) if (new / FILE).is_file() else None
    for path in sorted(old.rglob("*")):
        beside = path.relative_to(old)
        if path.is_dir():
            (new / beside).mkdir(exist_ok=True)
        elif path.name not in NEVER or len(beside.parts) > 1:
            _copy_file(path, new / beside, key if secret(beside) else None)
            advance(path.stat().st_size)


def _copy_file(old: Path, new: Path, key: bytes | None) -> None:
    with contextlib.ExitStack() as stack:
        if sealed.is_sealed(old):
            folder = locked_by(old.parent)
            if folder is None:
                raise ValueError(f"'{old}' is encrypted, and no {FILE} is there for it")
            opened = stack.enter_context(sealed.Opened(old, key_of(folder)))
            source, length = opened.stream(), opened.length
        else:
            source, length = stack.enter_context(open(old, "rb")), old.stat().st_size
        with open(new, "wb") as out:
            if key is None:
                shutil.copyfileobj(source, out, 1 << sealed.EXPONENT)
            else:
                sealed.seal(source, length, out, key, new.name)


def everything(_: Path) -> bool:
    """For ``copy``: every file is secret."""
    return True


@contextlib.contextmanager
def filling(folder: Path, how: str, needed: int) -> Iterator[Path]:
    """Where the files of ``folder``, which is new, are to be written: there; with a ``how``, such as ``passphrase``, in memory
    first, from where they are sealed into it. ``needed``: bytes. Raises UserError as ``lock.create`` and ``in_memory`` do.
    """
    if not how:
        yield folder
        return
    with in_memory(needed) as room:
        create(folder, how)  # before hours of work, not after: somebody may be asked
        yield room
        copy(room, folder, everything, lambda _: None)


@contextlib.contextmanager
def rewriting(old: Path, new: Path) -> Iterator[tuple[Path, Path]]:
    """What to read and what to write where ``new`` is to follow ``old``: both, or where a lock is, plain ones in memory.
    The new folder gets a key of its own, which the same passphrase, file or keyring opens.
    """
    if not (old / FILE).is_file():
        yield old, new
        return
    with in_memory(2 * size_of(old)) as room:
        before, after = room / "old", room / "new"
        before.mkdir()
        after.mkdir()
        copy(old, before, everything, lambda _: None)
        yield before, after
        create_like(new, old)
        copy(after, new, everything, lambda _: None)


@contextlib.contextmanager
def plain(folder: Path) -> Iterator[Path]:
    """The folder, or for one that is locked a plain copy in memory."""
    if not (folder / FILE).is_file():
        yield folder
        return
    with in_memory(size_of(folder)) as room:
        copy(folder, room, everything, lambda _: None)
        yield room


@contextlib.contextmanager
def in_memory(needed: int, remedy: str = WHOLE_DISK) -> Iterator[Path]:
    """An empty folder of this user alone that is on no disk, for ``needed`` bytes; what it holds is gone in the end.

    Raises UserError where the system has no such place, or not so much of it. What a killed process left is removed first;
    memory that the system swaps out does go to a disk: see docs/privacy.md.
    """
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        raise UserError(
            "This system has no folder in memory where plain files could lie that are to be on no disk", remedy
        )
    _sweep()
    if shutil.disk_usage(MEMORY).free < needed + SPARE:
        raise UserError(f"{needed / 1e9:.1f} GB in memory are needed, and {MEMORY} has fewer", remedy)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
    try:
        with claim_folder(folder):  # in a container, process numbers say nothing of others' folders
            held = folder / "held"
            held.mkdir()
            yield held
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    for left in MEMORY.glob(f"{PREFIX}*-*"):
        number = left.name.removeprefix(PREFIX).split("-")[0]
        if number.isdigit() and not Path("/proc", number).exists():
            with contextlib.suppress(UserError), claim_folder(left):  # in use all the same, or another user's
                shutil.rmtree(left, ignore_errors=True)
