"""Nothing leaves unmarked: each way out, and what is found in what came out."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from allaprima.bundle import samples
from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import save, untrained
from allaprima.marks import signature
from allaprima.marks.inspection import inspect
from allaprima.runtime.engine import Engine
from allaprima.server.app import create
from allaprima.server.guard import Rules
from allaprima.server.protocol import HEADER

SIGNED = "Valid" if signature.is_there() else None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("cats")
    save(untrained(16, classes=["cat", "dog"], latent_dim=8), folder / "cats")
    return Bundle.load(folder / "cats")


@pytest.fixture
def client(bundle: Bundle) -> Iterator[TestClient]:
    app = create(bundle, "cats", Rules.for_binding("127.0.0.1"), Engine(bundle, "torch"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def found(folder: Path, data: bytes, signed: bool = True) -> None:
    path = folder / "left"
    path.write_bytes(data)
    read = inspect(path)
    assert read.sources["XMP"] == "trainedAlgorithmicMedia"
    assert read.label["Label"] == "1"
    assert read.state == (SIGNED if signed else None)


def test_frames_for_keeping_are_signed_and_thumbnails_are_quick(client: TestClient, tmp_path: Path) -> None:
    found(tmp_path, client.post("/api/frame", json={"seed": 1}).content)
    found(tmp_path, client.post("/api/frame?side=8", json={"seed": 1}).content, signed=False)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_openais_images_are_signed(kind: str, client: TestClient, tmp_path: Path) -> None:
    asked = {"prompt": "a cat", "n": 2, "output_format": kind, "response_format": "b64_json"}
    for made in client.post("/v1/images/generations", json=asked).raise_for_status().json()["data"]:
        found(tmp_path, base64.b64decode(made["b64_json"]))
    asked["response_format"] = "url"
    for made in client.post("/v1/images/generations", json=asked).raise_for_status().json()["data"]:
        found(tmp_path, client.get(made["url"]).content)


def test_live_frames_are_marked(client: TestClient, tmp_path: Path) -> None:
    with client.websocket_connect("ws://127.0.0.1:7860/ws") as socket:
        socket.receive_json()
        socket.send_json({"type": "state", "sequence": 1, "state": {"seed": 3}})
        found(tmp_path, socket.receive_bytes()[HEADER.size :], signed=False)
    first = client.get("/api/stream.mjpeg?frames=1").content
    found(tmp_path, first[first.index(b"\xff\xd8") :], signed=False)


def test_films_are_signed_frame_by_frame_or_whole(client: TestClient, tmp_path: Path) -> None:
    film = {"motion": {"kind": "circle", "point": {"seed": 1}, "seconds": 0.3}, "fps": 10}
    for name in ("mp4", "webm", "gif", "sheet", "png"):
        if name not in ("sheet", "png"):
            pytest.importorskip("av")
        made = client.post(f"/api/film?format={name}", json=film)
        assert made.status_code == 200, made.text
        if name == "png":
            (tmp_path / "frames.zip").write_bytes(made.content)
            with zipfile.ZipFile(tmp_path / "frames.zip") as frames:
                for one in frames.namelist():
                    if one.endswith(".png"):
                        found(tmp_path, frames.read(one))
        else:
            found(tmp_path, made.content, signed=name != "webm")


def test_samples_and_previews_are_marked(bundle: Bundle, tmp_path: Path) -> None:
    samples.write(bundle, tmp_path / "sheet.png", count=4)
    found(tmp_path, (tmp_path / "sheet.png").read_bytes())
    samples.write(bundle, tmp_path / "folder", count=3)
    assert len(list((tmp_path / "folder").iterdir())) == 3
    for path in (tmp_path / "folder").iterdir():
        found(tmp_path, path.read_bytes())
