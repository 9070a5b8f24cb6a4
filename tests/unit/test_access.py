"""Named tokens, what each may have, and a log that says who asked for how much and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.runtime.engine import Engine
from allaprima.server import access, tokens
from allaprima.server.access import Allowance, Log
from allaprima.server.app import create
from allaprima.server.guard import Rules
from allaprima.server.tokens import Tokens, new

STATE = {"type": "state", "sequence": 1, "state": {"seed": 3}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(access, "SECONDS_BETWEEN_SWEEPS", 0.05)


Opened = Callable[..., TestClient]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """A server with the tokens of ``tmp_path/tokens.yaml``, if it is there, and an access log."""
    with contextlib.ExitStack() as stack:

        def opening(token: str | None = None) -> TestClient:
            path = tmp_path / "tokens.yaml"
            rules = Rules.for_binding("127.0.0.1", token, Tokens(path) if path.exists() else None)
            bundle = untrained(16, classes=["cat", "dog"], latent_dim=8)
            log = Log(tmp_path / "log" / "access.jsonl")
            app = create(bundle, "cats", rules, Engine(bundle, "torch"), log=log)
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1", follow_redirects=False))

        yield opening


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def lines(tmp_path: Path, count: int) -> list[dict[str, object]]:
    """The log's, once there are as many."""
    path, found = tmp_path / "log" / "access.jsonl", []
    for _ in range(200):
        found = [json.loads(line) for line in path.read_text().splitlines()]
        if len(found) >= count:
            break
        time.sleep(0.02)
    assert len(found) >= count, found
    return found


def test_a_token_is_kept_as_a_hash_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    first = new(path, "print-shop", pictures_a_minute=60, sockets=None, expires=None)
    second = new(path, "wall", pictures_a_minute=None, sockets=2, expires="2999-01-31")
    assert len(first) >= 43
    assert first != second
    assert first not in path.read_text()
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = Tokens(path)
    assert [found.name_of(token) for token in (first, second, "x", "")] == ["print-shop", "wall", None, None]
    third = new(path, "wall")
    assert [found.name_of(token) for token in (first, second, third)] == ["print-shop", None, "wall"]


@pytest.mark.parametrize("name", ["", "Anna Schmidt", "a" * 41, "../x", "-", "ä"])
def test_names_are_plain_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name"):
        new(tmp_path / "tokens.yaml", name)
    assert not (tmp_path / "tokens.yaml").exists()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: 1", "a: {sha256: x}", "A B: {}", "a: {sha256: " + "0" * 64 + ", more: 1}", "{", "a: !!python/x"],
)
def test_a_file_of_other_things_is_refused_in_plain_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens.yaml").write_text(text)
    with pytest.raises(UserError):
        Tokens(tmp_path / "tokens.yaml")


def test_limits_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for limits, option, remedy in (
        ({"pictures_a_minute": 0}, "--pictures-a-minute '0'", "above 0"),
        ({"sockets": -1}, "--sockets '-1'", "whole number"),
        ({"expires": "soon"}, "--expires 'soon'", "2031-01-31"),
        ({"expires": "2020-01-31"}, None, "2031-01-31"),
    ):
        with pytest.raises(UserError, match="is over" if option is None else f"{option} cannot be") as caught:
            new(tmp_path / "tokens.yaml", "wall", **limits)
        assert remedy in caught.value.remedy


def test_beyond_this_machine_named_tokens_will_do(tmp_path: Path) -> None:
    new(tmp_path / "tokens.yaml", "wall")
    assert Rules.for_binding("0.0.0.0", None, Tokens(tmp_path / "tokens.yaml")).asks_for_one


def test_who_has_a_token_comes_in_by_header_and_by_cookie(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "wall")
    client = opened()
    assert client.get("/api/model").status_code == 401
    assert client.get("/api/model", headers=bearer(token + "x")).status_code == 401
    assert client.get("/api/model", headers=bearer(token)).status_code == 200
    assert client.get(f"/?token={token}x").status_code == 401
    assert client.get(f"/?token={token}").status_code == 303
    assert client.get("/api/model").status_code == 200, "by the cookie"
    assert token not in str(dict(client.cookies))
    forged = dict(client.cookies)
    client.cookies.clear()
    for name, value in forged.items():
        client.cookies.set(name, value.replace("wall:", "wail:"))
    assert client.get("/api/model").status_code == 401


def test_one_token_without_a_name_stands_beside_them(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "wall")
    client = opened("the-old-one-token")
    for given in ("the-old-one-token", token):
        assert client.get("/api/model", headers=bearer(given)).status_code == 200


def test_a_token_that_is_taken_away_or_over_ends_at_once(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "tokens.yaml"
    token, other = new(path, "wall"), new(path, "shop")
    client = opened()
    client.get(f"/?token={token}")
    assert client.get("/api/model").status_code == 200
    with client.websocket_connect("ws://127.0.0.1/ws") as socket:
        socket.receive_json()
        values = yaml.safe_load(path.read_text())
        del values["wall"]
        path.write_text(yaml.safe_dump(values))
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_json()
        assert caught.value.code == 1008
    assert client.get("/api/model").status_code == 401
    assert client.get("/api/model", headers=bearer(other)).status_code == 200
    new_day = yaml.safe_load(path.read_text())
    new_day["shop"]["expires"] = "2020-01-01"
    path.write_text(yaml.safe_dump(new_day))
    assert client.get("/api/model", headers=bearer(other)).status_code == 401


def test_a_token_made_anew_ends_the_sockets_and_streams_of_the_old_one(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "tokens.yaml"
    old = new(path, "wall")
    client = opened()
    with client.websocket_connect("ws://127.0.0.1/ws", headers=bearer(old)) as socket:
        socket.receive_json()
        changed = threading.Timer(0.3, new, (path, "wall"))
        changed.start()
        # it would take a quarter of a minute, but for the token
        streamed = client.get("/api/stream.mjpeg?fps=20&frames=300", headers=bearer(old))
        changed.join()
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_json()
    assert caught.value.code == 1008
    assert streamed.status_code == 200
    assert streamed.content.count(b"image/jpeg") < 200


def test_a_client_that_does_not_read_keeps_no_other_socket_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "CLOSING_SECONDS", 0.05)
    path = tmp_path / "tokens.yaml"
    new(path, "wall")
    closed = []

    class Socket:
        def __init__(self, reads: bool) -> None:
            self.scope, self._reads = {access.SCOPE: access.Visit("wall", "0" * 64)}, reads

        async def close(self, code: int, reason: str) -> None:
            if not self._reads:
                await asyncio.Event().wait()
            closed.append(code)

    async def swept() -> None:
        here = access.Access(Tokens(path))
        with here.opened(Socket(False)), here.opened(Socket(True)):  # type: ignore[arg-type]
            sweeping = asyncio.create_task(here.sweep())
            await asyncio.sleep(0.5)
            sweeping.cancel()

    asyncio.run(swept())
    assert set(closed) == {1008}


def test_another_token_for_a_name_keeps_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    old = new(path, "wall", pictures_a_minute=8, sockets=1, expires="2999-01-31")
    again = new(path, "wall", pictures_a_minute=None, sockets=3, expires=None)
    tokens = Tokens(path)
    assert (tokens.name_of(old), tokens.name_of(again)) == (None, "wall")
    grant = tokens.grants()["wall"]
    assert (grant.pictures_a_minute, grant.sockets, str(grant.expires)) == (8, 3, "2999-01-31")


def test_tokens_in_json_stay_json(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    first = new(path, "wall", expires="2999-01-31")
    new(path, "shop")
    assert set(json.loads(path.read_text())) == {"wall", "shop"}
    assert Tokens(path).name_of(first) == "wall"


def test_who_had_enough_pictures_waits_and_others_do_not(tmp_path: Path, opened: Opened) -> None:
    slow = new(tmp_path / "tokens.yaml", "slow", pictures_a_minute=12)  # ten seconds' worth at once: two
    quick = new(tmp_path / "tokens.yaml", "quick")
    client = opened()
    statuses = []
    for _ in range(4):
        answer = client.post("/api/frame", json={"seed": 1}, headers=bearer(slow))
        statuses.append(answer.status_code)
    assert statuses == [200, 200, 429, 429]
    assert 1 <= int(answer.headers["retry-after"]) <= 6
    assert "had its pictures" in answer.json()["problem"]
    assert client.get("/api/model", headers=bearer(slow)).status_code == 200, "what paints nothing is free"
    several = client.post("/v1/images/generations", json={"prompt": "", "n": 4}, headers=bearer(quick))
    assert several.status_code == 200
    refused = client.post("/v1/images/generations", json={"prompt": "", "n": 1}, headers=bearer(slow))
    assert refused.json()["error"]["type"] == "rate_limit_error"
    told = [(line["route"], line["status"]) for line in lines(tmp_path, 8) if line.get("event") == "limit reached"]
    assert told.count(("/api/frame", 429)) == 2
    assert ("/v1/images/generations", 429) in told


def test_several_pictures_in_one_request_are_owed(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "slow", pictures_a_minute=60)
    client = opened()
    for _ in range(3):  # ten seconds' worth are ten: eight come, then eight more, and then the debt is paid off
        answer = client.post("/v1/images/generations", json={"prompt": "", "n": 8}, headers=bearer(token))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) in (6, 7)


def test_an_allowance_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    allowance = Allowance()
    assert allowance.wait(60, 10) == pytest.approx(1)
    now[0] += 1
    assert allowance.wait(60) == 0
    assert allowance.wait(60, 1) == pytest.approx(1)
    now[0] += 3600
    assert allowance.wait(60, 9) == 0, "never more than ten seconds' worth at once"
    assert allowance.wait(60, 1) == pytest.approx(1)
    assert allowance.wait(None, 1000) == 0


def test_live_frames_come_slower_and_the_session_stays(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "slow", pictures_a_minute=600)  # ten a second, a hundred at once
    client = opened()
    client.app.access._allowances["slow"] = Allowance()  # type: ignore[attr-defined]
    client.app.access._allowances["slow"].wait(600, 100)  # type: ignore[attr-defined]
    with client.websocket_connect("ws://127.0.0.1/ws", headers=bearer(token)) as socket:
        socket.receive_json()
        begun = time.monotonic()
        for number in range(1, 6):
            socket.send_json({**STATE, "sequence": number})
            socket.receive_bytes()
            socket.send_json({"type": "shown", "sequence": number})
        assert 0.3 < time.monotonic() - begun < 5


def test_a_token_has_as_many_sockets_as_it_may(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "wall", sockets=1)
    client = opened()
    for _ in range(2):  # one that was closed counts no more
        with client.websocket_connect("ws://127.0.0.1/ws", headers=bearer(token)) as socket:
            socket.receive_json()
            with (
                pytest.raises(WebSocketDisconnect) as caught,
                client.websocket_connect("ws://127.0.0.1/ws", headers=bearer(token)) as other,
            ):
                other.receive_json()
            assert caught.value.code == 1013


def test_the_log_says_who_asked_for_how_much_and_nothing_else(tmp_path: Path, opened: Opened) -> None:
    token = new(tmp_path / "tokens.yaml", "wall")
    client = opened()
    secret = "marker"
    headers = {**bearer(token), "user-agent": f"{secret}-agent", "x-forwarded-for": "203.0.113.9", "referer": secret}
    client.post(f"/api/frame?model={secret}", json={"seed": 1}, headers=headers)
    client.post("/api/frame?side=8", json={"seed": 90210, "label": "cat"}, headers=headers)
    client.post("/v1/images/generations", json={"prompt": f"a {secret}", "n": 2, "seed": 90210}, headers=headers)
    client.get(f"/{secret}/{secret}?{secret}={secret}", headers=headers)
    client.get(f"/v1/models/{secret}", headers=headers)
    client.request(secret.upper(), "/api/model", headers=headers)
    client.get("/api/model", headers=bearer(f"{secret}-token"))
    client.get("/api/model", headers={**headers, "host": f"{secret}.example"})
    client.get(f"/?token={token}")
    with client.websocket_connect(f"ws://127.0.0.1/ws?x={secret}", headers=headers) as socket:
        socket.receive_json()
        socket.send_json(STATE)
        socket.receive_bytes()
    found = lines(tmp_path, 11)
    text = (tmp_path / "log" / "access.jsonl").read_text()
    for forbidden in (
        secret,
        secret.upper(),
        token,
        token[:12],
        "203.0.113",
        "90210",
        "testclient",
        "127.0.0.1",
        "cat",
    ):
        assert forbidden not in text, forbidden
    assert found[0]["event"] == "start"
    visits = found[1:]
    keys = {"time", "token", "route", "method", "status", "pictures", "ms", "bytes"}
    assert all(set(visit) - {"event"} == keys for visit in visits)
    assert [visit.get("event") for visit in visits] == [None] * 6 + ["token refused"] + [None] * 3
    told = [(one["token"], one["route"], one["method"], one["status"], one["pictures"]) for one in visits]
    assert told == [
        ("wall", "/api/frame", "POST", 404, 0),
        ("wall", "/api/frame", "POST", 200, 1),
        ("wall", "/v1/images/generations", "POST", 200, 2),
        ("wall", "-", "GET", 404, 0),
        ("wall", "/v1/models/{name}", "GET", 404, 0),
        ("wall", "/api/model", "-", 405, 0),
        ("-", "-", "GET", 401, 0),
        ("-", "-", "GET", 421, 0),
        ("wall", "-", "GET", 303, 0),
        ("wall", "/ws", "WEBSOCKET", 101, 1),
    ]
    assert all(float(str(visit["bytes"])) > 0 for visit in visits if visit["status"] == 200)


def test_start_and_stop_are_said_and_the_file_is_its_owners(tmp_path: Path, opened: Opened) -> None:
    with contextlib.ExitStack() as stack:
        bundle = untrained(16, latent_dim=8)
        app = create(
            bundle,
            "x",
            Rules.for_binding("127.0.0.1"),
            Engine(bundle, "torch"),
            log=Log(tmp_path / "log" / "access.jsonl"),
        )
        stack.enter_context(TestClient(app))
    assert [line["event"] for line in lines(tmp_path, 2)] == ["start", "stop"]
    if os.name != "nt":
        assert stat.S_IMODE((tmp_path / "log" / "access.jsonl").stat().st_mode) == 0o600


def test_the_log_is_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LOG_BYTES", 2_000)
    log = Log(tmp_path / "access.jsonl")
    for number in range(500):
        log.say(number=number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == access.LOG_FILES
    assert sum(path.stat().st_size for path in files) <= 2_000 * access.LOG_FILES
    assert json.loads((tmp_path / "access.jsonl").read_text().splitlines()[-1])["number"] == 499


def test_a_full_disk_is_said_once_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "access.jsonl")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log._handler.stream, "write", full, raising=False)
    for number in range(20):
        log.say(number=number)
    log.close()
    assert capfd.readouterr().err.count("cannot be written") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_disk_that_is_full_to_the_end_does_not_fail_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(Path("/dev/full"))
    for number in range(20_000):
        log.say(number=number)
    log.close()
    assert capfd.readouterr().err.count("No space left") == 1


def test_a_disk_that_hangs_does_not_hold_the_end_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LAST_LINES_SECONDS", 0.1)
    monkeypatch.setattr(access, "MOST_WAITING", 10)
    log, go_on = Log(tmp_path / "access.jsonl"), threading.Event()
    monkeypatch.setattr(log._handler.stream, "write", lambda _: go_on.wait(20), raising=False)
    for number in range(50):
        log.say(number=number)
    assert log.lost >= 38
    ending = threading.Thread(target=log._listener.stop)
    ending.start()
    ending.join(5)
    assert not ending.is_alive()
    go_on.set()
    assert log._listener._thread is not None
    log._listener._thread.join(5)
    log.close()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_a_log_that_others_could_read_is_its_owners_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.write_text("")
    path.chmod(0o644)
    Log(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Log(tmp_path / "file" / "access.jsonl")
