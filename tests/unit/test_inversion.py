"""A photo is found: by optimisation, with an encoder's help, under the right class; and over HTTP without keeping it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.explain.inversion import _Nets, _starts, distance, inverted, pyramid
from allaprima.runtime.engine import Engine
from allaprima.runtime.session import State, condition, latent, packed_noise
from allaprima.server.app import create
from allaprima.server.guard import Rules

SMALL = {"name": "conv", "width": 8, "max_width": 16}


def painted(bundle: Bundle, state: State) -> torch.Tensor:
    with torch.no_grad():
        made: torch.Tensor = bundle.generator(latent(state, bundle)[None], condition(state, bundle)[None])
    return made.clamp(-1, 1)


def test_its_own_picture_is_found_again() -> None:
    bundle = untrained(32, generator={"name": "residual", "width": 16, "max_width": 32}, latent_dim=16)
    picture = painted(bundle, State(seed=11))
    guesses = []
    for guess in inverted(bundle, picture, torch.zeros(1, 0), seconds=30):
        guesses.append(guess)
        if guess.off < 0.3 * guesses[0].off:
            break
    assert guesses[-1].off < 0.3 * guesses[0].off
    assert [one.off for one in guesses] == sorted((one.off for one in guesses), reverse=True)  # never worse again
    shown = painted(bundle, State(photo=packed_noise(guesses[-1].noise)))
    assert float((shown - picture).abs().mean()) / 2 == pytest.approx(guesses[-1].off, abs=0.01)


def test_the_class_that_paints_it_is_told() -> None:
    bundle = untrained(16, classes=["cat", "dog", "fish"], generator=SMALL, latent_dim=8)
    with torch.no_grad():  # random weights hardly look at the class: make them
        bundle.condition.weight.mul_(8)  # type: ignore[union-attr, operator]  # it is an Embedding
    ys = torch.stack([condition(State(label=label), bundle) for label in bundle.classes])
    *_, last = inverted(bundle, painted(bundle, State(seed=5, label="dog")), ys, seconds=2)
    assert bundle.classes[last.place] == "dog"


def test_what_the_encoder_says_is_among_the_starts() -> None:
    bundle = untrained(16, latent_dim=8, generator=SMALL, encoder=SMALL)
    assert bundle.encoder is not None
    picture = painted(bundle, State(seed=3))
    noise, places = _starts(_Nets(bundle), pyramid(picture), picture, torch.zeros(1, 0))
    with torch.no_grad():
        torch.testing.assert_close(noise[-1:], bundle.encoder(picture, torch.zeros(1, 0))[0])
    assert places.tolist() == [0] * len(noise)


def test_a_pyramid_loses_nothing_and_a_shifted_grey_is_far_on_the_coarse_level_alone() -> None:
    pictures = torch.rand(2, 3, 17, 24)
    levels = pyramid(pictures)
    whole = levels[-1]
    for level in reversed(levels[:-1]):
        whole = level + torch.nn.functional.interpolate(
            whole, size=level.shape[2:], mode="bilinear", align_corners=False
        )
    torch.testing.assert_close(whole, pictures)
    torch.testing.assert_close(distance(pyramid(pictures + 0.5), levels), torch.full((2,), 0.5))


@pytest.mark.parametrize(
    "wrong", ["", "???", "AAAA", packed_noise(torch.full((16,), torch.nan)), packed_noise(torch.ones(15))]
)
def test_another_generators_photo_is_refused(wrong: str) -> None:
    with pytest.raises(UserError, match="another generator"):
        latent(State(photo=wrong), untrained(16, generator=SMALL, latent_dim=16))


def as_file(kind: str, size: tuple[int, int] = (90, 70)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_over_http_guesses_come_as_lines_and_the_last_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bundle = untrained(16, classes=["cat", "dog"], generator=SMALL, latent_dim=16)
    app = create(bundle, "cats", Rules.for_binding("127.0.0.1"), Engine(bundle))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for kind in ("PNG", "JPEG", "WEBP"):
            answer = client.post("/api/photo?seconds=0.2", content=as_file(kind))
            lines = [json.loads(line) for line in answer.text.splitlines()]
            assert len(lines) >= 2
            assert lines[-1]["done"] == 1
            assert lines[-1]["label"] in bundle.classes
            state: dict[str, Any] = {"photo": lines[-1]["photo"], "label": lines[-1]["label"]}
            assert client.post("/api/frame", json=state).status_code == 200
        for wrong in (b"", b"no picture", as_file("PNG")[:200], as_file("BMP")):
            refused = client.post("/api/photo?seconds=0.2", content=wrong)
            assert refused.status_code == 400, refused.text
            assert "picture" in refused.json()["problem"]
        assert (
            client.post("/api/photo?seconds=0.2", content=as_file("PNG")).status_code == 200
        )  # nobody blocks for ever
        app.app.state.photos[object()] = 1e12  # type: ignore[attr-defined]  # what is behind the guard
        busy = client.post("/api/photo?seconds=0.2", content=as_file("PNG"))
        assert busy.status_code == 429
        assert busy.headers["retry-after"] == "1"
    assert list(tmp_path.iterdir()) == []
