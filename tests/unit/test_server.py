"""The server's routes as they are: what they give, whom they refuse, and what they survive."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from PIL import Image
from starlette.websockets import WebSocketDisconnect

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import save, untrained
from allaprima.core.errors import UserError
from allaprima.runtime.session import State
from allaprima.server import guard, listen
from allaprima.server.app import ROUTES, create
from allaprima.server.guard import Guard, Rules, cookie_name
from allaprima.server.protocol import LARGEST_MESSAGE, unpack
from allaprima.server.routes import live

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions of Starlette would rather have httpx2; httpx does as well
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:7860"
SOCKET = "ws://127.0.0.1:7860/ws"
TOKEN = "a token of some length"
FINITE = {"/api/stream.mjpeg": "?frames=1"}  # it would go on as long as somebody reads


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    save(untrained(16, classes=["cat", "fish"], generator={"name": "conv", "width": 8, "max_width": 16}), folder)
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def app(bundle: Bundle) -> Guard:
    return create(bundle, "cats", Rules.for_binding("127.0.0.1"))


@pytest.fixture(scope="module")
def client(app: Guard) -> Iterator[TestClient]:
    with TestClient(app, HERE) as client:
        yield client


@pytest.fixture(scope="module")
def locked(bundle: Bundle) -> Iterator[TestClient]:
    with TestClient(create(bundle, "cats", Rules.for_binding("0.0.0.0", TOKEN)), HERE) as client:
        yield client


def routes() -> list[APIRoute | APIWebSocketRoute]:
    return [route for name in ROUTES.names() for route in ROUTES.get(name).router.routes]


def requests() -> list[tuple[str, str]]:
    """Every method and path of the route table, parameters filled in."""
    found = [
        (method, route.path.replace("{name:path}", "app.js").replace("{name}", "cats") + FINITE.get(route.path, ""))
        for route in routes()
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]
    return [*found, ("GET", "/api/openapi.json")]


# -- what the routes give --------------------------------------------------------------------------------------


def test_the_model_is_described(client: TestClient) -> None:
    model = client.get("/api/model").json()
    assert {"name": "cats", "width": 16, "height": 16, "channels": 3, "latent_dim": 64}.items() <= model.items()
    assert model["classes"] == ["cat", "fish"]
    preview = client.get(model["preview"])
    assert preview.headers["content-type"] == "image/webp"
    assert preview.content[:4] == b"RIFF"


def test_a_bundle_without_a_folder_has_no_preview() -> None:
    bundle = untrained(16, generator={"name": "conv", "width": 8, "max_width": 16})
    with TestClient(create(bundle, "new", Rules.for_binding("127.0.0.1")), HERE) as client:
        assert client.get("/api/model").json()["preview"] is None
        assert client.get("/api/model/preview").status_code == 404


def test_the_same_state_gives_the_same_pixels(client: TestClient, bundle: Bundle) -> None:
    state = {"seed": 3, "x": 0.25, "label": "fish"}
    answers = [client.post("/api/frame", json=state) for _ in range(2)]
    assert answers[0].headers["content-type"] == "image/png"
    other = client.post("/api/frame", json={**state, "x": 0.75})
    first, again, moved = (np.asarray(Image.open(io.BytesIO(one.content))) for one in (*answers, other))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, moved)
    thumbnails = [client.post("/api/frame?side=8", json=state).content for _ in range(2)]
    assert thumbnails[0] == thumbnails[1], "without a signature the bytes are the same too"
    first = np.asarray(Image.open(io.BytesIO(client.post("/api/frame", json={"seed": 3}).content)))
    assert np.abs(first - bundle.sample(1, seed=3, as_="array")[0].astype(int)).mean() < 2


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b'{"seed": NaN}', 422, "seed"),
        (b'{"x": 1e999}', 422, "x"),
        (b'{"colour": 1}', 422, "colour"),
        (b'{"mix": 0.5}', 422, "pins"),
        (b"not json", 422, ""),
        (b"\xff\xfe", 422, ""),
        (b"[]", 422, ""),
        (b"", 422, ""),
        (b'{"label": "fosh"}', 400, "fosh"),
        (b"[" * 60_000, 400, ""),
        (b"x" * 70_000, 413, "large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_is_no_state_is_answered_plainly(client: TestClient, body: bytes, status: int, word: str) -> None:
    answer = client.post("/api/frame", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert word in answer.json()["problem"]
    assert answer.json()["remedy"]
    assert "Traceback" not in answer.text


def test_a_body_without_a_length_is_cut_at_the_limit(client: TestClient) -> None:
    chunks = (b"x" * 1000 for _ in range(100_000))
    assert client.post("/api/frame", content=chunks).status_code == 413


def test_a_slow_body_is_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "method": "POST", "headers": [(b"host", b"localhost")], "query_string": b""}
    asyncio.run(Guard(client.app, Rules.for_binding("localhost"))(scope, never, send))
    assert sent[0]["status"] == 408


def test_every_panel_that_is_listed_is_a_module_that_can_be_fetched(client: TestClient) -> None:
    panels = client.get("/api/panels").json()
    assert "/studio/panels/pad.js" in panels
    for path in panels:
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("text/javascript")
        for export in ("export const order", "export const region", "export function mount"):
            assert export in answer.text, path


def test_the_page_names_nothing_outside_this_machine() -> None:
    studio = Path(live.__file__).parents[1] / "studio"
    allowed = ("http://www.w3.org/2000/svg", "${scheme}://${location.host}/ws")  # a name, and ourselves
    for path in (path for path in studio.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        for known in allowed:
            text = text.replace(known, "")
        assert "://" not in text, path
        assert "url(" not in text, path


@pytest.mark.parametrize(
    "name",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "panels/../../app.py",
        "/etc/passwd",
        "..\\app.py",
        "app.js%00",
        "",
        ".",
    ],
)
def test_only_the_pages_own_files_are_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/studio/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_unknown_addresses_and_methods_are_answered_plainly(client: TestClient) -> None:
    assert client.get("/nowhere").json()["problem"] == "Not Found"
    assert client.delete("/").status_code == 405


def test_an_unexpected_error_tells_nothing_of_the_inside(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create(bundle, "cats", Rules.for_binding("127.0.0.1"))
    with TestClient(app, HERE, raise_server_exceptions=False) as client:

        def breaks(_: object) -> None:
            raise ZeroDivisionError("secret detail")

        monkeypatch.setattr(app.app.state.studios["cats"].engine, "render", breaks)
        answer = client.post("/api/frame", json={})
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "secret detail" in caplog.text
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("method", "path"), requests())
def test_every_answer_carries_the_headers_that_keep_it_in(client: TestClient, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


# -- who is let in ---------------------------------------------------------------------------------------------

HOSTS = {
    "127.0.0.1:7860": True,
    "localhost:7860": True,
    "LOCALHOST:7860": True,
    "[::1]:7860": True,
    "localhost": True,
    "localhost.:7860": False,
    "localhost.evil:7860": False,
    "evil.example": False,
    "127.0.0.1.evil.example": False,
    "127.0.0.2:7860": False,
    "[::1": False,
    "localhost:7860:1": False,
    "localhost:evil": False,
    "": False,
}
ORIGINS: dict[str | None, bool] = {
    None: True,
    "http://{host}": True,
    "https://{host}": True,
    "HTTP://{host}": True,
    "null": False,
    "": False,
    "http://evil.example": False,
    "http://{host}.evil.example": False,
    "http://localhost:9999": False,
    "http://{host}/": False,
    "file://{host}": False,
    "{host}": False,
}


@pytest.mark.parametrize(("method", "path"), requests())
def test_only_our_own_names_and_pages_are_answered(client: TestClient, method: str, path: str) -> None:
    for host, host_ok in HOSTS.items():
        for origin, origin_ok in ORIGINS.items():
            headers = {"host": host} | ({} if origin is None else {"origin": origin.format(host=host)})
            for cookie in ({}, {"cookie": "allaprima_7860=anything"}):
                status = client.request(method, path, headers=headers | cookie).status_code
                wanted = 421 if not host_ok else 403 if not origin_ok else None
                refused = status if status in (401, 403, 421) else None
                assert refused == wanted, (method, path, headers)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("origin", ORIGINS)
def test_only_our_own_pages_can_open_a_socket(client: TestClient, host: str, origin: str | None) -> None:
    headers = {"host": host} | ({} if origin is None else {"origin": origin.format(host=host)})
    if HOSTS[host] and ORIGINS[origin]:
        with client.websocket_connect(SOCKET, headers=headers) as live_socket:
            assert live_socket.receive_json()["type"] == "hello"
    else:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, headers=headers):
            pass


def test_two_hosts_or_origins_in_one_request_are_refused(client: TestClient) -> None:
    twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")]
    assert client.get("/health", headers=twice).status_code == 403  # type: ignore[arg-type]  # httpx takes pairs


@pytest.mark.parametrize(("method", "path"), requests())
def test_with_a_token_every_route_but_health_asks_for_it(locked: TestClient, method: str, path: str) -> None:
    wanted = 200 if path in ("/health", "/healthz", "/readyz") else 401
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"cookie": "allaprima_7860=wrong"},
    ):
        assert locked.request(method, path, headers=headers).status_code == wanted
    allowed = locked.request(method, path, headers={"authorization": f"Bearer {TOKEN}"})
    assert allowed.status_code not in (401, 403, 421)


def test_the_token_opens_the_page_once_and_a_cookie_keeps_it_open(locked: TestClient) -> None:
    opened = locked.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert opened.status_code == 303
    assert opened.headers["location"] == "/"
    cookie = opened.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    headers = {"cookie": cookie.partition(";")[0]}
    locked.cookies.clear()
    assert locked.get("/", headers=headers).status_code == 200
    with locked.websocket_connect(SOCKET, headers=headers) as live_socket:
        assert live_socket.receive_json()["type"] == "hello"
    assert locked.get("/", params={"token": "wrong"}).status_code == 401
    assert locked.get("/api/model", params={"token": TOKEN}).status_code == 401
    with pytest.raises(WebSocketDisconnect), locked.websocket_connect(SOCKET):
        pass


def test_cookies_of_other_ports_are_not_ours() -> None:
    assert cookie_name("localhost:7860") != cookie_name("localhost:7861")
    assert cookie_name("[::1]") == cookie_name("localhost") == "allaprima"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "8.8.8.8", ""])
def test_beyond_this_machine_a_token_is_demanded(host: str) -> None:
    with pytest.raises(UserError) as refused:
        Rules.for_binding(host)
    assert "--token" in refused.value.remedy
    assert TOKEN not in repr(Rules.for_binding(host, TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_on_this_machine_no_token_is_demanded(host: str) -> None:
    assert Rules.for_binding(host).token is None


def test_a_short_token_is_refused_and_so_is_an_address_of_nowhere() -> None:
    with pytest.raises(UserError, match="characters"):
        Rules.for_binding("127.0.0.1", "short")
    with pytest.raises(UserError, match="no address"):
        Rules.for_binding("no.such.host.invalid")


def test_on_all_addresses_literal_addresses_are_known_and_strange_names_are_not() -> None:
    rules = Rules.for_binding("0.0.0.0", TOKEN)
    assert rules.knows("192.168.1.5:7860")
    assert rules.knows("[fe80::1]:7860")
    assert rules.knows(socket.gethostname())
    assert not rules.knows("rebound.example:7860")


# -- the socket ------------------------------------------------------------------------------------------------


def ask(live_socket: Any, sequence: int, **state: Any) -> bytes:
    live_socket.send_text(json.dumps({"type": "state", "sequence": sequence, "state": state}))
    frame = unpack(live_socket.receive_bytes())
    assert frame.sequence == sequence
    live_socket.send_text(json.dumps({"type": "shown", "sequence": sequence}))
    return frame.data


def test_a_state_comes_back_as_its_frame(client: TestClient, bundle: Bundle) -> None:
    with client.websocket_connect(SOCKET) as live_socket:
        assert live_socket.receive_json()["protocol"] == 1
        first, second = ask(live_socket, 1, seed=1), ask(live_socket, 2, seed=2)
        assert ask(live_socket, 3, seed=1) == first != second
        assert Image.open(io.BytesIO(first)).size == (16, 16)


def test_two_clients_with_different_seeds_never_get_each_others_frame(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as one, client.websocket_connect(SOCKET) as two:
        assert one.receive_json()["type"] == two.receive_json()["type"] == "hello"
        mine, theirs = ask(one, 1, seed=11), ask(two, 1, seed=22)
        assert mine != theirs
        for turn in range(2, 12):
            for live_socket, seed in ((one, 11), (two, 22)):
                live_socket.send_text(json.dumps({"type": "state", "sequence": turn, "state": {"seed": seed}}))
            for live_socket, wanted in ((two, theirs), (one, mine)):
                assert unpack(live_socket.receive_bytes()).data == wanted
                live_socket.send_text(json.dumps({"type": "shown", "sequence": turn}))


def test_without_an_acknowledgement_only_the_newest_is_kept(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as live_socket:
        live_socket.receive_json()
        for sequence in range(1, 50):
            live_socket.send_text(json.dumps({"type": "state", "sequence": sequence, "state": {"seed": sequence}}))
        live_socket.send_text('{"type": "nonsense"}')
        seen, problem = [], None
        while problem is None:  # the answer to the nonsense comes after all states were read
            message = live_socket.receive()
            if message.get("bytes"):
                seen.append(unpack(message["bytes"]).sequence)
            else:
                problem = json.loads(message["text"])
        while not seen:
            seen.append(unpack(live_socket.receive_bytes()).sequence)
        assert len(seen) == 1
        live_socket.send_text(json.dumps({"type": "shown", "sequence": seen[0]}))
        if seen[0] != 49:
            assert unpack(live_socket.receive_bytes()).sequence == 49


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "{}",
        '{"type": "state"}',
        '{"type": "state", "sequence": 1, "state": {"seed": -1}}',
        '{"type": "state", "sequence": 1, "state": {"x": NaN}}',
        '{"type": "shown", "sequence": "1"}',
        '{"type": "sudo"}',
        "[" * 5000,
        "\u0000",
    ],
    ids=lambda text: text[:30],
)
def test_a_wrong_message_is_answered_and_the_session_goes_on(client: TestClient, message: str) -> None:
    with client.websocket_connect(SOCKET) as live_socket:
        live_socket.receive_json()
        live_socket.send_text(message)
        problem = live_socket.receive_json()
        assert problem["type"] == "problem"
        assert problem["problem"]
        assert "/" not in problem["problem"]
        assert ask(live_socket, 1, seed=1)


def test_bytes_instead_of_text_are_answered_too(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as live_socket:
        live_socket.receive_json()
        live_socket.send_bytes(b"\x00\xff")
        assert live_socket.receive_json()["type"] == "problem"


def test_an_unknown_class_is_a_problem_of_its_state_only(client: TestClient) -> None:
    with client.websocket_connect(SOCKET) as live_socket:
        live_socket.receive_json()
        live_socket.send_text('{"type": "state", "sequence": 5, "state": {"label": "fosh"}}')
        problem = live_socket.receive_json()
        assert problem["sequence"] == 5
        assert "fish" in problem["remedy"]
        assert ask(live_socket, 6, label="fish")


def test_a_reader_that_shows_nothing_is_let_go(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "READER_SECONDS", 0.1)
    with client.websocket_connect(SOCKET) as live_socket:
        live_socket.receive_json()
        live_socket.send_text('{"type": "state", "sequence": 1, "state": {}}')
        live_socket.receive_bytes()
        assert live_socket.receive() == {
            "type": "websocket.close",
            "code": 1008,
            "reason": "no frame was shown for too long",
        }


def test_too_many_clients_are_told_to_come_later(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CLIENTS", 0)
    with client.websocket_connect(SOCKET) as live_socket, pytest.raises(WebSocketDisconnect) as refused:
        live_socket.receive_json()
    assert refused.value.code == 1013


def test_clients_that_left_are_forgotten(client: TestClient, app: Guard) -> None:
    for _ in range(5):
        with client.websocket_connect(SOCKET) as live_socket:
            live_socket.receive_json()
            live_socket.send_text('{"type": "state", "sequence": 1, "state": {}}')
    assert client.get("/health").json() == {"status": "ok"}
    assert app.app.state.studios["cats"].pacer.clients == 0


# -- listening -------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_said_with_the_remedy() -> None:
    with listen.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert listen.address_of(first, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        with pytest.raises(UserError) as refused:
            listen.bind("127.0.0.1", port)
    assert f"Port {port} is in use" in refused.value.problem
    assert "--port 0" in refused.value.remedy


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", -1), ("127.0.0.1", 70000), ("no.such.host.invalid", 0), ("8.8.8.8", 0)]
)
def test_an_address_that_cannot_be_is_said_plainly(host: str, port: int) -> None:
    with pytest.raises(UserError):
        listen.bind(host, port)


def test_long_messages_and_compression_are_off() -> None:
    config = listen.server(FastAPI()).config
    assert config.ws_max_size == LARGEST_MESSAGE
    assert not config.ws_per_message_deflate
    assert not config.access_log
    assert len(State(label="x" * 200).model_dump_json()) < LARGEST_MESSAGE
