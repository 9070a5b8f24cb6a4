"""Fine-tuning: a run begins from what another has learned, and needs that other one only to begin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.training import checkpoint, command, transfer
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from tests.conftest import write_tiny_dataset
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

QUICK = [*LOOP[1:], PIXELS]
VAE = ["method.encoder.width=8", "method.encoder.max_width=16", "method.decoder.width=8", "method.decoder.max_width=16"]


def train(dataset: Path, folder: Path, *changes: str, images: int = 64, **more: Any) -> list[str]:
    """What is said."""
    said: list[str] = []
    changes = (f"budget={{images: {images}}}", *QUICK, *changes)
    command.train(str(dataset), folder, "16", list(changes), said.append, **more)
    return said


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """A finished run. Do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "gan"
    train(tiny_dataset, folder, *TINY_GAN, "method.latent_dim=6", "method.condition_dim=5")
    return folder


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Path:
    """A finished run. Do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    train(tiny_dataset, folder, "method=vae", *VAE, "method.latent_dim=6")
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures of the same kind. Do not change them."""
    folder = tmp_path_factory.mktemp("datasets") / "others"
    write_tiny_dataset(folder, seed=5)
    return folder


def changed(dataset: Path, folder: Path, **fields: Any) -> Path:
    """A copy of the dataset with other fields in its manifest."""
    shutil.copytree(dataset, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest |= fields
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def begun(folder: Path) -> Learner:
    """The run's learner at its very beginning."""
    run = runs.open_run(folder)
    learner = Learner(run.config, run.dataset.domain.shape, run.condition, Device(torch.device("cpu"), "fp32"), 0)
    transfer.begin(learner, folder)
    return learner


def assert_equal_nets(net: torch.nn.Module, other: torch.nn.Module) -> None:
    there = other.state_dict()
    for key, value in net.state_dict().items():
        # what an even doubling is taken to again is the same but for rounding
        torch.testing.assert_close(value, there[key], rtol=0, atol=1e-6, msg=key)


def test_a_run_begins_with_the_nets_and_averages_of_a_bundle(gan: Path, others: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    said = train(others, folder, begin_from=gan / "bundle")
    old = Bundle.load(gan)
    config: Any = runs.read_config(folder).method
    assert (config.latent_dim, config.condition_dim) == (6, 5)
    assert config.generator == old.description.generator
    learner: Any = begun(folder)
    for name, net in old.nets.items():
        assert_equal_nets(net, learner.method.exported()[name])
        assert_equal_nets(net, learner.ema.nets[name])
    assert (config.freeze, config.head_start) == (0, transfer.HEAD_START)
    assert any("afresh" in line for line in said)


def test_the_discriminator_of_a_run_comes_along_with_its_lowest_layers_frozen(
    gan: Path, others: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    said = train(others, folder, begin_from=gan)
    path, _ = checkpoint.newest(gan / "checkpoints")
    assert path is not None
    kept, _ = checkpoint.load(path)
    learner: Any = begun(folder)
    before = {key: value.clone() for key, value in learner.method.state_dict().items()}
    compared = [key for key in before if key.startswith("adversary.")]
    assert len(compared) > 5
    for key in compared:
        assert torch.equal(before[key], kept[f"method.{key}"]), key
    assert any("frozen" in line for line in said)
    after, _ = checkpoint.load(checkpoint.listed(folder / "checkpoints")[-1])
    layers = learner.method.adversary.discriminator.layers()
    for depth, layer in enumerate(layers):
        for key, value in layer.state_dict().items():
            name = next(n for n, v in learner.method.state_dict().items() if v.data_ptr() == value.data_ptr())
            same = torch.equal(after[f"method.{name}"], value)
            assert same == (depth < transfer.FROZEN_LAYERS), (depth, key)


def test_frozen_layers_are_those_next_to_the_picture_and_all_else_learns(gan: Path) -> None:
    config: Any = runs.read_config(gan).method.model_copy(update={"freeze": 1})
    dataset = runs.open_run(gan)
    method = config.build(dataset.dataset.domain.shape, dataset.condition)
    learning = {id(parameter) for parameter in method.parameters_of("discriminator")}
    frozen = [name for name, p in method.adversary.named_parameters() if id(p) not in learning]
    assert frozen == ["discriminator.trunk.stem.0.weight", "discriminator.trunk.stem.0.bias"]


def test_the_generator_rests_while_a_fresh_discriminator_learns(gan: Path, others: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(others, folder, "method.head_start=0.5", begin_from=gan / "bundle")
    learner: Any = begun(folder)
    loader = Loader(Dataset.open(others), "train", 8)

    def moved(name: str, images: int) -> bool:
        before = [p.detach().clone() for p in getattr(learner.method, name).parameters()]
        while learner.num_images_seen < images:
            learner.step(loader.batch(learner.step_number), 64)
        return any(
            not torch.equal(a, b) for a, b in zip(before, getattr(learner.method, name).parameters(), strict=True)
        )

    assert not moved("generator", 32)
    assert moved("generator", 40)
    assert moved("adversary", 48)


def test_the_learning_rate_is_half_of_what_is_recommended_unless_a_person_says(
    gan: Path, others: Path, tmp_path: Path
) -> None:
    def lr(*changes: str, recipe: RunConfig | None = None) -> Any:
        text = command.dry_run(tmp_path / "none", changes, recipe, gan)
        return load(RunConfig, __import__("yaml").safe_load(text)).training.lr

    recommended: float = RunConfig().with_recommended().training.lr  # type: ignore[assignment]
    assert lr() == pytest.approx(recommended * transfer.RATE)
    assert lr("training.lr=0.25") == 0.25
    assert lr(recipe=load(RunConfig, {}, ["training.lr=0.125"])) == 0.125


def test_a_run_is_resumed_without_what_it_was_begun_from(gan: Path, others: Path, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    shutil.copytree(gan, origin)
    folder = tmp_path / "run"
    train(others, folder, begin_from=origin)
    once, _ = checkpoint.load(checkpoint.listed(folder / "checkpoints")[-1])
    shutil.rmtree(folder / "checkpoints")  # not one step survives: the beginning does
    shutil.rmtree(origin)
    train(others, folder, begin_from=origin)
    again, _ = checkpoint.load(checkpoint.listed(folder / "checkpoints")[-1])
    assert once.keys() == again.keys()
    for key, value in once.items():
        assert torch.equal(value, again[key]), key


def test_a_method_named_again_goes_on_with_the_same_nets(gan: Path, others: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(others, folder, "method=gan", begin_from=gan)
    said = train(others, folder, "method=gan", images=96, begin_from=gan)
    assert any("going on" in line for line in said)


def test_the_card_tells_where_it_came_from_and_no_path(gan: Path, others: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(others, folder, begin_from=gan)
    weights = Bundle.load(gan).description.weights
    assert weights is not None
    made = Bundle.load(folder).description.provenance["begun_from"]
    assert made["weights_sha256"] == weights.sha256
    assert made["dataset_fingerprint"] == runs.open_run(gan).dataset.manifest.fingerprint
    card = (folder / "bundle" / "card.md").read_text(encoding="utf-8")
    assert weights.sha256[:16] in card
    described = (folder / "bundle" / "bundle.json").read_text(encoding="utf-8")
    assert str(gan) not in card + described
    assert "Begun from" not in (gan / "bundle" / "card.md").read_text(encoding="utf-8")


def test_classes_are_matched_by_name_and_new_ones_begin_afresh(gan: Path, others: Path, tmp_path: Path) -> None:
    dataset = changed(others, tmp_path / "data", classes=["red", "amber", "blue"], fingerprint="0" * 64)
    said = train(dataset, tmp_path / "run", begin_from=gan)
    assert any("1 of 3 classes are new and begin afresh: amber" in line for line in said)
    old = Bundle.load(gan)
    table = old.nets["condition"].state_dict()["weight"]
    found: Any = begun(tmp_path / "run").method
    assert old.classes == ["blue", "green", "red"]
    assert torch.equal(found.condition.weight[0], table[2])
    assert torch.equal(found.condition.weight[2], table[0])
    assert not any(torch.equal(found.condition.weight[1], row) for row in table)


@pytest.mark.parametrize("to_classes", [True, False])
def test_a_condition_may_come_or_go_and_the_rest_of_the_generator_stays(
    to_classes: bool, gan: Path, tiny_dataset: Path, others: Path, tmp_path: Path
) -> None:
    origin, asked = gan, "condition=none"
    if to_classes:
        origin, asked = tmp_path / "plain", "condition=auto"
        train(tiny_dataset, origin, *TINY_GAN, "condition=none", "method.latent_dim=6")
    said = train(others, tmp_path / "run", asked, begin_from=origin)
    assert any(("3 of 3 classes are new" if to_classes else "has no classes") in line for line in said)
    old, new = Bundle.load(origin).nets["generator"], begun(tmp_path / "run").method
    y = torch.zeros(2, old.dense.weight.shape[1] - 6), torch.zeros(2, new.condition_dim)  # type: ignore[union-attr,operator]
    z = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(old(z, y[0]), new.exported()["generator"].eval()(z, y[1]))


def test_the_opponent_of_a_vae_comes_along(vae: Path, others: Path, tmp_path: Path) -> None:
    said = train(others, tmp_path / "run", begin_from=vae)
    assert any("the discriminator comes along" in line for line in said)
    path, _ = checkpoint.newest(vae / "checkpoints")
    assert path is not None
    kept, _ = checkpoint.load(path)
    before = begun(tmp_path / "run").method.state_dict()
    compared = [key for key in before if key.startswith("opponent.") and "condition" not in key]
    assert len(compared) > 5
    for key in compared:
        assert torch.equal(before[key], kept[f"method.{key}"]), key
    said = train(others, tmp_path / "bundle", begin_from=vae / "bundle")
    assert not any("comes along" in line for line in said), "a bundle holds none"


def test_a_vae_brings_its_encoder_and_a_decoder_may_become_a_generator(vae: Path, others: Path, tmp_path: Path) -> None:
    old = Bundle.load(vae)
    train(others, tmp_path / "vae", begin_from=vae)
    config = runs.read_config(tmp_path / "vae")
    assert config.method.component_name() == "vae"
    method = begun(tmp_path / "vae").method
    for name in ("generator", "condition", "encoder"):
        assert_equal_nets(old.nets[name], method.exported()[name])
    train(others, tmp_path / "gan", "method=gan", *TINY_GAN[2:], begin_from=vae)
    assert_equal_nets(old.nets["generator"], begun(tmp_path / "gan").method.exported()["generator"])


@pytest.mark.parametrize(
    ("size", "channels", "problem", "remedy"),
    [(24, 3, "16×16 pixels, the dataset holds 24×24", "--size 16"), (16, 1, "rgb pictures, .* grey", "--colour rgb")],
)
def test_pictures_of_another_size_or_kind_are_refused_with_the_way_out(
    size: int, channels: int, problem: str, remedy: str, gan: Path, tmp_path: Path
) -> None:
    write_tiny_dataset(tmp_path / "source", size=size)
    images = np.load(tmp_path / "source" / "images.npy")[..., :channels]
    domain = {"name": "image", "height": size, "width": size, "channels": channels}
    dataset = changed(tmp_path / "source", tmp_path / "data", domain=domain)
    np.save(dataset / "images.npy", images)
    with pytest.raises(UserError, match=problem) as error:
        train(dataset, tmp_path / "run", begin_from=gan)
    assert remedy in error.value.remedy
    assert not (tmp_path / "run").exists()


def test_nets_that_do_not_fit_are_refused_before_anything_is_written(gan: Path, others: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="do not fit the new run's generator"):
        train(others, tmp_path / "run", "method.generator.width=16", begin_from=gan)
    with pytest.raises(UserError, match="discriminator of the old run does not fit") as error:
        train(others, tmp_path / "run", "method.discriminator.width=16", begin_from=gan)
    assert "method.freeze=0" in error.value.remedy
    with pytest.raises(UserError, match="There is no"):
        train(others, tmp_path / "run", begin_from=tmp_path / "nowhere")
    assert not (tmp_path / "run").exists()


def test_a_standing_run_is_not_begun_again_from_elsewhere(gan: Path, vae: Path, others: Path, tmp_path: Path) -> None:
    train(others, tmp_path / "scratch", *TINY_GAN)
    with pytest.raises(UserError, match="was begun from scratch"):
        train(others, tmp_path / "scratch", begin_from=gan)
    train(others, tmp_path / "tuned", begin_from=gan)
    with pytest.raises(UserError, match="was begun from another generator"):
        train(others, tmp_path / "tuned", begin_from=vae)


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_beginning_that_is_damaged_is_told_and_not_replaced_by_chance(
    harm: str, gan: Path, others: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    train(others, folder, begin_from=gan)
    shutil.rmtree(folder / "checkpoints")
    path = folder / transfer.TENSORS
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="missing or damaged"):
        train(others, folder)


def test_the_run_that_is_begun_from_is_left_as_it_is(gan: Path, others: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in gan.rglob("*")}
    train(others, tmp_path / "run", begin_from=gan)
    assert {path: path.stat().st_mtime_ns for path in gan.rglob("*")} == before
