"""What goes over the WebSocket: small JSON messages, and frames as a fixed header with image bytes behind it.

Client → server, text:  {"type": "state", "sequence": 7, "state": {…}}   paint this; forget what still waits
                        {"type": "shown", "sequence": 7}                 frame 7 is on the screen
Server → client, text:  {"type": "hello", "protocol": 1, …}              once, first
                        {"type": "controls", "values": {…}}              what came in by OSC: address → newest value
                        {"type": "problem", "sequence": 7, …}            a wrong message or state
Server → client, bytes: header (little-endian, 12 bytes) + image
    uint8 protocol · uint8 kind (1 JPEG, 2 WebP, 3 PNG) · uint16 clients in the batch · uint32 sequence · float32 ms

One frame is on its way until it is ``shown``. Messages are frozen; unknown keys are refused.
"""

from __future__ import annotations

import struct
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.runtime.encoding import Kind
from allaprima.runtime.pacing import Frame
from allaprima.runtime.session import State

PROTOCOL = 1
HEADER = struct.Struct("<BBHIf")
LARGEST_MESSAGE = 16 * 1024  # bytes; a state is under 2 kB

Sequence = Annotated[int, Field(ge=0, lt=2**32)]


class Message(Config):
    """Base of all text messages."""

    model_config = ConfigDict(strict=True)


class Show(Message):
    """Paint this state. ``sequence`` is the client's own number; the frame carries it back."""

    type: Literal["state"] = "state"
    sequence: Sequence
    state: State


class Shown(Message):
    """The frame ``sequence`` is on the screen."""

    type: Literal["shown"] = "shown"
    sequence: Sequence


class Hello(Message):
    """The server's first message."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    engine: str


class Moved(Message):
    """What another program asked for by OSC."""

    type: Literal["controls"] = "controls"
    values: dict[str, float | int | str]


class Problem(Message):
    """Something could not be done; nothing else changed. ``sequence`` names the state, if it was about one."""

    type: Literal["problem"] = "problem"
    sequence: Sequence | None = None
    problem: str
    remedy: str


_INCOMING: TypeAdapter[Show | Shown] = TypeAdapter(Annotated[Show | Shown, Field(discriminator="type")])


def parse(text: str | bytes) -> Show | Shown:
    """A client's message. Raises UserError, in plain words, for anything that is not one."""
    try:
        return _INCOMING.validate_json(text)
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> UserError:
    """A failed check as problem and remedy; of the input only the keys' names are repeated, shortened."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])[:120]
    problem = f"'{where}': {first['msg']}" if where else first["msg"]
    return UserError(problem, "see the message formats in allaprima/server/protocol.py")


def pack(frame: Frame) -> bytes:
    """A frame as one binary message."""
    header = HEADER.pack(PROTOCOL, frame.kind, min(frame.together, 2**16 - 1), frame.sequence, frame.render_ms)
    return header + frame.data


def unpack(data: bytes) -> Frame:
    """The frame of a binary message. Raises UserError when it is too short or of another protocol."""
    if len(data) < HEADER.size or data[0] != PROTOCOL:
        raise UserError("This is not a frame of this protocol", "use a client of the same version as the server")
    _, kind, together, sequence, render_ms = HEADER.unpack_from(data)
    try:
        return Frame(sequence, Kind(kind), data[HEADER.size :], render_ms, together)
    except ValueError:
        raise UserError(f"Unknown image kind {kind}", "use a client of the same version as the server") from None
