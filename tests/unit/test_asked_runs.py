"""Runs that follow several things at once: trained for a moment, measured, sampled, gone on with, begun from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.mixing import mixed
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation.evaluate import evaluate
from allaprima.training.command import as_changes, train

SMALL = ["training.ticks=1", "training.batch_size=16", "training.features=pixels"]


def trained(folder: Path, dataset: Path, method: str = "gan", condition: str = "text,class", **more: Any) -> Path:
    changes = as_changes(method, None, "96", 0, SMALL, condition)
    train(str(dataset), folder, "16", changes, lambda text: None, **more)
    return folder


@pytest.fixture(scope="module")
def runs(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("asked")
    return {method: trained(folder / method, tiny_dataset, method) for method in ("gan", "vae")}


@pytest.mark.parametrize("method", ["gan", "vae"])
def test_what_a_run_follows_can_be_asked_of_its_bundle_in_any_mixture(method: str, runs: dict[str, Path]) -> None:
    bundle = Bundle.load(runs[method])
    assert list(bundle.follows) == ["text", "label"]
    assert bundle.classes == ["blue", "green", "red"]
    nothing, said, both = (
        bundle.sample(3, as_="array", **asked)
        for asked in ({}, {"text": "a red square"}, {"text": "a red square", "label": "red"})
    )
    assert nothing.shape == said.shape == (3, 16, 16, 3)
    assert (said != nothing).any()
    assert (both != said).any()
    start, end = (bundle.embed(bundle.asked(2, text=text)) for text in ("a red square", "a blue square"))
    half = bundle.sample(2, as_="array", asked=mixed(start, end, 0.5))
    assert (half == bundle.sample(2, as_="array", asked=mixed(start, end, 0.5))).all()
    assert (bundle.sample(2, as_="array", asked=mixed(start, end, 0.0)) == said[:2]).all()
    # whoever asks together with others gets what he gets alone
    many = bundle.sample(40, as_="array", text=["a red square", "a blue square"] * 20)
    np.testing.assert_array_equal(many[:1], said[:1])
    with pytest.raises(UserError, match="does not follow a sound"):
        bundle.sample(1, sound="three.wav")


def test_a_vae_encodes_and_its_prior_depends_on_what_is_asked(runs: dict[str, Path]) -> None:
    vae = Bundle.load(runs["vae"])
    pictures = vae.sample(3)
    assert vae.encode(pictures, text="a red square").shape == (3, vae.description.latent_dim)
    assert len(vae.reconstruct(pictures, text="a red square", label="red")) == 3
    noise = vae.noise(1)
    red, blue = (vae.from_noise(noise, vae.asked(1, text=text)) for text in ("a red square", "a blue square"))
    assert not torch.equal(red, blue)


@pytest.mark.parametrize("method", ["gan", "vae"])
def test_it_is_measured_on_what_held_out_pictures_ask(
    method: str, runs: dict[str, Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(tiny_dataset)
    device = Device(torch.device("cpu"), "fp32")
    report = evaluate(
        runs[method], dataset, Bundle.load(runs[method]), device, 40, features="pixels", out=tmp_path / "report"
    )
    names = {figure.name for figure in report.figures}
    assert {"following accuracy", "kernel distance"} <= names
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "As asked" in page
    assert "From one text to another" in page
    assert "a red square" in page


def test_a_run_says_in_its_files_what_it_follows_and_goes_on_with_it(runs: dict[str, Path], tiny_dataset: Path) -> None:
    told = json.loads((runs["gan"] / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in told["condition"]["parts"]] == ["text", "label"]
    assert "Follows | text, label" in (runs["gan"] / "bundle" / "card.md").read_text(encoding="utf-8")
    assert "condition: text,label" in (runs["gan"] / "run.yaml").read_text(encoding="utf-8")
    changes = as_changes(None, None, "192", None, [])
    outcome = train(str(tiny_dataset), runs["gan"], "16", changes, lambda text: None)
    assert outcome.leads


def test_weights_are_taken_over_where_the_words_are_the_same(
    runs: dict[str, Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    changes = as_changes(None, None, "32", 0, SMALL, "text,class")
    train(str(tiny_dataset), tmp_path / "same", "16", changes, said.append, begin_from=runs["gan"])
    assert not any("afresh" in line for line in said)
    changes = as_changes(None, None, "32", 0, SMALL, "text")
    train(str(tiny_dataset), tmp_path / "other", "16", changes, said.append, begin_from=runs["gan"])
    assert any("begins afresh" in line for line in said)


def test_a_dataset_without_sounds_cannot_be_trained_on_them(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no sounds"):
        trained(tmp_path / "run", tiny_dataset, condition="sound")
    assert not (tmp_path / "run").exists()
