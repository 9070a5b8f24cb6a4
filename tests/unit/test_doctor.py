"""The doctor: every engine measured, the quickest right one remembered, and taken from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from allaprima.bundle.untrained import save, untrained
from allaprima.core import cache
from allaprima.core.device import has_fast_bf16
from allaprima.core.errors import UserError
from allaprima.runtime import checkup, doctor, memory
from allaprima.runtime.doctor import Finding, best, examine
from allaprima.runtime.engine import Engine
from allaprima.runtime.engines import ENGINES, _converted
from allaprima.runtime.memory import Choice

SMALL = {"name": "residual", "width": 8, "max_width": 16, "head_width": 4}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save(untrained(16, generator=SMALL), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines that open at once."""
    monkeypatch.setattr(ENGINES, "names", lambda: ["cuda", "torch"])
    monkeypatch.setattr(doctor, "ROUNDS", 2)


def test_every_engine_is_measured_or_says_what_it_lacks(quick: None, run: Path) -> None:
    said: list[str] = []
    findings = examine(untrained(16, generator=SMALL), said.append)
    assert [one.engine for one in findings] in (
        ["torch", "cuda"],
        ["torch", "torch", "cuda"],
    )  # bf16 too, where it is native
    *_, torch_found, cuda = findings
    assert torch_found.right
    assert 0 < torch_found.p50_ms <= torch_found.p99_ms
    assert torch_found.together_ms > 0
    assert not cuda.right
    assert "NVIDIA" in cuda.problem
    assert said == ["opening cuda", "opening torch", "measuring"]


def test_an_engine_that_breaks_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, real = untrained(16, generator=SMALL), ENGINES.get("torch")

    def broken(_: object) -> Iterator[object]:
        raise RuntimeError("no such driver\nand a long story")
        yield

    monkeypatch.setattr(ENGINES, "names", lambda: ["broken", "torch"])
    monkeypatch.setattr(
        type(ENGINES), "get", lambda _, name: SimpleNamespace(painters=broken) if name == "broken" else real
    )
    monkeypatch.setattr(doctor, "ROUNDS", 1)
    findings = {one.engine: one for one in examine(bundle)}
    assert findings["broken"].problem == "RuntimeError: no such driver"
    assert findings["torch"].right


def test_the_quickest_right_one_is_chosen_and_pytorch_unless_another_is_worth_its_opening() -> None:
    plain = Finding("torch", "torch fp32", p50_ms=10, difference=0)
    wrong = Finding("wild", "wild", p50_ms=1, difference=0.1)
    slow = Finding("slow", "slow", p50_ms=9.8, difference=0)
    quick = Finding("quick", "quick", p50_ms=5, difference=0.001)
    absent = Finding("absent", problem="not installed")
    assert best([plain, wrong, slow, quick, absent]) == Choice(engine="quick", painter="quick", frame_ms=5)
    assert best([plain, wrong, slow, absent]) == Choice(engine="torch", painter="torch fp32", frame_ms=10)
    assert best([wrong, absent]) is None


def test_what_was_measured_holds_for_bundles_of_the_same_form_alone() -> None:
    choice = Choice(engine="openvino", painter="openvino fp32", frame_ms=1.0)
    memory.remember(untrained(16, generator=SMALL), choice)
    assert memory.recall(untrained(16, generator=SMALL, seed=5)) == choice
    assert memory.recall(untrained(32, generator=SMALL)) is None
    assert memory.recall(untrained(16, generator=SMALL, classes=["a", "b"])) is None


def test_an_engine_takes_what_was_remembered(own_cache: Path) -> None:
    bundle = untrained(16, generator=SMALL)
    usual = f"torch cpu {'bf16' if has_fast_bf16(torch.device('cpu')) else 'fp32'}"
    assert Engine(bundle).painter.name == usual
    memory.remember(bundle, Choice(engine="onnxruntime", painter="onnxruntime fp32", frame_ms=1.0))
    assert Engine(bundle).painter.name == "onnxruntime fp32"
    memory.remember(bundle, Choice(engine="gone", painter="gone", frame_ms=1.0))
    assert Engine(bundle).painter.name == usual
    for damaged in own_cache.rglob("*.json"):
        damaged.write_text("{")
    assert Engine(bundle).painter.name == usual


def test_a_converted_generator_is_made_once_for_each_set_of_weights(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, run: Path, tmp_path: Path
) -> None:
    from allaprima import load

    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"graph")

    for bundle in (load(run), load(run)):
        with _converted.converted(bundle, "kind", make) as path:
            assert path.read_bytes() == b"graph"
            assert path.is_relative_to(own_cache)
    assert len(made) == 1
    save(untrained(16, generator=SMALL, seed=3), tmp_path / "other")
    with _converted.converted(load(tmp_path / "other"), "kind", make):
        assert len(made) == 2
    with _converted.converted(untrained(16, generator=SMALL), "kind", make) as path:
        assert path.exists()
    assert not path.exists()
    monkeypatch.setattr(_converted, "KEPT", 1)
    save(untrained(16, generator=SMALL, seed=4), tmp_path / "third")
    with _converted.converted(load(tmp_path / "third"), "kind", make):
        pass
    assert len(list(cache.folder("engines").glob("*.onnx"))) <= 2


def test_a_conversion_that_fails_leaves_nothing_behind(own_cache: Path, run: Path) -> None:
    from allaprima import load

    def make(path: Path) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError), _converted.converted(load(run), "kind", make):
        pass
    assert not list(own_cache.rglob("*.onnx"))


def test_missing_packages_are_named_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allaprima.bundle.graph.PACKAGES", ("onnx_that_is_not_there",))
    with pytest.raises(UserError, match=r"allaprima\[engines\]"):
        list(ENGINES.get("onnxruntime").painters(untrained(16, generator=SMALL)))


@pytest.mark.usefixtures("quick")
def test_the_verdict_is_a_table_and_json_and_is_remembered(run: Path) -> None:
    from allaprima import load

    words = checkup.generator(run)
    assert "torch cpu fp32" in words
    assert "Remembered: torch cpu fp32" in words
    assert "NVIDIA" in words
    verdict = json.loads(checkup.generator(run, as_json=True))
    assert verdict["chosen"]["engine"] == "torch"
    assert memory.recall(load(run)) is not None


def test_the_machine_is_described_with_its_extras() -> None:
    facts = json.loads(checkup.machine(as_json=True))
    assert facts["torch"].startswith(torch.__version__.partition("+")[0])
    assert "engines" in facts["extras"]
    assert "dev" not in facts["extras"]
    words = checkup.machine()
    assert facts["processor"] in words
    assert "engines" in words


def test_folded_nets_are_the_same_function() -> None:
    from allaprima.runtime.engines._folding import folded

    for name in ("residual", "live", "dcgan"):
        bundle = untrained(32, generator={"name": name, "width": 8, "max_width": 16})
        for module in bundle.generator.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        z, y = bundle.latents(4), torch.zeros(4, bundle.description.condition_dim)
        with torch.no_grad():
            np.testing.assert_allclose(folded(bundle.generator)(z, y), bundle.generator(z, y), atol=1e-4)
