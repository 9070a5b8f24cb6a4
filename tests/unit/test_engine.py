"""Engines: right, and the same frame for the same state whoever else is being painted."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.runtime import encoding
from allaprima.runtime.encoding import Kind, encode_jpeg, encode_live, encode_png
from allaprima.runtime.engine import TOLERANCE, Engine, painted_by
from allaprima.runtime.engines import ENGINES
from allaprima.runtime.session import Point, State

SMALL = {"name": "residual", "width": 16, "max_width": 32, "head_width": 8}
DCGAN = {"name": "dcgan", "width": 8, "max_width": 32}


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino", "int8"])
@pytest.mark.parametrize("generator", [SMALL, DCGAN], ids=["residual", "dcgan"])
def test_an_engine_paints_what_the_reference_paints(name: str, generator: dict) -> None:
    bundle = untrained(32, generator=generator)
    engine = Engine(bundle, name)
    assert engine.difference <= TOLERANCE
    wanted = np.concatenate([bundle.sample(1, seed=seed, as_="array") for seed in range(4)]).astype(float)
    painted = engine.render([State(seed=seed) for seed in range(4)])
    assert painted.dtype == np.uint8
    assert np.abs(painted - wanted).mean() <= 255 * TOLERANCE


@pytest.mark.parametrize("generator", [SMALL, DCGAN], ids=["residual", "dcgan"])
def test_a_frame_is_a_function_of_its_state_alone(generator: dict) -> None:
    bundle = untrained(32, classes=["cat", "fish"], generator=generator)
    engine, other = Engine(bundle), Engine(bundle)
    states = [State(seed=seed, x=seed / 20, label="cat") for seed in range(13)]
    states[5] = State(a=Point(seed=3), b=Point(seed=4), mix=0.3)
    alone = [engine.render([state])[0] for state in states]
    together = engine.render(states)
    for i in range(len(states)):
        assert encode_live(together[i]) == encode_live(alone[i])
    for count in (2, 3, 7):
        np.testing.assert_array_equal(other.render(states[:count]), together[:count])


def test_no_state_gives_no_frame() -> None:
    assert Engine(untrained(16, generator=SMALL)).render([]).shape == (0, 16, 16, 3)


def test_an_engine_that_paints_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = untrained(16, generator=SMALL)

    class Wrong:
        name = "wrong"

        def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
            return bundle.domain.to_array(bundle.generator(z, y) + 0.1)

    class Right(Wrong):
        name = "right"

        def __call__(self, z: torch.Tensor, y: torch.Tensor) -> np.ndarray:
            return bundle.domain.to_array(bundle.generator(z, y))

    def engines(*painters: object) -> SimpleNamespace:
        def offered(_: object) -> Iterator[object]:
            yield from painters

        return SimpleNamespace(painters=offered)

    monkeypatch.setattr(type(ENGINES), "get", lambda *_: engines(Wrong(), Right()))
    assert Engine(bundle).painter.name == "right"
    monkeypatch.setattr(type(ENGINES), "get", lambda *_: engines(Wrong()))
    with pytest.raises(UserError, match="wrongly"):
        Engine(bundle)


def test_an_unknown_engine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError) as refused:
        Engine(untrained(16, generator=SMALL), "tortch")
    assert "torch" in refused.value.remedy


@pytest.mark.parametrize(
    ("channels", "kind", "mode"), [(1, Kind.JPEG, "L"), (3, Kind.JPEG, "RGB"), (4, Kind.PNG, "RGBA")]
)
def test_a_live_frame_is_a_picture_of_its_kind(channels: int, kind: Kind, mode: str) -> None:
    frame = untrained(32, channels=channels, generator=SMALL).sample(1, as_="array")[0]
    made, data = encode_live(frame)
    read = Image.open(io.BytesIO(data))
    assert made is kind
    assert (read.format, read.mode, read.size) == (kind.name, mode, (32, 32))
    assert np.abs(np.asarray(read).reshape(frame.shape).astype(int) - frame).mean() < 6


def test_large_transparent_frames_are_webp() -> None:
    kind, data = encode_live(np.zeros((200, 200, 4), np.uint8))
    assert kind is Kind.WEBP
    assert Image.open(io.BytesIO(data)).format == "WEBP"


def test_a_kept_picture_is_lossless() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(frame)))), frame)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_simplejpeg_pillow_does_it(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    monkeypatch.setattr(encoding, "_simplejpeg", lambda: None)
    frame = np.full((16, 16, channels), 128, np.uint8)
    assert Image.open(io.BytesIO(encode_jpeg(frame))).format == "JPEG"


def test_nothing_that_serves_loads_what_trains() -> None:
    program = (
        "import sys, allaprima.server.app, allaprima.runtime.engine;"
        "print([m for m in sys.modules if m.startswith(('allaprima.training','allaprima.methods','allaprima.data'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_bundle_that_an_engine_paints_is_measured_as_one() -> None:
    bundle = untrained(16, classes=["cat", "fish"], generator={"name": "conv", "width": 8, "max_width": 16})
    painted = painted_by(bundle, "torch")
    mine, theirs = painted.sample(5, seed=3, as_="array"), bundle.sample(5, seed=3, as_="array")
    assert np.abs(mine.astype(int) - theirs).mean() <= 255 * TOLERANCE
    assert painted.sample(0, as_="array").shape == (0, 16, 16, 3)
    assert painted.classes == bundle.classes
    with pytest.raises(UserError):
        painted_by(bundle, "no such engine")


def test_a_signal_after_openvino_has_gone_is_a_signal() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    code = """
import gc, os, signal, torch
from allaprima.bundle.untrained import untrained
from allaprima.runtime.engines import ENGINES
bundle = untrained(16, latent_dim=8, generator={"name": "conv", "width": 8, "max_width": 16})
painters = list(ENGINES.get("openvino").painters(bundle))
for painter in painters:
    painter(bundle.latents(1), torch.zeros(1, 0))
del painter, painters
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
