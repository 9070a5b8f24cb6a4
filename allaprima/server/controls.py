"""Control from other programs by OSC (Wright and Freed 1997): what may be sent, and who hears of it.

Every page that is connected hears every control. Only the newest value of an address waits for a page: a fader that moves quicker
than a page is read fills no queue. What cannot be meant is refused, and the page says so.

Use: ``controls = Controls(); await loop.create_datagram_endpoint(lambda: Receiver(controls), sock=sock)``.
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any, Literal

from allaprima.core.config import Config
from allaprima.core.errors import UserError, suggest
from allaprima.explain.directions import NUM_DIRECTIONS
from allaprima.runtime.session import LONGEST_TEXT, SEEDS

LONGEST_ADDRESS = 200  # characters
MOST_ADDRESSES = 64  # that wait for one page
Value = float | int | str


class Address(Config):
    """What one address takes. ``low`` and ``high`` are a number's; ``longest`` a text's characters."""

    address: str
    type: Literal["float", "int", "text"]
    low: float | None = None
    high: float | None = None
    longest: int | None = None
    meaning: str


ADDRESSES = [
    Address(address="/x", type="float", low=-1, high=1, meaning="across the latent pad"),
    Address(address="/y", type="float", low=-1, high=1, meaning="down the latent pad"),
    Address(address="/seed", type="int", low=0, high=SEEDS - 1, meaning="which latent the pad's centre is"),
    Address(address="/truncation", type="float", low=0, high=2, meaning="calm below 1, wild above"),
    Address(address="/mix", type="float", low=0, high=1, meaning="between the pins A and B"),
    Address(address="/text", type="text", longest=LONGEST_TEXT, meaning="the wish in words; empty leaves it out"),
    Address(address="/other_text", type="text", longest=LONGEST_TEXT, meaning="the wish to go to"),
    Address(address="/text_share", type="float", low=0, high=1, meaning="how far on the way to it"),
    Address(address="/label", type="text", longest=200, meaning="a class; empty takes the seed's own"),
    *(
        Address(address=f"/direction/{i}", type="float", low=-1, high=1, meaning=f"along direction {i}")
        for i in range(1, NUM_DIRECTIONS + 1)
    ),
]
_BY_NAME = {one.address: one for one in ADDRESSES}


def checked(address: str, values: list[Any]) -> Value:
    """The value of a message, in the address' own type. Raises UserError for a wrong one.

    Addresses that are not in ``ADDRESSES`` may carry a number: a page can learn what it is to move.
    """
    if not 0 < len(address) <= LONGEST_ADDRESS or not address.startswith("/") or not address.isprintable():
        raise UserError("An OSC address begins with / and is short", "see /api/controls")
    if len(values) != 1:
        raise UserError(f"{address} takes one value, not {len(values)}", "send one value a message")
    value, known = values[0], _BY_NAME.get(address)
    if known is not None and known.type == "text":
        if not isinstance(value, str) or len(value) > (known.longest or 0):
            raise UserError(f"{address} takes a text of at most {known.longest} characters", "send a string")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        hint = suggest(address, _BY_NAME) if known is None else "send an int or a float"
        raise UserError(f"{address} takes a number", hint)
    if known is None:
        return float(value)
    if known.type == "int" and value != int(value):
        raise UserError(f"{address} takes a whole number", "send an int")
    low, high = known.low, known.high
    assert low is not None
    assert high is not None
    if not low <= value <= high:
        raise UserError(f"{address} takes {low:g} to {high:g}", "scale the value in the program that sends it")
    return int(value) if known.type == "int" else float(value)


class Listener:
    """One page's newest values."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._problem: UserError | None = None
        self._new = asyncio.Event()

    def tell(self, address: str, value: Value) -> None:
        if address in self._values or len(self._values) < MOST_ADDRESSES:
            self._values[address] = value
            self._new.set()

    def refuse(self, problem: UserError) -> None:
        self._problem = problem
        self._new.set()

    async def next(self) -> tuple[dict[str, Value], UserError | None]:
        """Wait for news: the values that changed, and the last refusal."""
        await self._new.wait()
        self._new.clear()
        news = self._values, self._problem
        self._values, self._problem = {}, None
        return news


class Controls:
    """Tells all listeners. All methods run in the event loop."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def join(self) -> Listener:
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def receive(self, address: str, values: list[Any]) -> None:
        """One OSC message."""
        try:
            value = checked(address, values)
        except UserError as error:
            for listener in self._listeners:
                listener.refuse(error)
            return
        for listener in self._listeners:
            listener.tell(address, value)


class Receiver(asyncio.DatagramProtocol):
    """OSC packets over UDP, bundles too, their time tags passed over: a hand that plays means now."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def datagram_received(self, data: bytes, addr: Any) -> None:
        from pythonosc.osc_packet import OscPacket, ParseError

        try:
            messages = [timed.message for timed in OscPacket(data).messages]
        except (ParseError, ValueError, IndexError, RecursionError):
            self._controls.receive("", [])
            return
        for message in messages:
            self._controls.receive(message.address, message.params)


def bind(port: int) -> socket.socket:
    """A UDP socket of this machine alone: OSC knows no passwords. Port 0 takes a free one.

    Raises UserError when the port is taken, or without the extra ``osc``.
    """
    try:
        import pythonosc  # noqa: F401 - asked for when the program starts, not when the first message comes
    except ImportError:
        raise UserError(
            "OSC needs the package python-osc, which is not installed", "pip install 'allaprima[osc]'"
        ) from None
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listening.setblocking(False)
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        listening.close()
        raise UserError(
            f"Port {port} cannot be listened on for OSC", "give --osc another number, or 0 for a free one"
        ) from None
    return listening
