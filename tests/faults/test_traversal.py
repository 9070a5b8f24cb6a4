"""Two thousand ways out of a folder, on every parameter that is part of a path: nothing outside is opened, nothing of it told."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from allaprima.bundle.untrained import untrained
from allaprima.runtime.engine import Engine
from allaprima.server.app import create
from allaprima.server.guard import Rules

UP = ("..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "....", "%c0%ae%c0%ae", "..;")
BETWEEN = ("/", "\\", "%2f", "%5c", "%252f", "//", "/./")
TARGETS = ("etc/passwd", "app.py", "pyproject.toml", "server/guard.py", "bundle.json", "proc/self/environ")
BEHIND = ("", "%00.js", "?x=.js", "/.", "#.js")
PAYLOADS = [
    between.join([up] * depth + [target.replace("/", between)]) + behind
    for depth, up, between, target, behind in itertools.product((1, 4, 9), UP, BETWEEN, TARGETS, BEHIND)
][::2]
WHOLE_PATHS = [
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "~/.ssh/id_rsa",
]
OUTSIDE: list[str] = []
watched = {"on": False, "hooked": False}


def watch(event: str, values: tuple[object, ...]) -> None:
    """Every file that Python opens while a request is answered."""
    if watched["on"] and event == "open" and isinstance(values[0], str | bytes | Path):
        OUTSIDE.append(str(values[0]))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    bundle = untrained(16, latent_dim=8)
    app = create(bundle, "cats", Rules.for_binding("127.0.0.1"), Engine(bundle, "torch"))
    if not watched["hooked"]:
        sys.addaudithook(watch)  # for the life of the process: it does nothing unless it is on
        watched["hooked"] = True
    with TestClient(app, base_url="http://127.0.0.1") as found:
        yield found


def parameters(client: TestClient) -> list[tuple[str, str]]:
    """Method and path of each route with a parameter in its path, as the server describes itself."""
    paths = client.get("/api/openapi.json").json()["paths"]
    return [(next(iter(methods)).upper(), path) for path, methods in paths.items() if "{" in path]


def test_two_thousand_ways_out_lead_nowhere(client: TestClient) -> None:
    assert len(PAYLOADS) + len(WHOLE_PATHS) >= 2_000
    found = parameters(client)
    assert {path for _, path in found} >= {"/studio/{name}", "/v1/models/{name}", "/v1/images/files/{name}"}
    studio = Path(sys.modules["allaprima.server.routes.page"].__file__ or "").parents[1] / "studio"
    OUTSIDE.clear()
    watched["on"] = True
    try:
        for method, path in found:
            for payload in [*PAYLOADS, *WHOLE_PATHS]:
                answer = client.request(method, path[: path.index("{")] + payload)
                assert answer.status_code in (400, 404, 405), (path, payload, answer.status_code)
                for told in ("root:", "import ", "[project]", "PATH="):
                    assert told not in answer.text, (path, payload)
    finally:
        watched["on"] = False
    # the routes' own sources, which no payload names, are read by FastAPI for its messages
    routes = studio.parent / "routes"
    assert not [name for name in OUTSIDE if not name.startswith(str(studio)) and Path(name).parent != routes]
