"""The images API: OpenAI's own client talks to it, and whatever is wrong is said in its way."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import untrained
from allaprima.models.conditions import CONDITIONS
from allaprima.runtime.engine import Engine
from allaprima.runtime.pacing import BusyError, Pacer
from allaprima.runtime.session import State
from allaprima.server import listen
from allaprima.server.app import serving
from allaprima.server.gate import Gate
from allaprima.server.guard import Rules
from allaprima.server.models import open_all

openai = pytest.importorskip("openai", reason="the openai package is not installed")
SMALL = {"name": "conv", "width": 8, "max_width": 16}
TOKEN = "a token of some length"


def cats() -> Bundle:
    return untrained(16, classes=["cat", "catfish"], generator=SMALL)


def birds() -> Bundle:
    condition = CONDITIONS.get("text").Config().fitted(["a red bird", "a blue bird", "a red fish", "a blue fish"])
    return untrained(16, generator=SMALL, condition=condition)


class Running:
    """A server on loopback, in a thread."""

    def __init__(self, app: Any) -> None:
        self.listening = listen.bind("127.0.0.1", 0)
        self.address = listen.address_of(self.listening, "127.0.0.1")
        started = threading.Event()
        self.server = listen.server(app, started.set)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)
        self.thread.start()
        assert started.wait(30)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.listening.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running(serving({"cats": Engine(cats()), "birds": Engine(birds())}, Rules.for_binding("127.0.0.1", TOKEN)))
    yield server
    server.stop()


@pytest.fixture
def client(running: Running) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{running.address}v1", api_key=TOKEN, max_retries=0) as client:
        yield client


def picture(b64_json: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64_json))))


def test_the_models_are_listed(client: Any) -> None:
    assert [one.id for one in client.models.list()] == ["cats", "birds"]
    assert client.models.retrieve("birds").owned_by == "allaprima"


def test_pictures_come_as_base64_in_their_own_size_or_the_one_asked_for(client: Any) -> None:
    made = client.images.generate(prompt="a cat", n=3, response_format="b64_json", extra_body={"seed": 5})
    assert len(made.data) == 3
    assert abs(made.created - time.time()) < 60
    assert picture(made.data[0].b64_json).shape == (16, 16, 3)
    np.testing.assert_array_equal(
        picture(made.data[0].b64_json), Engine(cats()).render([State(seed=5, label="cat")])[0]
    )
    large = client.images.generate(prompt="a cat", size="1024x1024", response_format="b64_json")
    assert picture(large.data[0].b64_json).shape == (1024, 1024, 3)


def test_a_url_can_be_fetched_with_the_token_alone(client: Any) -> None:
    url = client.images.generate(prompt="a cat", model="dall-e-3", size="512x512").data[0].url
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})) as answer:
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.read())).size == (512, 512)
    assert httpx.get(url).status_code == 401
    assert httpx.get(url.replace("files/", "files/x"), headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 404


def test_a_prompt_is_a_text_where_the_generator_follows_texts(client: Any) -> None:
    def paint(prompt: str) -> np.ndarray:
        wish = {"model": "birds", "response_format": "b64_json", "extra_body": {"seed": 3}}
        return picture(client.images.generate(prompt=prompt, **wish).data[0].b64_json)

    np.testing.assert_array_equal(paint("a red bird"), Engine(birds()).render([State(seed=3, text="a red bird")])[0])
    assert not np.array_equal(paint("a red bird"), paint("a blue fish"))
    assert paint("").shape == (16, 16, 3)


def test_the_longest_class_that_a_prompt_names_is_meant(client: Any) -> None:
    made = client.images.generate(prompt="One CATFISH, please", response_format="b64_json", extra_body={"seed": 1})
    wanted = Engine(cats()).render([State(seed=1, label="catfish")])[0]
    np.testing.assert_array_equal(picture(made.data[0].b64_json), wanted)


@pytest.mark.parametrize("alias", ["gpt-image-1", "dall-e-3", "dall-e-2"])
def test_names_that_clients_have_written_into_them_mean_the_first_model(client: Any, alias: str) -> None:
    made = client.images.generate(prompt="a cat", model=alias).data[0]
    assert (made.b64_json is None) == (alias != "gpt-image-1")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_output_format_is_kept(client: Any, kind: str) -> None:
    made = client.images.generate(prompt="a cat", output_format=kind, response_format="b64_json")
    assert Image.open(io.BytesIO(base64.b64decode(made.data[0].b64_json))).format == kind.upper()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 11},
        {"response_format": "a string"},
        {"size": "huge"},
        {"size": "4096x4096"},
        {"prompt": "x" * 5000},
        {"extra_body": {"seed": -1}},
    ],
)
def test_what_is_wrong_is_a_bad_request_in_openai_s_words(client: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(**{"prompt": "a cat", **wrong})
    assert refused.value.body["type"] == "invalid_request_error"
    assert refused.value.body["message"]


def test_unknown_models_and_wrong_keys_are_what_the_client_knows_them_as(client: Any, running: Running) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.images.generate(prompt="a cat", model="dogs")
    assert unknown.value.body["code"] == "model_not_found"
    stranger = openai.OpenAI(base_url=f"{running.address}v1", api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_the_counters_count_and_tell_no_prompt(client: Any, running: Running) -> None:
    def told() -> str:
        return httpx.get(f"{running.address}metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text

    def pictures(text: str) -> float:
        line = next(one for one in text.splitlines() if one.startswith('allaprima_pictures_total{model="cats"}'))
        return float(line.rpartition(" ")[2])

    before = pictures(told())
    client.images.generate(prompt="a secret cat", n=4, response_format="b64_json")
    after = told()
    assert pictures(after) == before + 4
    assert "secret" not in after


def test_a_server_that_runs_is_ready_for_anybody_who_asks(running: Running) -> None:
    for path in ("healthz", "readyz", "health"):
        assert httpx.get(running.address + path).json() == {"status": "ok"}


def test_mjpeg_is_a_row_of_jpegs(running: Running) -> None:
    address = f"{running.address}api/stream.mjpeg?model=cats&frames=3&fps=50"
    with httpx.stream("GET", address, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        parts = answer.read().split(b"--frame\r\n")[1:]
    assert len(parts) == 3
    for part in parts:
        assert Image.open(io.BytesIO(part.partition(b"\r\n\r\n")[2])).size == (16, 16)


def test_other_models_are_named_in_the_query(running: Running) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{running.address}api/model?model=birds", headers=headers).json()["follows"] == ["text"]
    assert httpx.get(f"{running.address}api/model?model=dogs", headers=headers).status_code == 404


class Slow:
    """An engine that takes its time, and notes how many it was given at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.given = seconds, []

    def render(self, states: Any) -> np.ndarray:
        self.given.append(len(states))
        time.sleep(self.seconds)
        return np.zeros((len(states), 8, 8, 3), np.uint8)


def test_single_pictures_are_painted_together_up_to_a_limit_and_not_for_who_went_away() -> None:
    async def play() -> list[int]:
        engine = Slow(0.05)
        async with Pacer(engine, most_waiting=20) as pacer:
            first = asyncio.create_task(pacer.once(State()))
            await asyncio.sleep(0.02)  # it is being painted
            others = [asyncio.create_task(pacer.once(State(seed=seed))) for seed in range(20)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError):
                await pacer.once(State())
            for gone in others[10:]:
                gone.cancel()
            await asyncio.gather(first, *others, return_exceptions=True)
            assert all(len(one.result()) == 1 for one in others[:10])
        return engine.given

    assert asyncio.run(play()) == [1, 10]


def test_too_many_at_once_are_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(cats())
    real = engine.render
    monkeypatch.setattr(engine, "render", lambda states: (time.sleep(1.0), real(states))[1])
    server = Running(serving({"cats": engine}, Rules.for_binding("127.0.0.1"), most_waiting=2))
    try:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(
                httpx.post(f"{server.address}v1/images/generations", json={"prompt": "", "n": 2}, timeout=30)
            )

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for one in threads:
            one.start()
        began = time.monotonic()
        assert httpx.get(f"{server.address}healthz").status_code == 200
        assert time.monotonic() - began < 0.9  # while it paints
        for one in threads:
            one.join()
        busy = [one for one in answers if one.status_code == 429]
        assert busy
        assert {one.status_code for one in answers} == {200, 429}
        assert all(one.headers["retry-after"] == "1" for one in busy)
        assert busy[0].json()["error"]["type"] == "rate_limit_error"
    finally:
        server.stop()


def test_who_goes_away_is_not_painted_for() -> None:
    engine = Engine(cats())
    painted: list[int] = []
    real = engine.render
    engine.render = lambda states: (painted.append(len(states)), time.sleep(0.4), real(states))[2]  # type: ignore[method-assign]
    server = Running(serving({"cats": engine}, Rules.for_binding("127.0.0.1")))
    try:
        busy = threading.Thread(target=httpx.post, args=(f"{server.address}api/frame",), kwargs={"json": {}})
        busy.start()
        time.sleep(0.1)
        body = b'{"prompt": "", "n": 5}'
        with socket.create_connection(("127.0.0.1", server.listening.getsockname()[1])) as going:
            head = f"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
            going.sendall(head.encode() + body)
            time.sleep(0.1)
        busy.join()
        time.sleep(0.6)
        assert painted == [1]
    finally:
        server.stop()


def test_bundles_of_one_name_are_told_apart(tmp_path: Any) -> None:
    from allaprima.bundle.untrained import save

    for place in ("a", "b"):
        save(cats(), tmp_path / place / "cats")
    assert list(open_all([tmp_path / "a" / "cats", tmp_path / "b" / "cats"])) == ["cats", "cats-2"]


def test_a_crowd_is_refused_at_the_door_in_either_ones_own_words() -> None:
    release = asyncio.Event()
    refused = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def play() -> None:
        gate = Gate(slow, 2, lambda: refused.append(1))

        async def ask(path: str) -> tuple[int, dict[bytes, bytes], Any]:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            await gate({"type": "http", "path": path}, None, send)  # type: ignore[arg-type]  # nothing is read of it
            return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"] or "{}")

        inside = [asyncio.create_task(ask("/api/frame")) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers, body = await ask("/api/frame")
        assert (status, headers[b"retry-after"], set(body)) == (429, b"1", {"problem", "remedy"})
        assert (await ask("/v1/images/generations"))[2]["error"]["type"] == "rate_limit_error"
        other = asyncio.create_task(ask("/healthz"))
        await asyncio.sleep(0)
        assert not other.done()  # let in
        release.set()
        assert [(await task)[0] for task in (*inside, other)] == [200] * 3
        assert (await ask("/api/frame"))[0] == 200
        assert len(refused) == 2

    asyncio.run(play())
