"""Encryption at rest: what is sealed comes back, and nothing but what was sealed."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import stat
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.vault import keys, lock, sealed

pytest.importorskip("cryptography", reason="the extra 'vault' is not installed")
PHRASE = "a quiet hill above the sea"
CHUNK = 1 << sealed.EXPONENT


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrypt at its real cost takes a third of a second each time."""
    monkeypatch.setattr(keys, "COST", {"n": 2**4, "r": 8, "p": 1})
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    locked = tmp_path / "locked"
    locked.mkdir()
    lock.create(locked, "passphrase")
    return locked


def forgotten() -> None:
    """As in another process: nobody knows a key."""
    lock._opened.cache_clear()
    keys._known.clear()


def content(length: int) -> bytes:
    return np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_what_is_sealed_comes_back_and_is_not_seen(folder: Path, length: int) -> None:
    data = content(length)
    vault.write_synced(folder / "a", data)
    stored = (folder / "a").read_bytes()
    assert vault.read_bytes(folder / "a") == data
    assert len(stored) <= length + 40 + 16 * (length // CHUNK + 1)
    assert length < 64 or data[:32] not in stored
    assert vault.sha256_file(folder / "a") == __import__("hashlib").sha256(data).hexdigest()


def test_any_part_can_be_read(folder: Path) -> None:
    data = content(3 * CHUNK + 100)
    vault.write_synced(folder / "a", data)
    chance = np.random.default_rng(0)
    with sealed.Opened(folder / "a", vault.key_of(folder)) as file:
        for _ in range(200):
            start, count = int(chance.integers(0, len(data))), int(chance.integers(0, 2 * CHUNK))
            assert file.read(start, count) == data[start : start + count]
        assert file.read(len(data), 10) == b""


def test_every_flipped_bit_is_refused(folder: Path) -> None:
    data = content(2 * CHUNK + 50)
    vault.write_synced(folder / "a", data)
    stored = bytearray((folder / "a").read_bytes())
    chance = np.random.default_rng(0)
    places = [*range(sealed.HEADER.size), *chance.integers(sealed.HEADER.size, len(stored), 300).tolist()]
    for place in places:
        changed = bytearray(stored)
        changed[place] ^= 1 << int(chance.integers(8))
        (folder / "a").write_bytes(changed)
        with pytest.raises(ValueError, match=r"changed|does not know"):
            vault.read_bytes(folder / "a")


def test_cuts_and_additions_are_refused(folder: Path) -> None:
    vault.write_synced(folder / "a", content(2 * CHUNK))
    stored = (folder / "a").read_bytes()
    whole = CHUNK + sealed.TAG
    for changed in (stored[:-1], stored[:-whole], stored[: sealed.HEADER.size], stored[:20], stored + b"x"):
        (folder / "a").write_bytes(changed)
        with pytest.raises(ValueError, match="changed"):
            vault.read_bytes(folder / "a")
    shorter = bytearray(stored[:-whole])  # and its header tells the same lie
    shorter[-CHUNK - sealed.TAG - 8 : -CHUNK - sealed.TAG] = CHUNK.to_bytes(8, "little")
    (folder / "a").write_bytes(shorter)
    with pytest.raises(ValueError, match="changed"):
        vault.read_bytes(folder / "a")


def test_chunks_and_files_that_changed_places_are_refused(folder: Path, tmp_path: Path) -> None:
    data = content(3 * CHUNK)
    vault.write_synced(folder / "a", data)
    vault.write_synced(folder / "b", data)
    stored, start, whole = (folder / "a").read_bytes(), sealed.HEADER.size, CHUNK + sealed.TAG
    first, second = stored[start : start + whole], stored[start + whole : start + 2 * whole]
    (folder / "a").write_bytes(stored[:start] + second + first + stored[start + 2 * whole :])
    with pytest.raises(ValueError, match="changed"):
        vault.read_bytes(folder / "a")
    (folder / "a").write_bytes((folder / "b").read_bytes())  # another file of the folder under its name
    with pytest.raises(ValueError, match="another file"):
        vault.read_bytes(folder / "a")
    (folder / "a").write_bytes((folder / "b").read_bytes()[:start] + stored[start:])  # another one's header
    with pytest.raises(ValueError, match="changed"):
        vault.read_bytes(folder / "a")
    other = tmp_path / "other"
    other.mkdir()
    lock.create(other, "passphrase")
    (other / "b").write_bytes((folder / "b").read_bytes())  # of another folder, under its own name
    with pytest.raises(ValueError, match="changed"):
        vault.read_bytes(other / "b")


def test_a_sealed_file_without_its_lock_says_so(folder: Path, tmp_path: Path) -> None:
    vault.write_synced(folder / "a", b"secret")
    (tmp_path / "a").write_bytes((folder / "a").read_bytes())
    with pytest.raises(ValueError, match=r"lock\.json"):
        vault.read_bytes(tmp_path / "a")


def test_a_plain_file_in_a_locked_folder_is_not_believed(folder: Path) -> None:
    np.save(folder / "images.npy", np.zeros((3, 2), np.uint8))
    for read in (vault.read_bytes, vault.array, vault.sha256_file):
        with pytest.raises(ValueError, match="is not encrypted, and its folder is"):
            read(folder / "images.npy")
    assert vault.read_bytes(folder / "images.npy", mixed=True).startswith(b"\x93NUMPY")
    with pytest.raises(FileNotFoundError):
        vault.read_bytes(folder / "labels.npy")


def test_what_is_written_below_a_locked_folder_is_sealed_and_beside_it_is_not(folder: Path, tmp_path: Path) -> None:
    deep = folder / "checkpoints" / "000000000032"
    deep.mkdir(parents=True)
    for path in (deep / "state.json", tmp_path / "state.json"):
        vault.write_atomic(path, '{"plain": "words"}')
    assert b"words" not in (deep / "state.json").read_bytes()
    assert json.loads((tmp_path / "state.json").read_bytes()) == {"plain": "words"}
    assert vault.read_bytes(deep / "state.json") == vault.read_bytes(tmp_path / "state.json")


@pytest.mark.parametrize("shape", [(7,), (300, 8, 8, 3), (5, 200, 200, 3)])
def test_a_sealed_array_is_indexed_as_a_memory_map_is(folder: Path, shape: tuple[int, ...]) -> None:
    wanted = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, wanted)
    vault.write_synced(folder / "images.npy", buffer.getvalue())
    found = vault.array(folder / "images.npy")
    assert (found.shape, found.dtype, found.ndim, found.size) == (wanted.shape, wanted.dtype, wanted.ndim, wanted.size)
    assert len(found) == len(wanted)
    mask = np.arange(len(wanted)) % 3 == 0
    keys_ = [0, -1, np.int64(2), slice(1, 4), slice(None), slice(4, 1), slice(None, None, 2), slice(None, None, -1)]
    keys_ += [np.array([3, 0, 3, -1]), [1, 2], mask, np.array([], np.int64), np.array([[0, 1], [2, 3]]), ...]
    keys_ += [(slice(1, 3),), (2,), (np.array([1, 0]),)]
    if len(shape) > 1:
        keys_ += [(1, 2), (slice(1, 3), 0), (np.array([1, 2]), slice(0, 2)), (slice(None), ..., 0), (..., 1)]
    for key in keys_:
        np.testing.assert_array_equal(found[key], wanted[key], err_msg=str(key))
    np.testing.assert_array_equal(np.asarray(found), wanted)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found))[1:3], wanted[1:3])
    for wrong in (len(wanted), -len(wanted) - 1, np.array([len(wanted)]), np.ones(len(wanted) + 1, bool)):
        with pytest.raises(IndexError):
            found[wrong]


def test_threads_read_one_array_at_once(folder: Path) -> None:
    wanted = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, wanted)
    vault.write_synced(folder / "images.npy", buffer.getvalue())
    found, wrong = vault.array(folder / "images.npy"), []

    def look(seed: int) -> None:
        places = np.random.default_rng(seed).integers(0, 64, 200)
        if not (found[places] == wanted[places]).all():
            wrong.append(seed)

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def row_of(array: Any, row: int) -> bytes:
    """For other processes: what they find there."""
    found: bytes = array[row].tobytes()
    return found


@pytest.mark.parametrize("start", multiprocessing.get_all_start_methods()[:2])
def test_other_processes_read_the_array_that_they_are_handed(folder: Path, start: str) -> None:
    buffer = io.BytesIO()
    wanted = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    np.save(buffer, wanted)
    vault.write_synced(folder / "images.npy", buffer.getvalue())
    context = multiprocessing.get_context(start)
    with warnings.catch_warnings(), ProcessPoolExecutor(2, mp_context=context) as pool:
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left a thread
        found = list(pool.map(row_of, [vault.array(folder / "images.npy")] * 2, [3, 39]))
    assert found == [wanted[3].tobytes(), wanted[39].tobytes()]


def test_a_wrong_passphrase_opens_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.write_synced(folder / "a", b"secret")
    forgotten()
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE + "!")
    with pytest.raises(UserError, match="does not open"):
        vault.read_bytes(folder / "a")
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE)  # the wrong one is not kept
    assert vault.read_bytes(folder / "a") == b"secret"


def test_where_nobody_can_be_asked_the_remedy_names_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten()
    monkeypatch.delenv(keys.PASSPHRASE)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UserError) as caught:
        vault.key_of(folder)
    assert keys.PASSPHRASE in caught.value.remedy


def test_short_passphrases_and_unknown_ways_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for how in ("password", "file", "file=", "keyring=x", ""):
        with pytest.raises(UserError, match="no way"):
            lock.create(tmp_path, how)
    monkeypatch.setenv(keys.PASSPHRASE, "short")
    with pytest.raises(UserError, match="guessed"):
        lock.create(tmp_path, "passphrase")
    assert not (tmp_path / lock.FILE).exists()


def test_another_file_is_not_taken_for_a_new_key(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match="no key file") as caught:
        lock.create(tmp_path, f"file={tmp_path / 'cat.png'}")
    assert "not there yet" in caught.value.remedy
    assert (tmp_path / "cat.png").read_bytes() == b"\x89PNG"


def test_a_key_file_is_made_for_its_owner_alone_and_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "keys" / "cats.key"
    lock.create(tmp_path, f"file={key}")
    if os.name != "nt":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = vault.key_of(tmp_path)
    forgotten()
    key.rename(tmp_path / "moved.key")
    with pytest.raises(UserError, match="cannot be read"):
        vault.key_of(tmp_path)
    monkeypatch.setenv(keys.KEY_FILE, str(tmp_path / "moved.key"))
    assert vault.key_of(tmp_path) == first
    forgotten()
    (tmp_path / "moved.key").write_text("00" * 16)
    with pytest.raises(UserError, match="no key file"):
        vault.key_of(tmp_path)


def test_the_systems_keyring_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring", reason="the extra 'vault' is not installed")
    backend = pytest.importorskip("keyring.backend", reason="the extra 'vault' is not installed")

    class Ring(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1
        held: dict[tuple[str, str], str] = {}

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        lock.create(tmp_path, "keyring")
        own = vault.key_of(tmp_path)
        forgotten()
        assert vault.key_of(tmp_path) == own
        forgotten()
        Ring.held.clear()
        with pytest.raises(UserError, match="does not hold"):
            vault.key_of(tmp_path)
        from keyring.backends import fail

        keyring.set_keyring(fail.Keyring())
        with pytest.raises(UserError, match="no keyring"):
            lock.create(tmp_path, "keyring")
    finally:
        keyring.set_keyring(before)


def test_another_key_opens_the_same_files_and_the_old_one_no_more(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.write_synced(folder / "a", b"secret")
    stored = (folder / "a").read_bytes()
    lock.change(folder, f"file={tmp_path / 'new.key'}")
    forgotten()
    assert vault.read_bytes(folder / "a") == b"secret"
    assert (folder / "a").read_bytes() == stored
    assert "salt" not in (folder / lock.FILE).read_text()


def test_a_new_passphrase_is_another_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = vault.key_of(folder)
    with pytest.raises(UserError, match="this key already"):  # the variable still holds the old one
        lock.change(folder, "passphrase")
    monkeypatch.setenv(keys.NEW_PASSPHRASE, "a loud valley below")
    lock.change(folder, "passphrase")
    monkeypatch.delenv(keys.NEW_PASSPHRASE)
    forgotten()
    with pytest.raises(UserError, match="does not open"):
        vault.key_of(folder)
    monkeypatch.setenv(keys.PASSPHRASE, "a loud valley below")
    assert vault.key_of(folder) == own


def test_a_new_key_file_is_the_one_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, locked = tmp_path / "old.key", tmp_path / "new.key", tmp_path / "locked"
    locked.mkdir()
    lock.create(locked, f"file={old}")
    own = vault.key_of(locked)
    monkeypatch.setenv(keys.KEY_FILE, str(old))
    with pytest.raises(UserError, match="this key already"):
        lock.change(locked, f"file={old}")
    lock.change(locked, f"file={new}")
    forgotten()
    assert vault.key_of(locked) == own  # the variable names the old one, and the lock the new one
    forgotten()
    new.unlink()
    with pytest.raises(UserError, match="does not open"):
        vault.key_of(locked)


def test_a_folder_like_another_has_the_key_that_opens_that_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    forgotten()
    monkeypatch.setenv(keys.PASSPHRASE, PHRASE + "!")
    with pytest.raises(UserError, match="does not open"):
        lock.create_like(other, folder)
    assert not (other / lock.FILE).exists()


def test_a_kill_while_the_key_changes_leaves_one_that_opens(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.write_synced(folder / "a", b"secret")
    for call in ("replace", "fsync"):

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, call, dies)
            with pytest.raises(KeyboardInterrupt):
                lock.change(folder, f"file={tmp_path / 'new.key'}")
        forgotten()
        assert vault.read_bytes(folder / "a") == b"secret"


@pytest.mark.parametrize(
    "change",
    [{"format": "other"}, {"wrapped": "zz"}, {"key": {"how": "moon"}}, {"key": {"how": "file"}}, {"wrapped": 7}],
    ids=str,
)
def test_a_damaged_lock_is_named(folder: Path, change: dict[str, object]) -> None:
    said = json.loads((folder / lock.FILE).read_text())
    (folder / lock.FILE).write_text(json.dumps(said | change))
    with pytest.raises(UserError, match="damaged"):
        vault.key_of(folder)


def test_a_lock_cannot_ask_for_hours_of_work(folder: Path) -> None:
    said = json.loads((folder / lock.FILE).read_text())
    said["key"]["n"] = 2**30
    (folder / lock.FILE).write_text(json.dumps(said))
    with pytest.raises(UserError, match="too long"):
        vault.key_of(folder)


def test_a_lock_that_says_other_things_of_its_key_does_not_open(folder: Path) -> None:
    said = json.loads((folder / lock.FILE).read_text())
    said["key"]["note"] = "added"
    (folder / lock.FILE).write_text(json.dumps(said))
    with pytest.raises(UserError, match="does not open"):
        vault.key_of(folder)
