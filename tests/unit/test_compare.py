"""Comparison: noise is called noise, a real difference is told apart, and what does not fit together is refused."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from allaprima.bundle.untrained import save, untrained
from allaprima.cli._app import build
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation import compare as comparison
from allaprima.evaluation import contestants as gathering
from allaprima.evaluation import differences
from allaprima.evaluation import evaluate as evaluation
from allaprima.evaluation.compare import compare, judge
from allaprima.evaluation.compare_page import page
from allaprima.evaluation.contestants import Asked, Contestant
from allaprima.evaluation.differences import Measured, Spread
from allaprima.evaluation.metrics import METRICS, Figure
from benchmarks import seeds
from tests.contracts.evidence import cloud, material

DEVICE = Device(torch.device("cpu"), "fp32")
SPREAD = Spread(0.2, 10)
MEASURED = ("kernel_distance", "prdc")  # the others would only take time here


# -- when is it noise? ------------------------------------------------------------------------------------------------------


def figure(value: float, error: float | None = 0.01, **changes: Any) -> Figure:
    interval = None if error is None else (value - 1.959964 * error, value + 1.959964 * error)
    given: dict[str, Any] = {"name": "kernel distance", "value": value, "interval": interval, "better": "lower"}
    return Figure(**{**given, "features": "domain: 3 classes", "floor": 0.0, "meaning": "How far.", **changes})


def test_a_standard_error_is_read_from_the_interval_and_values_count_from_the_floor() -> None:
    found = Measured.of(figure(0.5, 0.02, floor=0.1))
    assert (found.value, found.error) == pytest.approx((0.4, 0.02))
    assert Measured.of(figure(0.5, None)).error is None
    assert Measured.of(figure(0.7, better="higher", floor=None, ceiling=0.9)).value == pytest.approx(-0.2)


def test_without_a_spread_the_test_is_the_normal_one() -> None:
    from scipy.stats import norm

    p = differences.p_value(Measured(0.5, 0.03), Measured(0.4, 0.04), Spread(0.0, 5))
    assert p == pytest.approx(2 * norm.sf(0.1 / 0.05))


def test_without_errors_the_test_is_that_of_the_ratio_in_units_of_its_scatter() -> None:
    from scipy.stats import t

    p = differences.p_value(Measured(0.8, 0.0), Measured(0.2, 0.0), SPREAD)
    assert p == pytest.approx(2 * t.sf(math.log(4) / (0.2 * 2**0.5), 10))


def test_the_test_is_symmetric_and_equal_values_are_noise() -> None:
    one, other = Measured(0.02, 0.01), Measured(-0.01, 0.02)
    assert differences.p_value(one, other, SPREAD) == differences.p_value(other, one, SPREAD)
    assert differences.p_value(one, one, SPREAD) == 1
    assert differences.p_value(Measured(0, 0), Measured(0, 0), SPREAD) == 1


def test_a_figure_without_an_error_or_that_is_not_finite_is_not_judged() -> None:
    assert differences.p_value(Measured(1, None), Measured(2, 0.1), SPREAD) is None
    assert differences.p_value(Measured(math.inf, 0.1), Measured(2, 0.1), SPREAD) is None


@pytest.mark.parametrize(("level", "error"), [(0.03, 0.004), (1.0, 0.01), (0.5, 0.2)])
def test_equal_recipes_are_called_noise_and_a_tenth_of_the_way_is_told_apart(level: float, error: float) -> None:
    """Simulated seeds: log-normal between runs, normal between drawings; the run at a tenth lies eight times as far."""
    draw = np.random.default_rng(0)

    def runs(mean: float, error: float) -> list[Measured]:
        true = mean * np.exp(SPREAD.relative * draw.standard_normal(400))
        return [Measured(float(value), error) for value in true + error * draw.standard_normal(400)]

    def told(pairs: zip[tuple[Measured, Measured]]) -> float:
        return float(np.mean([differences.is_told_apart(differences.p_value(*pair, SPREAD)) for pair in pairs]))

    full, again, tenth = runs(level, error), runs(level, error), runs(8 * level, 2 * error)
    assert told(zip(full, again, strict=True)) < 0.1
    assert told(zip(full, tenth, strict=True)) > 0.99


def test_a_spread_is_estimated_from_three_seeds_or_more_without_what_errors_explain() -> None:
    exact = [Measured(value, 0.0) for value in (0.9, 1.0, 1.1)]
    found = differences.estimate([exact])
    assert found is not None
    assert (found.relative, found.degrees) == pytest.approx((0.1, 2))
    noisy = differences.estimate([[Measured(one.value, 0.08) for one in exact]])
    assert noisy is not None
    assert noisy.relative == pytest.approx((0.1**2 - 0.08**2) ** 0.5)
    explained = differences.estimate([[Measured(one.value, 0.3) for one in exact]])
    assert explained is not None
    assert explained.relative == 0
    assert differences.estimate([exact[:2], []]) is None
    assert differences.estimate([[*exact[:2], Measured(1.1, None)]]) is None


def test_the_spread_of_several_recipes_is_pooled_by_their_degrees_of_freedom() -> None:
    draw = np.random.default_rng(1)
    groups = [
        [Measured(float(value), 0.0) for value in mean * (1 + 0.15 * draw.standard_normal(60))] for mean in (0.05, 3.0)
    ]
    found = differences.estimate(groups)
    assert found is not None
    assert found.relative == pytest.approx(0.15, rel=0.15)
    assert found.degrees == 118


def test_more_than_two_runs_are_judged_as_the_librarys_tukey_test_does() -> None:
    from scipy.stats import tukey_hsd

    groups = np.random.default_rng(3).standard_normal((4, 6)) + np.array([[0.0], [0.5], [1.0], [2.5]])
    error = (groups.var(axis=1, ddof=1).mean() / 6) ** 0.5
    theirs = tukey_hsd(*groups).pvalue
    for i, j in itertools.combinations(range(4), 2):
        t = abs(groups[i].mean() - groups[j].mean()) / (2**0.5 * error)
        assert differences.beyond(t, 4 * 5, 4) == pytest.approx(theirs[i, j], abs=1e-6)


def test_more_runs_ask_for_more_and_two_for_students_test() -> None:
    from scipy.stats import t

    assert differences.beyond(3, 5, 2) == pytest.approx(2 * t.sf(3, 5))
    found = [differences.beyond(3, 5, runs) for runs in (2, 3, 6, 12)]
    assert found == sorted(found)
    assert differences.beyond(400, 5, 12) >= 2 * t.sf(400, 5)  # far out the integral is nothing but rounding
    assert 0 < differences.beyond(2, math.inf, 6) < 1


def seeds_of(level: float, count: int = 6) -> list[Figure]:
    """Runs of one recipe that scatter by 20 %, at the normal distribution's quantiles; their errors are a twentieth."""
    quantiles = [NormalDist().inv_cdf((place + 0.5) / count) for place in range(count)]
    return [figure(level * math.exp(0.2 * z), 0.05 * level) for z in quantiles]


@pytest.mark.parametrize("groups", [[], [range(6), range(6, 12)]], ids=["unrelated", "of two recipes"])
def test_among_twelve_runs_every_one_a_tenth_as_long_is_told_apart_and_no_equal_pair(
    groups: list[range], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(differences.MEASURED, "kernel distance", Spread(0.2, 5))
    found = differences.judge("kernel distance", [*seeds_of(0.03), *seeds_of(0.3)], groups)
    told = {pair for pair, p in found.p_values.items() if differences.is_told_apart(p)}
    assert told == set(itertools.product(range(6), range(6, 12)))
    assert found.is_own == bool(groups)


def test_the_benchmark_of_seeds_judges_runs_in_twos_and_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(level: float) -> list[dict[str, Figure]]:
        return [{name: replace(one, name=name) for name in seeds.METRICS_JUDGED} for one in seeds_of(level)]

    for name in seeds.METRICS_JUDGED:
        monkeypatch.setitem(differences.MEASURED, name, Spread(0.2, 5))
    apart, alike = seeds.summarise(measured(0.03), measured(0.3)), seeds.summarise(measured(0.03), measured(0.03))
    for name, way in itertools.product(seeds.METRICS_JUDGED, ("pairwise", "all_at_once")):
        assert apart[way][name] == {"equal_called_noise": 1.0, "tenth_told_apart": 1.0}
        assert alike[way][name] == {"equal_called_noise": 1.0, "tenth_told_apart": 0.0}
    assert apart["spread"]["kernel distance"] == {"relative": pytest.approx(0.19, abs=0.02), "degrees": 10}


def test_of_many_comparisons_of_equal_runs_one_in_twenty_has_a_false_difference() -> None:
    """Six runs each; the spread is as uncertain as one of six seeds. The two that lie farthest apart decide."""
    draw, count = np.random.default_rng(0), 600
    known = 0.2 * np.sqrt(draw.chisquare(5, count) / 5)
    runs = 0.03 * np.exp(0.2 * draw.standard_normal((count, 6)))
    false = [
        differences.is_told_apart(
            differences.p_value(Measured(each.min(), 0.0), Measured(each.max(), 0.0), Spread(float(spread), 5), 6)
        )
        for each, spread in zip(runs, known, strict=True)
    ]
    assert 0.025 < np.mean(false) < 0.075


def test_where_real_pictures_value_is_unknown_errors_alone_count() -> None:
    """3.0 and 3.2 bits/dim are far apart for their errors, and near each other for a spread of a fifth of them."""
    values = {"a": 3.0, "b": 3.2, "c": 3.001}
    bits = {name: figure(value, 0.01, name="likelihood, bits/dim", floor=None) for name, value in values.items()}
    found = judge([contestant(name, one, recipe="x") for name, one in bits.items()], Asked(by="likelihood, bits/dim"))
    assert [(place.run.name, place.verdict) for place in found.places] == [
        ("a", "best"),
        ("c", "noise"),
        ("b", "told apart"),
    ]
    assert "error alone" in found.how
    assert "spread between seeds never measured" in found.how
    assert found.to_json()["spread"] is None


def test_ranks_are_shared_where_nothing_is_told_apart() -> None:
    better = {(0, 2): True, (1, 2): True, (0, 1): False}
    assert differences.ranks(3, better) == [(1, 2), (1, 2), (3, 3)]
    assert differences.ranks(2, {}) == [(1, 2), (1, 2)]


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(UserError, match="scipy") as error:
        gathering.check([Path("a"), Path("b")], Asked())
    assert "allaprima[evaluate]" in error.value.remedy


# -- the ranking --------------------------------------------------------------------------------------------------------------


def contestant(name: str, *figures: Figure, recipe: str | None = None, **changes: Any) -> Contestant:
    report = {
        "features": "domain: 3 classes",
        "features_identity": "n",
        "split": "test",
        "held_out_pictures": 100,
        "samples": 200,
        "seed": 0,
        "dataset_fingerprint": "f",
        "weights_sha256": name,
        "not_measured": {"frechet distance": {"problem": "too few pictures", "remedy": "prepare more"}},
    }
    known = {one.name: one for one in figures}
    given: dict[str, Any] = {"run": Path(name), "report": report, "is_stranger": False, "bundle": None}
    return Contestant(**{"name": name, "figures": known, "recipe": recipe, **given, **changes})


def test_runs_are_ranked_by_value_with_shared_ranks_for_noise() -> None:
    found = judge([contestant(name, figure(value)) for name, value in (("c", 2.0), ("a", 0.2), ("b", 0.21))], Asked())
    assert [(place.run.name, place.ranks, place.verdict) for place in found.places] == [
        ("a", (1, 2), "best"),
        ("b", (1, 2), "noise"),
        ("c", (3, 3), "told apart"),
    ]
    lines = found.table().splitlines()
    assert lines[4].startswith("1–2   a")
    assert "noise (p = " in lines[5]
    assert "told apart (p" in lines[6]
    assert found.is_default
    assert "counting each figure's error, and that training seeds alone move a run's distance by about" in found.how
    assert "after Tukey for 3 runs" in found.how
    assert found.how.endswith("(measured on another set).")


@pytest.mark.parametrize(
    ("name", "features", "words"),
    [
        ("kernel distance", "pixels: 8×8", "measured for other features on another set"),
        ("copy rate", "domain: 3 classes", "measured for other figures on another set"),
        ("copy rate", "pixels: 8×8", "measured for other figures and features on another set"),
    ],
)
def test_a_spread_of_other_features_or_figures_is_called_so(name: str, features: str, words: str) -> None:
    runs = [contestant(run, figure(value, name=name, features=features)) for run, value in (("a", 1.0), ("b", 2.0))]
    assert words in judge(runs, Asked(by=name)).how


def test_features_are_those_of_the_figure_and_left_out_where_it_has_none() -> None:
    def heads(features: str) -> tuple[str, str]:
        runs = [contestant(run, figure(value, features=features)) for run, value in (("a", 1.0), ("b", 2.0))]
        found = judge(runs, Asked())
        return found.table().splitlines()[0], found.to_json()["features"]

    assert heads("pixels: 32 px, mirrored too") == (
        "kernel distance (lower is better) on pixels: 32 px, mirrored too: "
        "200 samples of each run against 100 pictures of the test split",
        "pixels: 32 px, mirrored too",
    )
    without = "kernel distance (lower is better): 200 samples of each run against 100 pictures of the test split"
    assert heads("") == (without, "")


def test_figures_that_are_better_high_are_ranked_high_first() -> None:
    runs = [
        contestant(name, figure(v, 0.001, name="recall", better="higher", floor=None, ceiling=0.95))
        for name, v in (("a", 0.1), ("b", 0.9))
    ]
    found = judge(runs, Asked(by="Recall"))
    assert [place.run.name for place in found.places] == ["b", "a"]
    assert any("never measured" in note for note in found.notes)


def test_three_seeds_of_one_recipe_show_their_own_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(differences.MEASURED, "kernel distance", Spread(0.1, 5))
    values = {"a1": 0.5, "a2": 1.0, "a3": 1.6}
    runs = [contestant(name, figure(value), recipe="a") for name, value in values.items()]
    found = judge([*runs, contestant("b", figure(0.45), recipe="b")], Asked())
    assert not found.is_default
    assert found.spread is not None
    assert found.spread.degrees == 7
    assert found.spread.relative == pytest.approx(((5 * 0.1**2 + 2 * 0.53**2) / 7) ** 0.5, abs=0.01)
    assert "one recipe, 3 seeds: a1, a2, a3" in found.groups[0]
    assert {place.verdict for place in found.places} == {"best", "noise"}
    alone = judge([*runs[:2], contestant("b", figure(0.3), recipe="b")], Asked())
    assert (alone.is_default, alone.spread) == (True, Spread(0.1, 5))


def test_a_model_that_has_hardly_begun_is_told_apart_from_three_seeds_of_a_trained_one() -> None:
    values = {"a": 0.33, "b": 0.34, "c": 0.23, "begun": 5.7}
    runs = [
        contestant(name, figure(value, 0.03 * value), recipe="x" if value < 1 else "y")
        for name, value in values.items()
    ]
    found = judge(runs, Asked())
    assert [place.verdict for place in found.places] == ["best", "noise", "noise", "told apart"]
    assert found.places[-1].ranks == (4, 4)


def test_a_figure_without_an_interval_is_ranked_but_not_judged() -> None:
    found = judge([contestant("a", figure(0.1, None)), contestant("b", figure(5.0))], Asked())
    assert [place.verdict for place in found.places] == ["best", "unknown"]
    assert found.places[0].ranks == (1, 2)
    assert "unknown: no interval" in found.table()


@pytest.mark.parametrize("by", ["fréchet DISTANCE", "frechet distance", "Frechet_distance"])
def test_a_figure_is_found_without_its_accent(by: str) -> None:
    runs = [contestant(name, figure(value, name="Fréchet distance")) for name, value in (("a", 1.0), ("b", 2.0))]
    assert judge(runs, Asked(by=by)).asked.by == "Fréchet distance"


@pytest.mark.parametrize(
    ("by", "problem", "remedy"),
    [
        ("kernal distance", "There is no figure 'kernal distance'", "did you mean 'kernel distance'"),
        ("Fréchet distance", "'a' has no Fréchet distance: too few pictures", "prepare more"),
        ("diversity", "Neither end of diversity", "kernel distance"),
        ("recall", "'b' has no recall", "choose one of: kernel distance"),
    ],
)
def test_a_figure_that_cannot_be_ranked_by_is_refused_with_the_reason(by: str, problem: str, remedy: str) -> None:
    diverse = figure(0.5, name="diversity", better="neither", floor=None)
    runs = [
        contestant("a", figure(1.0), diverse, figure(0.5, name="recall", better="higher", floor=None)),
        contestant("b", figure(1.0), diverse),
    ]
    with pytest.raises(UserError) as error:
        judge(runs, Asked(by=by))
    assert error.value.problem.startswith(problem)
    assert remedy in error.value.remedy


@pytest.mark.parametrize(
    ("metric", "by", "has_reason"),
    [
        ("prdc", "recall", True),
        ("classification score", "classification accuracy score", True),
        ("classification score", "recall", False),
        ("data copying", "C_T", True),
        ("a plug-in of another machine", "A plug-in of another machine", True),
    ],
)
def test_the_reason_for_a_missing_figure_is_that_of_its_metric(metric: str, by: str, has_reason: bool) -> None:
    one = contestant("a")
    one.report["not_measured"] = {metric: {"problem": "too few", "remedy": "more"}}
    reason = one.why_not(by)
    assert (reason is not None) == has_reason
    assert reason is None or reason.problem == f"'a' has no {by}: too few"


def test_every_metric_names_its_figures_and_no_two_have_one_name() -> None:
    modules = [METRICS.get(name) for name in METRICS._modules]
    # what columns there are, only the dataset knows
    assert [one.__name__ for one in modules if not hasattr(one, "FIGURES")] == [
        METRICS.get("following_columns").__name__
    ]
    names = [figure for module in modules for figure in getattr(module, "FIGURES", ())]
    assert len(set(map(gathering.plain, names))) == len(names)
    seen = material(cloud(120, 1), cloud(130, 2), cloud(140, 3))
    for name in ("data_copying", "diversity", "frechet_distance", "kernel_distance", "memorisation", "prdc"):
        module = METRICS.get(name)
        assert {one.name for one in module.measure(seen)} <= set(module.FIGURES)


# -- runs on the disk -----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "names", lambda: list(MEASURED))


def make_run(folder: Path, dataset: Path, seed: int = 0, width: int = 4, **settings: Any) -> Path:
    fingerprint = Dataset.open(dataset).manifest.fingerprint
    bundle = untrained(16, classes=["blue", "green", "red"], latent_dim=width)
    draw = torch.Generator().manual_seed(seed)
    for weight in bundle.generator.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=draw)
    bundle.description.provenance["dataset_fingerprint"] = fingerprint
    save(bundle, folder / "bundle")
    known = {"format": "allaprima-run", "version": 1, "dataset": str(dataset), "fingerprint": fingerprint}
    (folder / "run.json").write_text(json.dumps(known))
    (folder / "run.yaml").write_text(yaml.safe_dump({"method": "gan", "seed": seed, **settings}))
    return folder


@pytest.fixture
def runs(tmp_path: Path, tiny_dataset: Path) -> list[Path]:
    return [make_run(tmp_path / f"run{seed}", tiny_dataset, seed) for seed in range(2)]


ASKED = Asked(features="pixels", count=30)


def test_runs_without_a_report_are_measured_once_and_reports_are_used_again(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    first = compare(runs, ASKED, DEVICE, said.append)
    assert said == ["measuring 'run0'", "measuring 'run1'"]
    assert (runs[0] / "report" / "report.html").is_file()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(evaluation, "evaluate", refuse)
    again = compare(runs, ASKED, DEVICE)
    assert [place.figure for place in again.places] == [place.figure for place in first.places]
    assert again.groups
    assert again.groups[0].startswith("one recipe, 2 seeds: ")


@pytest.mark.parametrize(
    "change",
    [{"count": 20}, {"seed": 1}, {"split": "validation"}, {"features": "domain"}],
    ids=lambda change: next(iter(change)),
)
def test_a_report_that_was_made_otherwise_is_not_used_and_not_overwritten(
    runs: list[Path], change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(runs, ASKED, DEVICE)
    before = (runs[0] / "report" / "report.json").read_bytes()
    made: list[Path] = []

    def note(*given: Any, out: Path, **how: Any) -> None:
        made.append(out)
        raise UserError("stop", "here")

    monkeypatch.setattr(evaluation, "evaluate", note)
    with pytest.raises(UserError, match="stop"):
        compare(runs, Asked(**{**ASKED.__dict__, **change}), DEVICE)
    assert made == [runs[0] / "report-compare"]
    assert (runs[0] / "report" / "report.json").read_bytes() == before


def change_report(folder: Path, **values: Any) -> None:
    path = folder / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_reports_of_another_net_of_the_same_name_are_not_ranked_together(runs: list[Path]) -> None:
    first = compare(runs, ASKED, DEVICE)
    change_report(runs[0] / "report", features_identity="an earlier net")
    said: list[str] = []
    again = compare(runs, ASKED, DEVICE, said.append)
    assert said == ["measuring 'run0'"]
    assert {place.run.report["features_identity"] for place in again.places} == {"pixels: 8×8"}
    assert [place.figure for place in again.places] == [place.figure for place in first.places]
    assert json.loads((runs[0] / "report" / "report.json").read_text())["features_identity"] == "an earlier net"
    compare(runs, ASKED, DEVICE, said.append)
    assert len(said) == 1  # the new report stands beside
    change_report(runs[1] / "report", features_identity=None)  # who knows which
    compare(runs, ASKED, DEVICE, said.append)
    assert said[1:] == ["measuring 'run1'"]


def test_a_net_that_is_another_one_each_time_is_refused(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = evaluation.evaluate

    def forgetful(run: Path, *given: Any, **how: Any) -> None:
        real(run, *given, **how)
        change_report(how["out"], features_identity=f"net of {run.name}")

    monkeypatch.setattr(evaluation, "evaluate", forgetful)
    with pytest.raises(UserError, match="another net for each run") as error:
        compare(runs, ASKED, DEVICE)
    assert "writable" in error.value.remedy


def test_a_misspelt_figure_is_refused_before_anything_is_measured(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no figure 'kernal distance'") as error:
        compare(runs, Asked(**{**ASKED.__dict__, "by": "kernal distance"}), DEVICE)
    assert "did you mean 'kernel distance'" in error.value.remedy
    assert not list(runs[0].glob("report*"))
    monkeypatch.delattr(METRICS.get("prdc"), "FIGURES")  # a plug-in need not say what it yields
    gathering.check_figure("kernal distance")


def test_a_report_of_earlier_weights_is_replaced(runs: list[Path], tiny_dataset: Path) -> None:
    first = compare(runs, ASKED, DEVICE)
    shutil.rmtree(runs[0] / "bundle")
    make_run(runs[0], tiny_dataset, seed=5)
    said: list[str] = []
    second = compare(runs, ASKED, DEVICE, said.append)
    assert said == ["measuring 'run0'"]
    by_name = [{place.run.name: place.figure.value for place in found.places} for found in (first, second)]
    assert by_name[0]["run1"] == by_name[1]["run1"]
    assert by_name[0]["run0"] != by_name[1]["run0"]


def test_runs_of_different_pictures_are_refused_unless_one_set_is_named(
    runs: list[Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other, ignore=lambda where, names: ["features"])
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "other"}))
    stranger = make_run(tmp_path / "stranger", other, 3)
    with pytest.raises(UserError, match="trained on different pictures") as error:
        compare([runs[0], stranger], ASKED, DEVICE)
    assert "--dataset" in error.value.remedy
    found = compare([runs[0], stranger], Asked(**{**ASKED.__dict__, "dataset": tiny_dataset}), DEVICE)
    assert any("stranger: trained on other pictures" in note for note in found.notes)
    assert found.groups == []


def test_runs_that_cannot_be_compared_are_refused_plainly(runs: list[Path], tmp_path: Path) -> None:
    for given, words in (
        (runs[:1], "One run"),
        ([], "One run"),
        ([runs[0], runs[0]], "the same run"),
        ([runs[0], runs[0] / "bundle"], "the same run"),
        ([runs[0], tmp_path / "nowhere"], "nowhere"),
    ):
        with pytest.raises(UserError, match=words):
            compare(given, ASKED, DEVICE)
    (tmp_path / "begun").mkdir()
    shutil.copy(runs[0] / "run.json", tmp_path / "begun")
    with pytest.raises(UserError):
        compare([runs[0], tmp_path / "begun"], ASKED, DEVICE)
    for change, words in (({"split": "tset"}, "no held-out split"), ({"features": "pixel"}, "Unknown feature")):
        with pytest.raises(UserError, match=words):
            compare(runs, Asked(**{**ASKED.__dict__, **change}), DEVICE)
    assert not list(tmp_path.glob("run*/report*"))


def test_runs_of_one_name_are_called_by_their_paths(runs: list[Path], tmp_path: Path) -> None:
    assert gathering._names([Path("a/cats"), Path("b/cats"), Path("b/dogs")]) == ["a/cats", "b/cats", "dogs"]


def test_the_command_writes_json_and_a_page_that_needs_nothing_else(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "compare.json"
    words = ["compare", *map(str, runs), "--features", "pixels", "--count", "30", "--out", str(out)]
    seen = CliRunner().invoke(build(), words)
    assert seen.exit_code == 0, seen.exception
    assert "kernel distance (lower is better)" in seen.stdout
    written = json.loads(out.read_text())
    assert {Path(one["run"]) for one in written["ranking"]} == set(runs)
    assert written["features"] == "pixels: 8×8"
    assert len(written["pairs"]) == 1
    text = out.with_suffix(".html").read_text()
    assert "http" not in text
    assert "<script" not in text
    assert text.count("sample 8") == 2
    assert CliRunner().invoke(build(), words).exit_code == 0  # its own earlier result may be replaced


def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    for name, content in (("compare.json", "[1]"), ("notes.txt", "x")):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError):
            comparison.refuse_taken(tmp_path / name)
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(UserError):
        comparison.refuse_taken(tmp_path / "page.json")
    comparison.refuse_taken(tmp_path / "free.json")


def test_names_of_strangers_are_made_safe_on_the_page(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    evil = runs[0].rename(runs[0].with_name("<script>x"))
    text = page(compare([evil, runs[1]], ASKED, DEVICE))
    assert "<script" not in text
    assert "&lt;script&gt;x" in text


@pytest.mark.parametrize(("name", "features"), [("FID", "inception"), ("KID", "inception"), ("FD-DINOv2", "dinov2")])
def test_the_name_that_papers_use_is_answered_with_the_features_it_needs(name: str, features: str) -> None:
    from allaprima.evaluation.contestants import check_figure

    with pytest.raises(UserError, match=f"--features {features}"):
        check_figure(name)


def test_two_folds_are_too_few_for_an_interval() -> None:
    assert differences.t_interval([0.1, 0.2]) is None
    assert differences.t_interval([0.1, 0.2, 0.3]) is not None
