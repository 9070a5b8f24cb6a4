"""A privacy audit: attacks find what is there and nothing else, say so in plain words, and the bundle holds no discriminator."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from allaprima.bundle.bundle import Bundle
from allaprima.cli._app import build
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.files import write_json
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features.pixels import PixelFeatures
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.privacy import membership, sides
from allaprima.privacy.audit import audit, audit_folder
from allaprima.privacy.blackbox import VIEWS, Controls, control, copies
from allaprima.privacy.findings import NEVER_EXPORTED, NO_PROOF, Attack, Audit
from allaprima.privacy.locking import encrypt
from allaprima.privacy.membership import Told, exposure, rank_among, tell_apart
from allaprima.privacy.nets import discriminator_scores
from allaprima.privacy.sides import comparable_splits, draw_sides, see_stored
from allaprima.training import loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from tests.conftest import write_tiny_dataset
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

DEVICE = Device(torch.device("cpu"), "fp32")
TINY_VAE = [
    "method=vae",
    *(
        f"method.{net}.{key}"
        for net in ("encoder", "decoder", "opponent.discriminator")
        for key in ("width=8", "max_width=16")
    ),
    "method.adversarial_from=0.4",
]
VIEW = pytest.mark.parametrize("view", VIEWS)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 pictures, of which 120 are held out."""
    folder = tmp_path_factory.mktemp("audit") / "squares"
    write_tiny_dataset(folder, count=600)
    return folder


def trained(folder: Path, dataset: Path, changes: list[str]) -> Path:
    threads = torch.get_num_threads()
    config = load(RunConfig, {"budget": {"images": 160}}, [*changes, *LOOP, PIXELS])
    loop.train(runs.create(folder, config, Dataset.open(dataset)), say=lambda words: None)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def gan(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("audit") / "gan", squares, TINY_GAN)


def audited(run: Path, dataset: Path, **wishes: Any) -> Audit:
    given = {"samples": 200, "pictures": 80, "features": "pixels", **wishes}
    return audit(run, Dataset.open(dataset), Bundle.load(run), DEVICE, **given)


# -- figures ------------------------------------------------------------------------------------------------------------


def test_scores_that_part_the_two_have_auc_one() -> None:
    told = tell_apart(torch.arange(100.0) + 100, torch.arange(100.0), 0, "parted")
    assert (told.auc, told.tpr, told.advantage) == (1, 1, 1)
    assert told.sees
    assert told.stands_out


def test_equal_scores_are_a_coin() -> None:
    told = tell_apart(torch.zeros(100), torch.zeros(100), 0, "equal")
    assert (told.auc, told.tpr, told.advantage) == (0.5, 0, 0)
    assert not told.sees


def test_random_scores_are_about_a_coin_and_the_interval_says_how_nearly() -> None:
    random = torch.Generator().manual_seed(0)
    told = tell_apart(torch.randn(1000, generator=random), torch.randn(1000, generator=random), 0, "random")
    assert told.auc_interval[0] < 0.5 < told.auc_interval[1]
    assert 0.03 < told.auc_interval[1] - told.auc_interval[0] < 0.07  # 4 standard errors of √(1 / 6n)
    assert not told.sees


def test_a_few_members_that_stand_out_are_seen_though_the_average_hides_them() -> None:
    random = torch.Generator().manual_seed(0)
    members, others = torch.randn(1000, generator=random), torch.randn(1000, generator=random)
    members[:60] += 20
    told = tell_apart(members, others, 0, "few")
    assert told.auc < 0.55
    assert told.stands_out
    assert told.sees


def test_a_replicate_is_what_scikit_learn_finds_of_the_same_draw() -> None:
    from sklearn import metrics

    levels = np.random.default_rng(0).integers(0, 30, 90).astype(float)
    scores = np.concatenate([-np.sort(-levels[:40]), -np.sort(-levels[40:])])  # draws are dealt from the highest down
    found = membership._replicates(scores, 40, np.random.default_rng(1))[7]
    draw = np.random.default_rng(1)
    others, members = (draw.multinomial(n, np.full(n, 1 / n), membership.REPLICATES)[7] for n in (50, 40))
    truth, weights = np.repeat([1, 0], [40, 50]), np.concatenate([members, others])
    assert found[0] == pytest.approx(metrics.roc_auc_score(truth, scores, sample_weight=weights))
    curve = metrics.roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
    assert found[1] == pytest.approx(curve[1][curve[0] <= 0.01].max())


def test_exposure_is_all_bits_for_the_first_and_none_for_the_last() -> None:
    assert exposure(1, 1024) == 10
    assert exposure(512, 1024) == 1
    assert exposure(1024, 1024) == 0


def test_a_rank_is_the_middle_of_equal_scores() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0, 2.0, 2.0])
    assert [rank_among(scores, place) for place in range(5)] == [1, 5, 3, 3, 3]


# -- whose pictures -----------------------------------------------------------------------------------------------------


def test_sides_never_share_a_picture_and_are_as_many(squares: Path) -> None:
    dataset = Dataset.open(squares)
    found = draw_sides(dataset, 1000, 0, [dataset.records[0]["name"]])
    groups = [found.members, found.others, found.references, found.canaries, found.training]
    assert len(np.unique(np.concatenate(groups))) == sum(map(len, groups)) == 600
    assert len(found.members) == len(found.others) == 90
    assert set(found.members) | set(found.training) | set(found.canaries) == set(dataset.indices("train"))


def test_a_split_that_came_with_the_source_is_left_out() -> None:
    def dataset(train: int, validation: int, test: int, options: dict[str, float]) -> Any:
        counts = {"train": train, "validation": validation, "test": test}
        return SimpleNamespace(
            indices=lambda split: np.arange(counts[split]),
            classes=["a"] * 10,
            manifest=SimpleNamespace(options=options),
        )

    shares = {"validation": 0.1, "test": 0.1}
    assert comparable_splits(dataset(54001, 5999, 10000, shares)) == ("validation",)  # MNIST
    assert comparable_splits(dataset(9600, 1200, 1200, shares)) == ("validation", "test")
    assert comparable_splits(dataset(900, 20, 300, shares)) == ("validation", "test")  # nothing else to take
    assert comparable_splits(dataset(900, 50, 50, {})) == ("validation", "test")


def test_too_few_pictures_are_refused(tiny_dataset: Path) -> None:
    with pytest.raises(UserError, match="too few to audit with") as caught:
        draw_sides(Dataset.open(tiny_dataset), 1000, 0, [])
    assert "--validation" in caught.value.remedy


def test_a_canary_must_be_a_training_picture(squares: Path) -> None:
    dataset = Dataset.open(squares)
    held_out = dataset.records[int(dataset.indices("test")[0])]["name"]
    with pytest.raises(UserError, match="no training picture"):
        draw_sides(dataset, 100, 0, [held_out])
    with pytest.raises(UserError, match="is named") as caught:
        draw_sides(dataset, 100, 0, ["10.pn"])
    assert "'10.png'" in caught.value.remedy


# -- controls -----------------------------------------------------------------------------------------------------------


def controlled(folder: Path, view: str) -> Controls:
    dataset, features = Dataset.open(folder), PixelFeatures(3)
    found = draw_sides(dataset, 1000, 0, [])
    members, others, references, rest = (
        see_stored(dataset, places, features)
        for places in (found.members, found.others, found.references, found.training)
    )
    copied = copies(dataset, found.members, features, 0)
    return control(view, members, others, references, rest, copied, rest, 0)


@VIEW
def test_a_generator_that_copies_is_caught_and_an_innocent_one_is_not(squares: Path, view: str) -> None:
    found = controlled(squares, view)
    assert found.positive.auc >= 0.9
    assert found.works
    for told in (found.negative, found.innocent):
        assert told.auc_interval[0] <= 0.5 <= told.auc_interval[1]
    assert not found.biased


def test_the_same_seed_gives_the_same_figures(squares: Path) -> None:
    assert controlled(squares, "features") == controlled(squares, "features")


def test_an_attack_that_would_miss_a_copy_proves_nothing(gan: Path, squares: Path) -> None:
    found = audited(gan, squares)
    coin = Told(0.5, (0.45, 0.55), 0.01, (0, 0.02), 0.02, 1000, 1000)
    blind = [replace(attack, controls=Controls(coin, coin, coin)) for attack in found.attacks if attack.controls]
    assert replace(found, attacks=blind).words()[0].startswith("This audit proves nothing on this dataset")


def test_what_is_seen_where_nothing_was_learned_is_no_signal(gan: Path, squares: Path) -> None:
    found = audited(gan, squares)
    seen = Told(0.58, (0.56, 0.6), 0.01, (0, 0.02), 0.1, 1000, 1000)
    attacks = [
        replace(attack, told=seen, controls=replace(attack.controls, innocent=replace(seen, auc=0.57)))
        for attack in found.attacks
        if attack.controls is not None
    ]
    words = replace(found, attacks=attacks).words()
    assert "does not count: where nothing was learned it has AUC 0.570" in " ".join(words)
    milder = Told(0.56, (0.54, 0.58), 0.01, (0, 0.02), 0.1, 1000, 1000)
    attacks = [
        replace(attack, told=milder, controls=replace(attack.controls, innocent=replace(milder, auc=0.55)))
        for attack in found.attacks
        if attack.controls is not None
    ]
    assert "no better than their kinds differ" in replace(found, attacks=attacks).words()[0]


def test_what_is_seen_is_said_first_and_then_nothing_is_called_no_proof(gan: Path, squares: Path) -> None:
    found = audited(gan, squares)
    seen = Told(0.8, (0.77, 0.83), 0.2, (0.1, 0.3), 0.5, 1000, 1000)
    caught = [replace(attack, told=seen) for attack in found.attacks if attack.controls is not None]
    words = replace(found, attacks=caught).words()
    assert words[0].startswith(
        "An outsider with the generator can tell training pictures from others: AUC 0.800 (0.770 to 0.830)"
    )
    assert "Of 100 training pictures 20 are recognised" in words[0]
    assert NO_PROOF not in words


def test_a_promise_of_differential_privacy_is_held_against_the_attacks(gan: Path, squares: Path) -> None:
    found = audited(gan, squares)
    promised = replace(found, provenance={**found.provenance, "privacy": {"epsilon": 1.0, "delta": 1e-5}})
    assert any("at most 2.7%" in words or "more than 2.7%" in words for words in promised.words())
    seen = Told(0.8, (0.77, 0.83), 0.2, (0.1, 0.3), 0.5, 1000, 1000)
    broken = replace(promised, attacks=[Attack("reading", True, seen), *found.attacks])
    assert any("broken: see reading" in words for words in broken.words())


# -- a whole audit ------------------------------------------------------------------------------------------------------


def test_the_command_audits_a_run_and_writes_the_same_twice(gan: Path, squares: Path) -> None:
    command = ["audit", str(gan), "--samples", "200", "--pictures", "80", "--features", "pixels", "--canaries", "0.png"]
    shown = CliRunner().invoke(build(), command, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "a coin" in shown.output
    assert NEVER_EXPORTED in shown.output
    assert str(gan / "audit" / "audit.html") in shown.output
    first = (gan / "audit" / "audit.json").read_bytes()
    page = (gan / "audit" / "audit.html").read_text(encoding="utf-8")
    assert "0.png" in page
    assert "keep it private" in page
    again = CliRunner().invoke(build(), [*command, "--json"], catch_exceptions=False)
    assert (gan / "audit" / "audit.json").read_bytes() == first
    found = json.loads(again.stdout)
    assert found == json.loads(first)
    assert {attack["name"]: attack["by"] for attack in found["attacks"]} == {
        "nearest sample, by features": "outsider",
        "nearest sample, pixel by pixel": "outsider",
        "discriminator": "holder of the run",
    }
    assert all(attack["controls"]["positive"]["auc"] >= 0.9 for attack in found["attacks"] if attack["controls"])
    assert [canary["among"] for canary in found["canaries"]] == [81] * 3
    assert str(squares.parent) not in json.dumps(found)


def test_of_an_encrypted_dataset_canaries_are_numbered(gan: Path, squares: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="the extra 'vault' is not installed")
    shutil.copytree(squares, tmp_path / "sealed")
    encrypt(tmp_path / "sealed", f"file={tmp_path / 'a.key'}")
    shutil.copytree(gan, tmp_path / "run", ignore=lambda where, names: ["audit"])
    found = audited(tmp_path / "run", tmp_path / "sealed", canaries=["0.png"])
    assert {canary.name for canary in found.canaries} == {"canary 1"}
    written = [path.read_text(encoding="utf-8") for path in (tmp_path / "run" / "audit").glob("audit.*")]
    assert ["canary 1" in text for text in written] == [True, True]
    assert not any("0.png" in text for text in written)


def test_a_vae_is_attacked_by_its_reconstruction_error_too(squares: Path, tmp_path: Path) -> None:
    found = audited(trained(tmp_path / "vae", squares, TINY_VAE), squares)
    assert [attack.name for attack in found.attacks if attack.outside][-1] == "reconstruction error"
    assert not found.attacks[-1].outside
    assert not found.left_out


def test_a_bundle_is_audited_beside_itself_without_a_discriminator(gan: Path, squares: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(gan / "bundle", tmp_path / "cats")
    found = audited(bundle, squares)
    assert found.folder == tmp_path / "cats-audit"
    assert {path.name for path in bundle.iterdir()} == {path.name for path in (gan / "bundle").iterdir()}
    assert "never holds the discriminator" in found.left_out["discriminator"].problem
    assert audit_folder(gan / "bundle") == gan / "audit"


def test_a_run_without_checkpoints_says_why_the_discriminator_is_not_attacked(
    gan: Path, squares: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(gan, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(NotMeasuredError, match="no whole checkpoint"):
        discriminator_scores(run, Dataset.open(squares), DEVICE, np.arange(3))


def test_no_tensor_of_a_bundle_is_the_discriminators(gan: Path) -> None:
    bundle = Bundle.load(gan)
    assert set(bundle.nets) == {"generator", "condition"}
    files = list((gan / "bundle").glob("**/*.safetensors"))
    exported = {name: tensor for file in files for name, tensor in load_file(file).items()}
    newest = sorted((gan / "checkpoints").iterdir())[-1]
    kept = load_file(newest / "state.safetensors")
    judges = {
        name: tensor for name, tensor in kept.items() if name.startswith("method.adversary.") and tensor.numel() > 32
    }
    assert exported
    assert judges
    assert not any("discriminator" in name or "adversary" in name for name in exported)
    for name, tensor in judges.items():
        for other, shared in exported.items():
            assert tensor.shape != shared.shape or not torch.allclose(tensor.float(), shared.float()), (name, other)


def test_a_dataset_that_moved_or_is_another_one_is_named_with_a_remedy(
    gan: Path, squares: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(gan, tmp_path / "run")
    marker = json.loads((run / "run.json").read_text(encoding="utf-8"))
    write_json(run / "run.json", {**marker, "dataset": str(tmp_path / "gone")})
    moved = CliRunner().invoke(build(), ["audit", str(run)])
    assert isinstance(moved.exception, UserError)
    assert "--dataset DATASET" in moved.exception.remedy
    found = CliRunner().invoke(
        build(),
        ["audit", str(run), "--dataset", str(squares), "--features", "pixels", "--samples", "100", "--pictures", "40"],
    )
    assert found.exit_code == 0, found.output
    assert "Only 40 pictures" in found.output
    write_tiny_dataset(tmp_path / "other", count=300, seed=1)
    with pytest.raises(UserError, match="trained on other pictures") as caught:
        audited(run, tmp_path / "other")
    assert "--dataset DATASET" in caught.value.remedy
    with pytest.raises(UserError, match="tell nothing"):
        audited(run, squares, samples=sides.FEWEST - 1)


def test_without_scikit_learn_the_extra_is_named(gan: Path, squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(UserError, match="scikit-learn") as caught:
        audited(gan, squares)
    assert "allaprima[evaluate]" in caught.value.remedy
