"""Files are whole or absent: after a full disk, an error, a kill; and a folder has one owner at a time."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allaprima.core import files
from allaprima.core.errors import UserError
from allaprima.core.files import (
    claim_folder,
    new_folder,
    plain_disk_errors,
    sha256_file,
    sweep_partial,
    write_atomic,
    write_json,
)

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and descriptors as POSIX has them")


def failing(code: int, after: int = 0) -> Callable[..., None]:
    """A function that fails with ``code`` at its call number ``after``; it does nothing before."""
    calls = iter(range(10**6))

    def stand_in(*arguments: object, **named: object) -> None:
        if next(calls) >= after:
            raise OSError(code, os.strerror(code))

    return stand_in


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("content", [b"\x00\xff", "text, ü"])
def test_a_written_file_holds_what_was_given(tmp_path: Path, content: bytes | str) -> None:
    write_atomic(tmp_path / "a", "before")
    write_atomic(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert everything_in(tmp_path) == ["a"]


def test_json_is_readable_and_ends_with_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "naïve", "values": [1, 2]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "naïve" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {"name": "naïve", "values": [1, 2]}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_fails_leaves_the_old_file_and_says_so_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    write_atomic(tmp_path / "a", "old")
    monkeypatch.setattr(files.os, call, failing(code))
    with pytest.raises(UserError) as caught:
        write_atomic(tmp_path / "a", "new")
    monkeypatch.undo()
    assert str(tmp_path / "a") in caught.value.problem
    assert caught.value.remedy
    assert (tmp_path / "a").read_text() == "old"
    assert everything_in(tmp_path) == ["a"]


def test_other_errors_of_the_system_are_not_called_a_full_disk() -> None:
    with pytest.raises(BrokenPipeError), plain_disk_errors(Path("x")):
        raise BrokenPipeError(errno.EPIPE, "gone")


def test_a_file_in_the_way_of_a_folder_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("here first")
    with pytest.raises(UserError, match="a part of the path is a file"), plain_disk_errors(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").write_text("no")


@posix_only
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_really_full_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a", "old")
    real = open
    monkeypatch.setattr("builtins.open", lambda path, *rest, **named: real("/dev/full", *rest, **named))
    with pytest.raises(UserError, match="No space left"):
        write_atomic(tmp_path / "a", "new" * 10_000)
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "old"


@posix_only
@pytest.mark.parametrize("moment", range(5))
def test_a_kill_at_any_point_leaves_the_old_file_or_the_new_one(tmp_path: Path, moment: int) -> None:
    write_atomic(tmp_path / "a", "old")
    code = f"""
        import os, pathlib
        from allaprima.core import files
        seen = 0
        def dying(real):
            def stand_in(*arguments):
                global seen
                if seen == {moment}:
                    os._exit(9)
                seen += 1
                return real(*arguments)
            return stand_in
        files.os.fsync, files.os.replace = dying(os.fsync), dying(os.replace)
        files.write_atomic(pathlib.Path({str(tmp_path / "a")!r}), "new" * 1000)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode
    # three calls: fsync of the file, rename, fsync of the folder
    assert ended == (9 if moment < 3 else 0)
    assert (tmp_path / "a").read_text() == ("old" if moment < 2 else "new" * 1000)
    sweep_partial(tmp_path)
    assert everything_in(tmp_path) == ["a"]


def test_a_new_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "set"
    with new_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        assert not target.exists()
    assert everything_in(tmp_path) == ["deep", "deep/set", "deep/set/sub", "deep/set/sub/a"]


def test_an_error_while_a_folder_is_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("1")
        raise ZeroDivisionError
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_disk_that_fills_up_leaves_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(files.os, "fsync", failing(errno.ENOSPC, after))
    with pytest.raises(UserError, match="No space left"), new_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("1")
        (folder / "b").write_text("2")
    assert everything_in(tmp_path) == []


def test_a_folder_that_stands_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    with pytest.raises(UserError, match="exists already"), new_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("1")
    assert everything_in(tmp_path) == ["set", "set/mine"]


def test_leftovers_of_a_killed_write_are_swept_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / ".a.partial-1234").write_text("half")
    (tmp_path / ".set.partial-5678").mkdir()
    (tmp_path / ".set.partial-5678" / "x").write_text("half")
    for kept in ("a", ".hidden", "my.partial-notes", "partial"):
        (tmp_path / kept).write_text("mine")
    assert len(sweep_partial(tmp_path)) == 2
    assert everything_in(tmp_path) == [".hidden", "a", "my.partial-notes", "partial"]
    assert sweep_partial(tmp_path / "nowhere") == []


def test_the_hash_is_sha_256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds ``tmp_path``."""
    code = (
        "import sys, pathlib; from allaprima.core.files import claim_folder\n"
        "with claim_folder(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_at_once_and_told_who_owns_the_folder(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    start = time.monotonic()
    with pytest.raises(UserError) as caught, claim_folder(tmp_path):
        pytest.fail("two owners")
    assert time.monotonic() - start < 1
    assert f"process {owner.pid}" in caught.value.problem


@posix_only
def test_a_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert (tmp_path / ".lock").read_text() == f"process {owner.pid}"
    with claim_folder(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"process {os.getpid()}"


def test_a_folder_is_free_again_after_its_owner_left_or_failed(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "run"):
        pass
    with pytest.raises(ZeroDivisionError), claim_folder(tmp_path / "run"):
        raise ZeroDivisionError
    with claim_folder(tmp_path / "run"):
        pass


def test_two_folders_have_two_owners(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "a"), claim_folder(tmp_path / "b"):
        pass
    with claim_folder(tmp_path / "a"), pytest.raises(UserError, match="in use"), claim_folder(tmp_path / "a"):
        pytest.fail("two owners")
