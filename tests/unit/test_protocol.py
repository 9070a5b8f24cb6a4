"""Messages: what goes in comes out, and everything else is refused in plain words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from allaprima.core.errors import UserError
from allaprima.runtime.encoding import Kind
from allaprima.runtime.pacing import Frame
from allaprima.runtime.session import State
from allaprima.server.protocol import HEADER, Problem, Show, Shown, pack, parse, unpack

numbers = st.integers(0, 2**32 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(numbers, st.sampled_from(Kind), st.binary(max_size=300), st.floats(0, 1e6, width=32), st.integers(1, 1000))
def test_a_frame_survives_the_wire(sequence: int, kind: Kind, data: bytes, render_ms: float, together: int) -> None:
    frame = Frame(sequence, kind, data, render_ms, together)
    assert unpack(pack(frame)) == frame


@given(st.binary(max_size=40))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    for wrong in (data[: HEADER.size - 1], b"\x02" + data.ljust(HEADER.size), b"\x01\x09" + data.ljust(HEADER.size)):
        with pytest.raises(UserError):
            unpack(wrong)


@given(numbers, st.integers(0, 2**53 - 1), st.floats(-1, 1))
def test_messages_survive_the_wire(sequence: int, seed: int, x: float) -> None:
    for message in (Show(sequence=sequence, state=State(seed=seed, x=x)), Shown(sequence=sequence)):
        assert parse(message.model_dump_json()) == message


@given(json_values)
@example({"type": "state"})
@example({"type": "state", "sequence": 1, "state": {"seed": float("nan")}})
@example({"type": "shown", "sequence": -1})
@example({"type": "shown", "sequence": 1, "more": 1})
@example({"type": ["state"]})
def test_any_other_json_is_refused_without_a_crash(value: Any) -> None:
    with pytest.raises(UserError):
        parse(json.dumps(value))


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_what_is_not_json_is_refused_without_a_crash(text: str | bytes) -> None:
    with pytest.raises(UserError):
        parse(text)


def test_a_refusal_names_the_place_but_does_not_repeat_the_input() -> None:
    text = json.dumps({"type": "state", "sequence": 1, "state": {"x": "<script>" * 50, "k" * 5000: 1}})
    with pytest.raises(UserError) as refused:
        parse(text)
    reply = Problem(problem=refused.value.problem, remedy=refused.value.remedy).model_dump_json()
    assert "state.x" in reply
    assert "script" not in reply
    assert len(reply) < 600
