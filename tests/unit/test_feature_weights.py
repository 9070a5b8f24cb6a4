"""Weights of published nets: found where they lie, fetched only when asked, and never used unless they are the right ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from allaprima.core import cache
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.models.pretrained import Weights, _weights
from allaprima.models.pretrained._weights import PinnedFile, cache_folder, find

CONTENT = bytes(range(256)) * 10_000  # 2.56 MB: more than two blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DOWNLOAD = Weights(download=True)


class Server(ThreadingHTTPServer):
    """Answers by path; ``asked`` lists the paths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def file(self, path: str, repository: str = "") -> PinnedFile:
        return PinnedFile("net.pth", f"http://127.0.0.1:{self.server_port}{path}", SHA256, len(CONTENT), repository)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if self.path == "/absent":
            self.send_error(404)
            return
        body = {"/other": CONTENT[::-1], "/short": CONTENT[: len(CONTENT) // 2], "/endless": CONTENT * 3}
        self.send_response(200)
        if self.path == "/short":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body.get(self.path, CONTENT))

    def log_message(self, *args: object) -> None:  # nobody listens
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "ours"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "face"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def kept(folder: Path) -> list[str]:
    """The names of all files, but for the lock."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_nothing_is_fetched_unless_it_is_asked_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not on this machine: net\.pth \(3 MB\)") as error:
        find("some", [server.file("/whole")], Weights())
    assert "--download" in error.value.remedy
    assert "--weights" in error.value.remedy
    assert server.asked == []
    assert kept(tmp_path) == []


@pytest.mark.parametrize("path", ["/whole", "/moved"])
def test_a_download_is_kept_whole_and_fetched_once(
    server: Server, path: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = find("some", [server.file(path)], DOWNLOAD)
    assert found == cache_folder() / "net.pth"
    assert found.read_bytes() == CONTENT
    assert "downloading net.pth: 3/3 MB" in capfd.readouterr().err
    asked = list(server.asked)
    assert find("some", [server.file(path)], DOWNLOAD) == found
    assert find("some", [server.file(path)], Weights()) == found
    assert server.asked == asked
    assert kept(tmp_path) == ["net.pth"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/absent", "404 Not Found"),
        ("/short", r"ended after 1\.3 MB"),
        ("/other", "is not net.pth"),
        ("/endless", "is not net.pth"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    server: Server, tmp_path: Path, path: str, problem: str
) -> None:
    file = server.file(path)
    with pytest.raises(UserError, match=problem) as error:
        find("some", [file], DOWNLOAD)
    assert "--weights FILE" in error.value.remedy
    assert file.url in error.value.remedy
    assert kept(tmp_path) == []


def test_without_a_network_the_remedy_is_another_way(tmp_path: Path) -> None:
    nobody = PinnedFile("net.pth", "http://127.0.0.1:9/net.pth", SHA256, len(CONTENT))
    with pytest.raises(UserError, match=r"could not be downloaded: .*refused") as error:
        find("some", [nobody], DOWNLOAD)
    assert "connect to the network" in error.value.remedy
    assert kept(tmp_path) == []


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(_weights, "SECONDS_WITHOUT_DATA", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and never answers
        file = PinnedFile("net.pth", f"http://127.0.0.1:{silent.getsockname()[1]}/", SHA256, len(CONTENT))
        with pytest.raises(UserError, match="timed out"):
            find("some", [file], DOWNLOAD)
    assert kept(tmp_path) == []


def test_an_interruption_leaves_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*asked: object) -> Iterator[bytes]:
        yield CONTENT[:1000]
        raise KeyboardInterrupt

    monkeypatch.setattr(_weights, "_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find("some", [server.file("/whole")], DOWNLOAD)
    assert kept(tmp_path) == []


def test_what_a_killed_download_left_is_swept_by_the_next(server: Server, tmp_path: Path) -> None:
    put(cache_folder() / ".net.pth.partial-0123abcd", CONTENT[:100])
    find("some", [server.file("/whole")], DOWNLOAD)
    assert kept(tmp_path) == ["net.pth"]


def test_two_processes_do_not_download_at_once(server: Server) -> None:
    with claim_folder(cache_folder()), pytest.raises(UserError, match="in use by another process"):
        find("some", [server.file("/whole")], DOWNLOAD)
    assert server.asked == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_a_damaged_file_in_the_cache_is_told_and_replaced(server: Server, damage: bytes) -> None:
    put(cache_folder() / "net.pth", damage)
    with pytest.raises(UserError, match=r"net\.pth' is damaged"):
        find("some", [server.file("/whole")], Weights())
    assert find("some", [server.file("/whole")], DOWNLOAD).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_told_plainly(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "taken")
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "taken"))
    with pytest.raises(UserError, match="part of the path is a file"):
        find("some", [server.file("/whole")], DOWNLOAD)


def test_a_named_file_is_used_where_it_lies(server: Server, tmp_path: Path) -> None:
    file = put(tmp_path / "by-hand.bin")
    assert find("some", [server.file("/whole")], Weights(file=file, download=True)) == file
    other = PinnedFile("other.pth", "https://host.invalid/other.pth", "0" * 64, 5)
    assert find("some", [other, server.file("/whole")], Weights(file=file)) == file
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "There is no file"),
        (b"folder", "is a folder"),
        (CONTENT[:1_000_000], "1.0 MB: was it cut short"),
        (CONTENT[::-1], f"not {SHA256[:8]}"),
    ],
)
def test_a_named_file_that_is_not_the_one_is_refused(
    server: Server, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    named = tmp_path / "named.pth"
    if content == b"folder":
        named.mkdir()
    elif content is not None:
        named.write_bytes(content)
    with pytest.raises(UserError, match=problem) as error:
        find("some", [server.file("/whole")], Weights(file=named, download=True))
    assert "net.pth" in error.value.remedy
    assert server.asked == []


def test_what_other_programs_have_downloaded_is_used(server: Server, tmp_path: Path) -> None:
    url = "https://host.invalid/some/model.bin"
    torch_hub = PinnedFile("net.pth", url, SHA256, len(CONTENT))
    face_hub = PinnedFile("net.pth", url, SHA256, len(CONTENT), "someone/net")
    folder = tmp_path / "face" / "hub" / "models--someone--net"
    for pinned, place in (
        (torch_hub, tmp_path / "torch" / "hub" / "checkpoints" / "model.bin"),
        (face_hub, folder / "blobs" / SHA256),
        (face_hub, folder / "snapshots" / "0123" / "model.bin"),
    ):
        put(place, CONTENT[::-1])
        with pytest.raises(UserError, match="not on this machine"):  # another file of that name and size
            find("some", [pinned], Weights())
        put(place)
        assert find("some", [server.file("/whole"), pinned], Weights()) == place
        place.unlink()


def test_the_cache_is_where_the_platform_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ALLAPRIMA_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    found = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(cache.sys, "platform", platform)
        found[platform] = cache_folder().relative_to(tmp_path).as_posix()
    assert found == {
        "linux": "xdg/allaprima/weights",
        "darwin": "Library/Caches/allaprima/weights",
        "win32": "AppData/Local/allaprima/weights",
    }
