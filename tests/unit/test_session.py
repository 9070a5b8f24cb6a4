"""States: strict, portable, and each of them exactly one place in latent space."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.mixing import slerp
from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.runtime.session import SEEDS, Point, Session, State, condition, latent

BUNDLE = untrained(16, classes=["cat", "fish"], latent_dim=16, generator={"name": "conv", "width": 8, "max_width": 16})

coordinates = st.floats(-1, 1)
points = st.builds(
    Point,
    seed=st.integers(0, SEEDS - 1),
    x=coordinates,
    y=coordinates,
    truncation=st.floats(0, 2),
    label=st.sampled_from([None, "cat", "fish"]),
)
states = st.builds(
    State,
    seed=st.integers(0, SEEDS - 1),
    x=coordinates,
    y=coordinates,
    truncation=st.floats(0, 2),
    label=st.sampled_from([None, "cat", "fish"]),
    a=points,
    b=points,
    mix=st.none() | st.floats(0, 1),
)


@given(states)
def test_a_state_survives_json_exactly_and_gives_the_same_latent(state: State) -> None:
    again = State.model_validate_json(state.model_dump_json())
    assert again == state
    assert torch.equal(latent(again, BUNDLE), latent(state, BUNDLE))
    assert torch.equal(condition(again, BUNDLE), condition(state, BUNDLE))
    assert latent(state, BUNDLE).isfinite().all()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"seed": 2**53},
        {"seed": 1.5},
        {"seed": "1"},
        {"seed": True},
        {"x": 1.01},
        {"x": math.nan},
        {"y": math.inf},
        {"x": "0"},
        {"truncation": -0.1},
        {"truncation": 2.1},
        {"label": 3},
        {"label": "x" * 201},
        {"format": 2},
        {"mix": 0.5},
        {"mix": 0.5, "a": {"seed": 1}},
        {"a": {"seed": 1, "mix": 0.5}},
        {"colour": 1},
    ],
    ids=str,
)
def test_what_is_not_a_state_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        State.model_validate_json(json.dumps(change))
    with pytest.raises(ValidationError):
        State.model_validate(change)


def test_the_centre_of_the_pad_is_the_first_picture_of_the_seed() -> None:
    for seed in (0, 1, 12345):
        torch.testing.assert_close(latent(State(seed=seed), BUNDLE), BUNDLE.latents(1, seed)[0])


@given(coordinates, coordinates, st.integers(0, 5))
def test_every_place_of_the_pad_is_as_typical_as_its_seed(x: float, y: float, seed: int) -> None:
    norm = latent(State(seed=seed), BUNDLE).norm()
    torch.testing.assert_close(latent(State(seed=seed, x=x, y=y), BUNDLE).norm(), norm, atol=1e-4, rtol=0)


def test_equal_movements_of_the_hand_are_equal_movements_of_the_latent() -> None:
    def step(x: float, y: float, dx: float, dy: float) -> float:
        start, end = latent(State(seed=3, x=x, y=y), BUNDLE), latent(State(seed=3, x=x + dx, y=y + dy), BUNDLE)
        return float((end - start).norm())

    lengths = [
        step(x, y, *move)
        for x in (-0.9, 0.0, 0.5)
        for y in (-0.5, 0.0, 0.8)
        for move in ((0.01, 0), (0, 0.01), (-0.01, 0))
    ]
    assert max(lengths) == pytest.approx(min(lengths), rel=1e-3)
    assert step(0, 0, 0.00707, 0.00707) == pytest.approx(lengths[0], rel=1e-2)


def test_the_pads_left_edge_is_its_right_edge() -> None:
    torch.testing.assert_close(latent(State(x=-1, y=0.3), BUNDLE), latent(State(x=1, y=0.3), BUNDLE))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_small_latent_spaces_have_a_pad_too(dim: int) -> None:
    bundle = untrained(16, latent_dim=dim, generator={"name": "conv", "width": 8, "max_width": 16})
    assert torch.equal(latent(State(seed=4), bundle), bundle.latents(1, 4)[0])
    moved = latent(State(seed=4, x=0.5), bundle) - latent(State(seed=4), bundle)
    assert moved[0] == pytest.approx(1.0)


def test_truncation_scales_the_latent() -> None:
    full, half = State(seed=2, x=0.4), State(seed=2, x=0.4, truncation=0.5)
    torch.testing.assert_close(latent(half, BUNDLE), latent(full, BUNDLE) / 2)


def test_a_mix_lies_between_its_pins_and_begins_and_ends_at_them() -> None:
    a, b = Point(seed=1, x=0.3, label="cat"), Point(seed=2, truncation=0.7, label="fish")

    def at(t: float) -> State:
        return State(seed=9, a=a, b=b, mix=t)

    alone = [State(**a.model_dump()), State(**b.model_dump())]
    for t, end in zip((0.0, 1.0), alone, strict=True):
        torch.testing.assert_close(latent(at(t), BUNDLE), latent(end, BUNDLE), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(condition(at(t), BUNDLE), condition(end, BUNDLE))
    z = [latent(end, BUNDLE) for end in alone]
    torch.testing.assert_close(latent(at(0.25), BUNDLE), slerp(z[0], z[1], 0.25))


def test_pins_that_are_not_mixed_do_not_change_the_picture() -> None:
    plain, pinned = State(seed=5), State(seed=5, a=Point(seed=1), b=Point(seed=2))
    assert torch.equal(latent(plain, BUNDLE), latent(pinned, BUNDLE))


def test_an_unknown_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError) as refused:
        condition(State(label="fosh"), BUNDLE)
    assert "fish" in refused.value.remedy


def test_without_a_label_the_studio_shows_what_sampling_shows() -> None:
    for seed in range(8):
        wanted = BUNDLE.condition(BUNDLE.asked(1, seed))[0]
        assert torch.equal(condition(State(seed=seed), BUNDLE), wanted)


def test_the_newest_state_wins() -> None:
    session = Session()
    for i in range(5):
        session.offer(i, State(seed=i))
    assert session.version == 5
    assert session.take() == (4, State(seed=4))
    assert not session.ready


def test_the_next_frame_waits_for_the_acknowledgement_of_the_last() -> None:
    session = Session()
    session.offer(1, State(seed=1))
    session.take()
    session.offer(2, State(seed=2))
    session.offer(3, State(seed=3))
    assert not session.ready
    assert not session.acknowledge(2)
    assert not session.ready
    assert session.acknowledge(1)
    assert session.take() == (3, State(seed=3))


def test_bundles_do_not_share_latents_by_mistake() -> None:
    other: Bundle = untrained(16, latent_dim=32, generator={"name": "conv", "width": 8, "max_width": 16})
    assert latent(State(seed=1, x=0.2), other).shape == (32,)
    assert latent(State(seed=1, x=0.2), BUNDLE).shape == (16,)


def test_directions_move_the_noise_and_nothing_else() -> None:
    from allaprima.explain.directions import principal
    from allaprima.runtime.session import FARTHEST, noise

    bundle = untrained(16, latent_dim=12, generator={"name": "residual", "width": 8, "max_width": 16})
    still, moved = noise(State(seed=3), bundle), noise(State(seed=3, directions=(0.0, 0.5)), bundle)
    torch.testing.assert_close(moved - still, FARTHEST * 0.5 * principal(bundle)[1])
    assert torch.equal(noise(State(seed=3, directions=(0.0,)), bundle), still)
    read = State.model_validate({"seed": 3, "directions": [0, 0.5]})  # as JSON has it
    assert torch.equal(noise(read, bundle), moved)
    mixed = State(a=Point(seed=3, directions=(0.0, 0.5)), b=Point(seed=3, directions=(0.0, 0.5)), mix=0.5)
    torch.testing.assert_close(noise(mixed, bundle), moved, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValidationError):
        State(directions=(0.0,) * 9)
    with pytest.raises(ValidationError):
        State(directions=(1.5,))
