"""OSC, from python-osc's own client to the page's socket: what arrives, what is refused, what never queues."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.runtime.session import Point
from allaprima.server.app import create
from allaprima.server.controls import ADDRESSES, MOST_ADDRESSES, Controls, bind, checked
from allaprima.server.guard import Rules

udp_client = pytest.importorskip("pythonosc.udp_client", reason="python-osc is not installed")
builder = pytest.importorskip("pythonosc.osc_bundle_builder")
message_builder = pytest.importorskip("pythonosc.osc_message_builder")


@pytest.fixture
def page() -> Iterator[tuple[Any, Any]]:
    """An OSC client, and a page's WebSocket after its hello."""
    listening = bind(0)
    bundle = untrained(16, generator={"name": "conv", "width": 8, "max_width": 16}, latent_dim=16)
    app = create(bundle, "cats", Rules.for_binding("127.0.0.1"), osc=listening)
    with (
        TestClient(app, base_url="http://127.0.0.1") as client,
        client.websocket_connect("ws://127.0.0.1/ws") as opened,
    ):
        assert opened.receive_json()["type"] == "hello"
        port = listening.getsockname()[1]
        assert client.get("/api/controls").json()["port"] == port
        with udp_client.SimpleUDPClient("127.0.0.1", port) as osc:
            yield osc, opened


def test_numbers_and_texts_arrive(page: tuple[Any, Any]) -> None:
    osc, opened = page
    osc.send_message("/x", 0.5)
    assert opened.receive_json() == {"type": "controls", "values": {"/x": 0.5}}
    osc.send_message("/seed", 7)
    assert opened.receive_json()["values"] == {"/seed": 7}
    osc.send_message("/text", "a red bird")
    assert opened.receive_json()["values"] == {"/text": "a red bird"}
    osc.send_message("/my/own/fader", 0.25)  # to be learned
    assert opened.receive_json()["values"] == {"/my/own/fader": 0.25}


def test_a_bundle_arrives_whole(page: tuple[Any, Any]) -> None:
    osc, opened = page
    bundle = builder.OscBundleBuilder(builder.IMMEDIATELY)
    for address, value in (("/x", -1.0), ("/y", 1.0)):
        message = message_builder.OscMessageBuilder(address=address)
        message.add_arg(value)
        bundle.add_content(message.build())
    osc.send(bundle.build())
    assert opened.receive_json()["values"] == {"/x": -1.0, "/y": 1.0}


def test_what_cannot_be_meant_is_refused_and_shown(page: tuple[Any, Any]) -> None:
    osc, opened = page
    for address, value in (
        ("/x", 2.0),
        ("/x", "left"),
        ("/seed", 1.5),
        ("/seed", -1),
        ("/text", 3),
        ("/x", [0.1, 0.2]),
    ):
        osc.send_message(address, value)
        told = opened.receive_json()
        assert told["type"] == "problem", told
        assert address in told["problem"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for rubbish in (b"", b"/x", b"/x\0\0\0,f\0\0", b"#bundle\0" + bytes(9), bytes(range(256)) * 8):
            other.sendto(rubbish, (osc._address, osc._port))
    osc.send_message("/x", 0.125)
    deadline = time.monotonic() + 10
    while (told := opened.receive_json()).get("values") != {"/x": 0.125}:
        assert time.monotonic() < deadline
        assert told["type"] == "problem"


def test_a_page_that_is_not_read_keeps_the_newest_alone() -> None:
    async def play() -> None:
        controls = Controls()
        slow = controls.join()
        for i in range(10_000):
            controls.receive("/x", [i / 10_000])
        for i in range(1000):
            controls.receive(f"/fader/{i}", [0.5])
        values, problem = await slow.next()
        assert values["/x"] == 0.9999
        assert len(values) == MOST_ADDRESSES
        assert problem is None
        controls.leave(slow)
        controls.receive("/x", [0.1])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await slow.next()

    asyncio.run(play())


def test_every_address_moves_something_that_a_state_has() -> None:
    fields = {*Point.model_fields, "mix"}
    for one in ADDRESSES:
        name = one.address.split("/")[1]
        assert (name if name != "direction" else "directions") in fields
        low: Any = "x" if one.type == "text" else one.low
        assert checked(one.address, [low]) == low


@pytest.mark.parametrize("values", [[], [None], [True], [float("nan")], [float("inf")], [b"x"], [1, 2]])
def test_wrong_values(values: list[Any]) -> None:
    for address in ("/x", "/seed", "/text", "/anything"):
        with pytest.raises(UserError):
            checked(address, values)
    for address in ("", "x", "/" + "x" * 300, "/\n"):
        with pytest.raises(UserError, match="address"):
            checked(address, [0.5])


def test_a_port_that_is_taken_is_said() -> None:
    with bind(0) as first, pytest.raises(UserError, match="cannot be listened on"):
        bind(first.getsockname()[1])
