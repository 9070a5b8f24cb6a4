"""Bundles by their id on the Hugging Face hub: a hub on this machine answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from allaprima.bundle.untrained import save, untrained
from allaprima.core.files import sha256_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys, allaprima
from allaprima.core.errors import UserError
try:
    print(allaprima.load("someone/cats", download=sys.argv[1] == "yes").sample(1, as_="array").mean())
except UserError as error:
    print("refused:", error.problem)
"""


@pytest.fixture
def repository_files(tmp_path: Path) -> Path:
    folder = tmp_path / "cats"
    save(untrained(16, generator={"name": "residual", "width": 8, "max_width": 16, "head_width": 4}), folder)
    (folder / "evil.py").write_text("raise SystemExit('executed')")
    return folder


@pytest.fixture
def hub(repository_files: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            names = sorted(one.name for one in repository_files.iterdir())
            data, headers = b"", {"X-Repo-Commit": COMMIT}
            if path.startswith("/api/models/someone/cats/tree/"):
                tree = [{"type": "file", "path": name, "size": 1, "oid": COMMIT} for name in names]
                data = json.dumps(tree).encode()
                headers["Content-Type"] = "application/json"
            elif path.startswith("/api/models/someone/cats"):
                siblings = [{"rfilename": name} for name in names]
                data = json.dumps(
                    {"id": "someone/cats", "sha": COMMIT, "siblings": siblings, "private": False}
                ).encode()
                headers["Content-Type"] = "application/json"
            elif path.startswith(f"/someone/cats/resolve/{COMMIT}/") and path.rpartition("/")[2] in names:
                file = repository_files / path.rpartition("/")[2]
                data, headers["ETag"] = file.read_bytes(), f'"{sha256_file(file)}"'
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_bundle_is_fetched_once_and_only_where_that_is_allowed(hub: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hugging-face is not installed")
    (tmp_path / "elsewhere").mkdir()

    def load(download: str, endpoint: str) -> str:
        import os

        environment = os.environ | {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [sys.executable, "-c", LOAD, download],
            cwd=tmp_path / "elsewhere",
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert load("no", hub).startswith("refused: There is no folder 'someone/cats'")
    painted = load("yes", hub)
    assert float(painted) > 0
    assert load("no", "http://127.0.0.1:9") == painted, "without the network, from the cache"
    assert not list((tmp_path / "hf").rglob("evil.py")), "a bundle's own files alone"
