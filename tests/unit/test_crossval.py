"""Cross-validation: folds that never share a picture, nothing trained twice, plain words when something does not fit."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from allaprima.cli._app import build
from allaprima.core.config import load
from allaprima.core.errors import UserError
from allaprima.core.files import write_json
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import domain, pixels
from allaprima.evaluation.metrics import METRICS
from allaprima.recipes import RECIPES, config_of
from allaprima.training import crossval, folds, loop
from allaprima.training.config import RunConfig
from allaprima.training.crossval import Plan, cross_validate, gaps
from allaprima.training.crossval_report import summarise
from allaprima.training.session import Session
from tests.contracts.evidence import cloud, material
from tests.unit._runs import LOOP, PIXELS, TINY_GAN

TINY = [*TINY_GAN, *LOOP, "training.ticks=2", PIXELS]
MEASURED = ("kernel_distance", "prdc")  # the others would only take time here


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, few metrics."""
    before = torch.get_num_threads()
    monkeypatch.setattr(METRICS, "names", lambda: list(MEASURED))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def dataset(tiny_dataset: Path, tmp_path: Path) -> Dataset:
    """Its own copy, so that links to its files can be looked at."""
    shutil.copytree(tiny_dataset, tmp_path / "squares", ignore=lambda where, names: ["features"])
    return Dataset.open(tmp_path / "squares")


def plan(*changes: str, images: int = 32, **asked: Any) -> Plan:
    config = load(RunConfig, {"budget": {"images": images}}, [*TINY, *changes])
    return Plan(**{"config": config, "folds": 3, "count": 24, "features": "pixels", **asked})


def relabelled(dataset: Dataset, labels: list[int]) -> Dataset:
    np.save(dataset.folder / "labels.npy", np.array(labels, np.int64))
    return Dataset.open(dataset.folder)


# -- folds ----------------------------------------------------------------------------------------------------------------


def test_every_picture_but_those_of_the_test_split_is_held_out_once(dataset: Dataset) -> None:
    splits = folds.fold_splits(dataset, 5, seed=0)
    held_out = np.concatenate([np.flatnonzero(one == 2) for one in splits])
    usable = np.concatenate([dataset.indices("train"), dataset.indices("validation")])
    assert sorted(held_out) == sorted(usable)
    for one in splits:
        assert (one[dataset.indices("test")] == folds.UNUSED).all()
        assert (one[usable] != folds.UNUSED).all()


def test_folds_have_the_sizes_of_the_libraries_stratified_ones(dataset: Dataset) -> None:
    from sklearn.model_selection import StratifiedKFold

    labels = np.random.default_rng(0).choice(4, 203, p=[0.5, 0.3, 0.15, 0.05])
    ours = folds.deal(labels, 5, np.random.default_rng(1))
    theirs = [test for _, test in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels)]
    for label in range(4):
        found = sorted(Counter(ours[labels == label]).values())
        assert found == sorted((labels[test] == label).sum() for test in theirs)
    assert sorted(np.bincount(ours)) == sorted(len(test) for test in theirs)


def test_classes_smaller_than_the_number_of_folds_are_dealt_and_named(dataset: Dataset) -> None:
    assert folds.warnings(dataset, 5) == []
    rare = relabelled(dataset, [0] * 2 + [1, 2] * 29)
    splits = folds.fold_splits(rare, 5, seed=0)
    assert all((one == 2).any() for one in splits)
    told = folds.warnings(rare, 5)
    assert "'blue' (2)" in told[0]
    assert "green" not in told[0]


def test_kept_duplicates_are_warned_of(dataset: Dataset) -> None:
    values = json.loads((dataset.folder / "manifest.json").read_text())
    (dataset.folder / "manifest.json").write_text(json.dumps({**values, "options": {"keep_duplicates": True}}))
    assert "duplicates" in folds.warnings(Dataset.open(dataset.folder), 3)[0]


def test_a_fold_has_validation_pictures_of_every_class_even_if_its_dataset_has_none(dataset: Dataset) -> None:
    splits = np.array(dataset.split_of)
    np.save(dataset.folder / "splits.npy", np.where(splits == 1, 0, splits))
    without = Dataset.open(dataset.folder)
    assert not len(without.indices("validation"))
    for one in folds.fold_splits(without, 3, seed=0):
        chosen = without.labels[one == 1]
        assert 3 <= len(chosen) <= 6
        assert set(chosen) == {0, 1, 2}


@pytest.mark.parametrize(("count", "words"), [(0, "0 folds"), (1, "1 fold "), (28, "27 or fewer"), (55, "27 or fewer")])
def test_too_few_and_too_many_folds_are_refused_with_what_would_do(dataset: Dataset, count: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        folds.fold_splits(dataset, count, seed=0)


def test_a_set_of_a_handful_of_pictures_is_refused(dataset: Dataset) -> None:
    np.save(dataset.folder / "splits.npy", np.array([0] * 7 + [2] * 53, np.uint8))
    with pytest.raises(UserError, match="7 training and validation pictures"):
        folds.fold_splits(Dataset.open(dataset.folder), 2, seed=0)


def test_a_fold_is_a_dataset_whose_pictures_are_no_copies(dataset: Dataset, tmp_path: Path) -> None:
    splits = folds.fold_splits(dataset, 3, seed=0)
    fold = folds.write_fold(dataset, splits[0], tmp_path / "fold")
    assert os.path.samefile(fold.folder / "images.npy", dataset.folder / "images.npy")
    counts = fold.manifest.split_counts
    assert counts == {name: len(fold.indices(name)) for name in ("train", "validation", "test")}
    assert sum(counts.values()) == len(dataset) - len(dataset.indices("test"))
    prints = {folds.write_fold(dataset, one, tmp_path / str(i)).manifest.fingerprint for i, one in enumerate(splits)}
    assert len(prints) == 3
    assert dataset.manifest.fingerprint not in prints
    again = folds.write_fold(dataset, splits[0], tmp_path / "fold")
    assert again.manifest == fold.manifest
    assert dataset.manifest.split_counts["train"] == 48  # the dataset itself is as it was


def test_where_links_are_not_possible_the_next_best_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("pictures")

    def refuse(*_: Any) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "link", refuse)
    folds.link(source, target)
    assert target.is_symlink()
    monkeypatch.setattr(os, "symlink", refuse)
    folds.link(source, target)
    assert not target.is_symlink()
    assert target.read_text() == "pictures"
    assert not os.path.samefile(source, target)


def begun(dataset: Dataset, out: Path) -> Path:
    """A cross-validation of ``plan()`` that was stopped before its first fold."""
    out.mkdir()
    write_json(out / "settings.json", crossval._settings(dataset, plan()))
    return out


# -- the whole --------------------------------------------------------------------------------------------------------------


def test_folds_are_trained_measured_and_summed_up(dataset: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    found = cross_validate(dataset, tmp_path / "out", plan(seed=7), said.append)
    assert found is not None
    rows = {row.name: row for row in found.rows}
    assert {"kernel distance", "precision", f"kernel distance, {crossval.GAP}"} <= rows.keys()
    distance = rows["kernel distance"]
    values = [value for value in distance.values if value is not None]
    assert len(set(values)) == 3
    assert distance.mean == pytest.approx(np.mean(values))
    assert distance.spread == pytest.approx(np.std(values, ddof=1))
    assert distance.spread is not None
    half = 4.302653 * distance.spread / 3**0.5  # Student's t with two degrees of freedom, from a table
    assert distance.interval == pytest.approx((distance.mean - half, distance.mean + half))
    seeds = [f"seed: {7 + fold}\n" in (tmp_path / f"out/folds/{fold}/run/run.yaml").read_text() for fold in (1, 2, 3)]
    assert seeds == [True] * 3
    written = json.loads((tmp_path / "out" / "crossval.json").read_text())
    assert [row["name"] for row in written["rows"]] == [row.name for row in found.rows]
    assert written["dataset_fingerprint"] == dataset.manifest.fingerprint
    page = (tmp_path / "out" / "crossval.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert page.count('alt="fold 3, sample') == 8
    assert "last look" in found.table()
    named = [line for line in found.table().splitlines() if line.startswith("kernel distance  ")]
    assert named[0].endswith("pixels: 8×8")
    assert "On pixels: 8×8." in page


def test_a_finished_fold_is_not_trained_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cross_validate(dataset, tmp_path / "out", plan(), lambda words: None)
    assert first is not None

    def refuse(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(loop, "train", refuse)
    said: list[str] = []
    again = cross_validate(dataset, tmp_path / "out", plan(), said.append)
    assert again is not None
    assert again.rows == first.rows
    assert sum("done already" in words for words in said) == 3


def test_a_stopped_cross_validation_goes_on_in_the_middle_of_its_fold_and_ends_as_if_it_never_was(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cross_validate(dataset, tmp_path / "whole", plan(), lambda words: None)
    step, taken = Session._step, Counter[str]()

    def counted(session: Session) -> None:
        step(session)
        taken[session.run.folder.parent.name] += 1
        if taken["2"] == 2 and session.run.folder.parent.name == "2":
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Session, "_step", counted)
    assert cross_validate(dataset, tmp_path / "parts", plan(), lambda words: None) is None
    assert not (tmp_path / "parts" / "crossval.json").exists()
    assert (tmp_path / "parts" / "folds" / "1" / "result.json").is_file()
    found = cross_validate(dataset, tmp_path / "parts", plan(), lambda words: None)
    assert taken == {"1": 4, "2": 4, "3": 4}
    assert found is not None
    assert whole is not None
    assert found.rows == whole.rows


def test_a_stop_while_measuring_loses_nothing_but_the_measuring(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, step, taken = crossval.measured, Session._step, Counter[str]()

    def interrupted(given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(given)

    def counted(session: Session) -> None:
        step(session)
        taken[session.run.folder.parent.name] += 1

    monkeypatch.setattr(Session, "_step", counted)
    monkeypatch.setattr(crossval, "measured", interrupted)
    assert cross_validate(dataset, tmp_path / "out", plan(), lambda words: None) is None
    monkeypatch.setattr(crossval, "measured", real)
    assert cross_validate(dataset, tmp_path / "out", plan(), lambda words: None) is not None
    assert taken == {"1": 4, "2": 4, "3": 4}


def test_folds_that_another_net_measured_are_measured_again_and_not_trained_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cross_validate(dataset, tmp_path / "out", plan(), lambda words: None)
    assert first is not None

    def refuse(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Session, "_step", refuse)
    monkeypatch.setattr(pixels.PixelFeatures, "identity", "a later net")
    said: list[str] = []
    again = cross_validate(dataset, tmp_path / "out", plan(), said.append)
    assert again is not None
    assert not any("done already" in words for words in said)
    result = json.loads((tmp_path / "out/folds/3/result.json").read_text())
    assert result["features_identity"] == "a later net"
    assert again.rows == first.rows


def test_a_fold_whose_samples_are_no_numbers_is_noted_with_the_reason(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = crossval.gather

    def broken(run: Path, *given: Any) -> Any:
        found = real(run, *given)
        return replace(found, fake=found.fake * float("nan")) if run.parent.name == "2" else found

    monkeypatch.setattr(crossval, "gather", broken)
    found = cross_validate(dataset, tmp_path / "out", plan(), lambda words: None)
    assert found is not None
    gap = next(row for row in found.rows if row.name == f"kernel distance, {crossval.GAP}")
    assert [value is None for value in gap.values] == [False, True, False]
    assert "not finite" in found.left_out[f"distances, {crossval.GAP}"]


def test_other_settings_in_the_same_folder_are_named_and_nothing_is_touched(dataset: Dataset, tmp_path: Path) -> None:
    out = begun(dataset, tmp_path / "out")
    with pytest.raises(UserError, match=r"budget\.images was 32, now 64; folds was 3, now 4"):
        cross_validate(dataset, out, plan(images=64, folds=4), lambda words: None)
    assert [path.name for path in out.iterdir()] == ["settings.json"]


def test_folds_of_other_pictures_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    out = begun(dataset, tmp_path / "out")
    values = json.loads((dataset.folder / "manifest.json").read_text())
    (dataset.folder / "manifest.json").write_text(json.dumps({**values, "fingerprint": "other"}))
    with pytest.raises(UserError, match="other pictures"):
        cross_validate(Dataset.open(dataset.folder), out, plan(), lambda words: None)


def test_settings_that_a_newer_program_has_besides_do_not_end_a_cross_validation(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = begun(dataset, tmp_path / "out") / "settings.json"
    old = json.loads(path.read_text())
    del old["config"]["training"]["patience"]
    path.write_text(json.dumps(old))
    for _ in range(2):  # the folds of the first time are found again
        said: list[str] = []
        assert cross_validate(dataset, tmp_path / "out", plan(), said.append) is not None
    assert sum("done already" in words for words in said) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "other"}'])
def test_a_folder_of_something_else_is_left_alone(dataset: Dataset, tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        cross_validate(dataset, out, plan(), lambda words: None)
    (out / "settings.json").rename(out / "novel.txt")
    with pytest.raises(UserError, match="holds no cross-validation"):
        cross_validate(dataset, out, plan(), lambda words: None)
    assert [path.name for path in out.iterdir()] == ["novel.txt"]


def test_unlabelled_pictures_can_be_cross_validated(dataset: Dataset, tmp_path: Path) -> None:
    values = json.loads((dataset.folder / "manifest.json").read_text())
    (dataset.folder / "manifest.json").write_text(json.dumps({**values, "classes": []}))
    bare = relabelled(dataset, [-1] * 60)
    found = cross_validate(bare, tmp_path / "out", plan(folds=2), lambda words: None)
    assert found is not None
    assert found.settings["folds"] == 2


# -- figures --------------------------------------------------------------------------------------------------------------


def test_samples_that_repeat_training_pictures_show_in_the_gap_and_new_ones_do_not() -> None:
    train, real = cloud(600, 1, dim=100), cloud(400, 2, dim=100)
    repeated = {figure.name: figure for figure in gaps(material(real, train[:500].clone(), train))}
    fresh = {figure.name: figure for figure in gaps(material(real, cloud(500, 3, dim=100), train))}
    assert repeated.keys() == {f"kernel distance, {crossval.GAP}", f"Fréchet distance, {crossval.GAP}"}
    for name, figure in repeated.items():
        assert figure.details["pictures"] == 400
        assert figure.value > 3 * abs(fresh[name].value)
        assert figure.value > 0


def test_the_frechet_gap_needs_more_pictures_than_features() -> None:
    few = material(cloud(12, 1), cloud(50, 2), cloud(50, 3))
    assert [figure.name for figure in gaps(few)] == [f"kernel distance, {crossval.GAP}"]


def test_a_figure_that_a_fold_lacks_counts_where_it_is() -> None:
    def result(fold: int, *values: tuple[str, float | None]) -> dict[str, Any]:
        told = {"features": "f", "better": "lower", "meaning": "m"}
        return {
            "fold": fold,
            "pictures": {"train": 1, "validation": 1, "test": 1},
            "samples": 1,
            "images_seen": 1,
            "minutes": 1.0,
            "figures": [{"name": name, "value": value, **told} for name, value in values],
            "not_measured": {"b": {"problem": "too few", "remedy": "more"}} if fold == 2 else {},
        }

    found = summarise({}, "x", [result(1, ("a", 1.0), ("b", 5.0)), result(2, ("a", 3.0), ("c", None))], [])
    rows = {row.name: row for row in found.rows}
    assert rows.keys() == {"a", "b"}
    assert (rows["a"].mean, rows["a"].values) == (2.0, [1.0, 3.0])
    assert (rows["b"].values, rows["b"].spread, rows["b"].interval) == ([5.0, None], None, None)
    assert found.left_out == {"b": "too few; more"}


# -- recipes and the command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_keeps_the_minutes_it_is_given_and_says_what_to_expect(name: str) -> None:
    config = RECIPES.get(name).config(3.0)
    assert config.budget.minutes == 3.0
    assert "minutes" in (RECIPES.get(name).__doc__ or "")


def test_a_misspelt_recipe_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 'vae'"):
        config_of("vea")


def invoke(*words: object) -> Any:
    return CliRunner().invoke(build(), ["evaluate", *map(str, words)])


def test_the_command_trains_folds_beside_the_dataset_and_prints_the_table(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = domain.Config(width=4, num_images=300, batch_size=50)
    monkeypatch.setattr(domain, "load_or_train", functools.partial(domain.load_or_train, config=narrow))
    sets = [word for change in TINY for word in ("--set", change)]
    seen = invoke(dataset.folder, "--folds", 2, "--images", "32", "--count", 24, *sets)
    assert seen.exit_code == 0, seen.exception
    assert "kernel distance, held-out minus training" in seen.stdout
    out = dataset.folder.with_name("squares-folds-gan")
    assert str(out / "crossval.html") in seen.stdout
    assert "images: 32" in (out / "folds/1/run/run.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--folds", "1"], "1 fold "),
        (["--folds", "3", "--recipe", "vea"], "Unknown recipe 'vea'"),
        (["--folds", "3", "--split", "validation"], "--split means nothing with --folds"),
        (["--folds", "3", "--dataset", "x"], "--dataset means nothing with --folds"),
        (["--folds", "3", "--set", "training.lerning=1"], "Unknown setting"),
        (["--folds", "3", "--minutes", "1", "--images", "10"], "Both"),
        (["--folds", "3", "--count", "1"], "too few to compare"),
        (["--folds", "3", "--set", "seed=3"], "--set seed=… means nothing with --folds"),
        (["--recipe", "gan"], "--recipe means nothing without --folds"),
        (["--minutes", "1"], "--minutes means nothing without --folds"),
        ([], "is a prepared dataset, not a run"),
    ],
)
def test_what_makes_no_sense_is_said_plainly_and_nothing_is_written(
    dataset: Dataset, words: list[str], problem: str
) -> None:
    seen = invoke(dataset.folder, *words)
    assert isinstance(seen.exception, UserError)
    assert problem in seen.exception.problem
    assert sorted(path.name for path in dataset.folder.parent.iterdir()) == ["squares"]


def test_a_run_with_folds_is_told_from_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    seen = invoke(tmp_path, "--folds", 3)
    assert isinstance(seen.exception, UserError)
    assert "trained already" in seen.exception.problem
