"""Every form that a generator can be exported to paints what the generator paints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from allaprima.bundle.untrained import save, untrained
from allaprima.compress.export import FARTHEST, MEAN, PROVEN_ON, describe, export, prove, web_runtime
from allaprima.compress.exports import ABOUT_FILE, EXPORTS
from allaprima.core.errors import UserError

SMALL = {"name": "residual", "width": 8, "max_width": 16, "head_width": 4}
FORMS = [
    name for name in EXPORTS.names() if name != "web"
]  # which needs a package of its own: tests/end_to_end/test_web.py


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "cats"
    save(untrained(16, classes=["cat", "fish"], latent_dim=8, generator=SMALL), folder)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_proven_and_described(form: str, run: Path, tmp_path: Path) -> None:
    proof = export(run, form, tmp_path / "out")
    assert proof.farthest <= FARTHEST
    assert proof.mean <= MEAN
    about = json.loads((tmp_path / "out" / ABOUT_FILE).read_text())
    assert about["spatial"] == [16, 16]
    assert [wish["name"] for wish in about["wishes"]] == ["cat", "fish"]
    assert all(len(wish["asked"]) == about["condition_dim"] for wish in about["wishes"])
    assert about["proof"]["latents"] == PROVEN_ON
    assert (tmp_path / "out" / "README.md").is_file()
    assert EXPORTS.get(form).SUMMARY
    with pytest.raises(UserError, match="exists already"):
        export(run, form, tmp_path / "out")


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_the_program_in_its_readme_runs_as_it_stands(form: str, run: Path, tmp_path: Path) -> None:
    export(run, form, tmp_path / "out")
    found = re.search(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text("utf-8"), re.DOTALL)
    assert found
    subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path / "out", check=True, timeout=120)
    assert (tmp_path / "out" / "picture.png").is_file()


@pytest.mark.parametrize("prior", ["gmm", "flow", "standard"])
@pytest.mark.parametrize("classes", [[], ["cat", "fish"]], ids=["no classes", "classes"])
def test_a_prior_goes_along(prior: str, classes: list[str], tmp_path: Path) -> None:
    bundle = untrained(
        16,
        classes=classes,
        latent_dim=6,
        generator=SMALL,
        encoder={"name": "residual", "width": 8, "max_width": 16},
        prior={"name": prior},
    )
    for buffer in bundle.prior.buffers():  # type: ignore[union-attr]  # there is one
        if buffer.is_floating_point() and buffer.dim() == 2:
            buffer += 0.1  # not the identity any more
    save(bundle, tmp_path / "vae")
    assert export(tmp_path / "vae", "onnx", tmp_path / "out").farthest <= FARTHEST


def test_pictures_that_are_not_the_same_do_not_count(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = EXPORTS.get("huggingface")
    real = form.write

    def wrong(*given: object) -> object:
        paint = real(*given)
        return lambda z, y: np.clip(paint(z, y).astype(int) + 5, 0, 255).astype(np.uint8)

    monkeypatch.setattr(form, "write", wrong)
    with pytest.raises(UserError, match="off by up to 5/255"):
        export(run, "huggingface", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_size_is_no_proof() -> None:
    bundle = untrained(16, generator=SMALL)
    assert prove(lambda z, y: np.zeros((len(z), 8, 8, 3), np.uint8), bundle).farthest == 255


def test_texts_are_for_generators_that_follow_them(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not follow texts"):
        export(run, "onnx", tmp_path / "out", texts=["a bird"])


def test_a_text_is_a_wish_among_nothing_at_all() -> None:
    from allaprima.compress.export import Wanted
    from allaprima.models.conditions import CONDITIONS

    condition = CONDITIONS.get("text").Config().fitted(["a red bird", "a blue bird", "a red fish", "a blue fish"])
    bundle = untrained(16, generator=SMALL, condition=condition)
    about = describe(bundle, Wanted("birds", ["a red bird"], web_runtime(None, False)))
    assert [wish["name"] for wish in about["wishes"]] == ["", "a red bird"]
    assert about["wishes"][0]["asked"] != about["wishes"][1]["asked"]


def test_without_the_runtime_the_page_says_where_it_is_to_be_had(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as refused:
        export(run, "web", tmp_path / "out")
    assert "onnxruntime-web" in refused.value.problem
    assert "npm" in refused.value.remedy
    assert not (tmp_path / "out").exists()
