"""The search for settings: compared fairly, told honestly, never lost, and over when it said."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from allaprima.cli._app import build, main
from allaprima.core.config import load
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.core.spans import Between, Multiples, OneOf, Times
from allaprima.data.dataset import Dataset
from allaprima.methods import METHODS
from allaprima.recipes import config_of
from allaprima.training import checkpoint, loop, stats
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.loop import Outcome
from allaprima.training.planner import Measured
from allaprima.training.session import DivergedError, Session
from allaprima.training.stopping import Best
from allaprima.training.tuning import planning, search, trials
from allaprima.training.tuning.asked import Asked, fixed_keys
from allaprima.training.tuning.report import Found, page
from allaprima.training.tuning.tune import tune
from tests.conftest import write_tiny_dataset
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

TINY = [*TINY_GAN, *(one for one in LOOP if "batch_size" not in one), PIXELS]
IMAGES = 192


def asked(*changes: str, **bounds: Any) -> Asked:
    words = [*TINY, *changes]
    bounds = bounds or {"trials": 3, "images": IMAGES}
    return Asked(config=load(RunConfig, {}, ["training.batch_size=16", *words]), fixed=fixed_keys(words), **bounds)


def quiet(text: str) -> None:
    pass


def timeless(found: Found | None) -> Any:
    assert found is not None
    return replace(found, rows=[replace(row, seconds=0.0) for row in found.rows])


@pytest.fixture
def dataset(tiny_dataset: Path) -> Dataset:
    return Dataset.open(tiny_dataset)


@pytest.fixture(scope="module")
def whole(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    """A search of three real trials, in its folder. Do not change it."""
    before = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("tune") / "search"
    found = tune(Dataset.open(tiny_dataset), folder, asked(), quiet)
    torch.set_num_threads(before)
    assert found is not None
    return folder, found


# -- a whole search -------------------------------------------------------------------------------------------------------


def test_the_first_trial_has_the_defaults_and_the_others_have_not(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    configs = [runs.read_config(folder / "trials" / f"{number:03d}") for number in range(3)]
    defaults = asked().config.with_recommended()
    pictures = len(runs.open_run(folder / "trials" / "000").dataset.indices("train"))
    assert configs[0].method == defaults.method.for_pictures(pictures)
    assert configs[0].training.lr == defaults.training.lr
    for row, config in zip(found.rows[1:], configs[1:], strict=True):
        assert config != configs[0]
        words = [f"{key}={value}" for key, value in row.settings.items()]
        assert load(RunConfig, config.model_dump(mode="json"), words) == config  # what is told is what was run


def test_figures_are_those_of_the_runs_best_moments(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    for row in found.rows:
        lines = stats.read(folder / "trials" / f"{row.number:03d}")
        assert row.figure == min(line["validation/kernel_distance"] for line in lines)


def test_what_is_recommended_is_at_least_as_good_as_the_defaults(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    figures = {row.number: row.figure for row in found.rows}
    assert found.best == min((1, 2), key=lambda number: figures[number])
    chosen = found.best if found.holds else 0
    assert figures[chosen] <= figures[0]
    again = {name: found.again[name]["figure"] for name in ("defaults", "best")}
    assert found.holds == (figures[found.best] < figures[0] and again["best"] < again["defaults"])
    recommended = config_of(str(folder / "best.yaml"))
    assert recommended == load(RunConfig, asked().config.model_dump(mode="json"), found.changes if found.holds else [])


def test_the_two_last_runs_have_another_seed_than_the_trials(whole: tuple[Path, Found]) -> None:
    folder, _ = whole
    seeds = {path.parent.name: runs.read_config(path.parent).seed for path in folder.glob("*/*/run.yaml")}
    assert seeds == {"000": 0, "001": 0, "002": 0, "defaults": 1, "best": 1}


def test_checkpoints_of_the_best_trial_alone_are_kept(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    assert [path.parent.name for path in folder.glob("trials/*/checkpoints")] == [f"{found.best:03d}"]
    assert len(list(folder.glob("trials/*/bundle/bundle.json"))) == 3


def test_the_page_stands_alone_and_tells_every_trial(whole: tuple[Path, Found]) -> None:
    folder, found = whole
    text = (folder / "tune.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert text.count("<circle") == 3
    for row in found.rows:
        assert f"{row.figure:.4f}" in text
    values = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    assert [row["figure"] for row in values["rows"]] == [row.figure for row in found.rows]


def test_the_same_search_gives_the_same_figures(whole: tuple[Path, Found], dataset: Dataset, tmp_path: Path) -> None:
    assert timeless(tune(dataset, tmp_path / "search", asked(), quiet)) == timeless(whole[1])


def test_a_finished_search_is_told_again_without_training(
    whole: tuple[Path, Found], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_step", None)
    assert timeless(tune(dataset, whole[0], asked(), quiet)) == timeless(whole[1])


def test_the_test_split_is_never_looked_at(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    indices, looked = Dataset.indices, []

    def watched(self: Dataset, split: str) -> Any:
        looked.append(split)
        return indices(self, split)

    monkeypatch.setattr(Dataset, "indices", watched)
    assert tune(dataset, tmp_path / "search", asked(trials=2, images=32), quiet) is not None
    assert set(looked) == {"train", "validation"}


# -- stopped and gone on with ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.04, 0.3, 0.5, 0.7, 0.95])
def test_a_search_that_was_stopped_ends_as_one_that_never_was(
    whole: tuple[Path, Found], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    at = round(share * all_steps(whole[0]))
    step, taken = Session._step, 0

    def counted(session: Session) -> None:
        nonlocal taken
        step(session)
        taken += 1
        if taken == at:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_step", counted)
        assert tune(dataset, tmp_path / "search", asked(), quiet) is None
    assert taken == at
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_step", counted)
        found = tune(dataset, tmp_path / "search", asked(), quiet)
    assert timeless(found) == timeless(whole[1])
    assert taken == all_steps(whole[0])  # nothing was trained twice


def all_steps(folder: Path) -> int:
    """Of all runs of a search."""
    configs = [runs.read_config(path.parent) for path in folder.glob("*/*/run.yaml")]
    return sum(math.ceil(config.budget.images / config.training.batch_size) for config in configs)


def test_a_search_killed_between_a_trial_and_its_record_goes_on(
    whole: tuple[Path, Found], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(optuna.study.Study, "tell", killed)
        tune(dataset, tmp_path / "search", asked(), quiet)
    assert timeless(tune(dataset, tmp_path / "search", asked(), quiet)) == timeless(whole[1])


def test_more_trials_later_go_on_with_those_that_are_there(
    whole: tuple[Path, Found], dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "search")
    found = tune(dataset, tmp_path / "search", asked(trials=4, images=IMAGES), quiet)
    assert found is not None
    assert len(found.rows) == 4
    assert timeless(found).rows[:3] == timeless(whole[1]).rows


# -- cut short by the figure ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
def test_a_trial_is_cut_short_when_its_figure_is_worse_than_the_median(tmp_path: Path, better: str, sign: int) -> None:
    space = {"training.lr": Between(1e-4, 1e-2, log=True)}
    with trials.open_study(tmp_path / "study.db", better, ticks=5) as study:

        def trial_of(*figures: float) -> int:
            """How many ticks it came to."""
            trial = trials.next_trial(study, {"training.lr": 1e-3}, 0, 10)
            trials.suggest(trial, space)
            hopeless = trials.watcher(trial, ticks=5, images=100)
            for tick, figure in enumerate(figures, 1):
                if hopeless(20 * tick, sign * figure):
                    from optuna.trial import TrialState

                    study.tell(trial, state=TrialState.PRUNED)
                    return tick
            study.tell(trial, sign * figures[-1])
            return len(figures)

        assert [trial_of(9, 8, 7, 6, value) for value in (1, 2, 3, 4)] == [5] * 4  # none before there is a median
        assert trial_of(9, 9, 9, 9, 9) == 2  # at 40 % of the way, not before
        assert trial_of(9, 8, 7, 7, 0) == 4
        assert trial_of(8, 7, 6, 5, 90) == 5  # the end is the end


def test_settings_that_do_not_learn_are_cut_short_and_the_images_saved(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = METHODS.get("gan").Config
    monkeypatch.setattr(config, "searched", {**dict.fromkeys(trials.COMMON), "training.lr": OneOf((1e-9,))})
    monkeypatch.setattr(trials, "UNCUT_TRIALS", 1)
    found = tune(dataset, tmp_path / "search", asked("training.ticks=5", trials=6, images=960), quiet)
    assert found is not None
    cut = [row for row in found.rows if row.figure is None]
    assert cut
    assert cut == [row for row in found.rows if row.settings["training.lr"] == 1e-9]  # the others repeat the defaults
    for row in cut:
        seen = stats.read(tmp_path / "search" / "trials" / f"{row.number:03d}")[-1]["num_images_seen"]
        assert 0.4 <= row.share == pytest.approx(seen / 960)
        assert seen < 960


# -- what is searched -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS.names())
def test_every_setting_that_a_method_names_can_be_searched(name: str) -> None:
    config = load(RunConfig, {"method": name}).with_recommended()
    space, defaults = trials.space_of(config, (), epochs=50.0)
    named = {**trials.COMMON, **getattr(config.method, "searched", {})}
    assert set(space) == {key for key, span in named.items() if span is not None and not is_off(config, key)}
    for key, span in space.items():
        ends = span.values if isinstance(span, OneOf) else (span.low, span.high)
        assert defaults[key] in ends or min(ends) <= defaults[key] <= max(ends)
        for value in ends:
            load(RunConfig, config.model_dump(mode="json"), [f"{key}={trials.rounded(value)}"])


def test_a_private_method_is_not_searched() -> None:
    config = load(RunConfig, {"method": "dp_merf"}).with_recommended()
    with pytest.raises(UserError, match="private"):
        trials.refuse_private(config)
    trials.refuse_private(load(RunConfig, {"method": "gan"}))


def is_off(config: RunConfig, key: str) -> bool:
    return functools.reduce(getattr, key.split("."), config) == 0 and isinstance(
        config.method.searched.get(key, trials.COMMON.get(key)), Times
    )


def test_what_a_person_sets_is_not_searched() -> None:
    config = load(RunConfig, {"method": "gan"}, ["training.lr=2e-3"]).with_recommended()
    words = ["training.lr=2e-3", "training={beta2: .9}", "method=gan"]
    space, _ = trials.space_of(config, fixed_keys(words), 1.0)
    assert not {"training.lr", "training.beta2"} & set(space)
    assert "method.penalty_weight" in space  # naming the method fixes nothing of it


def test_a_setting_that_is_switched_off_is_not_searched() -> None:
    config = load(RunConfig, {"method": "gan"}, ["method.penalty=none"]).with_recommended()
    assert "method.penalty_weight" not in trials.space_of(config, (), 1.0)[0]


def test_spans_hold_the_default() -> None:
    assert Times(0.5, 2).around(0.1) == Between(0.05, 0.2, log=True)
    assert Times(0.5, 2).around("auto") is None
    assert Between(0, 1).around(3) == Between(0, 3)
    assert OneOf((1, 2)).around(3) == OneOf((1, 2, 3))
    assert Multiples((0.5, 1, 2)).around(5) == OneOf((2, 5, 10))


def test_the_gans_automatic_settings_are_the_numbers_that_the_search_takes_for_them(
    dataset: Dataset, tmp_path: Path
) -> None:
    images, pictures = 1600, len(dataset.indices("train"))  # enough epochs for some augmentation
    begin = load(RunConfig, {"budget": {"images": images}}, [*TINY, "training.batch_size=80", "training.ticks=1"])
    method = begin.method.settled(images / pictures)
    assert method.augment_probability > 0
    assert "auto" not in (method.penalty_weight, method.augment_probability)
    states = []
    for name, config in (("auto", begin), ("numbers", begin.model_copy(update={"method": method}))):
        loop.train(runs.create(tmp_path / name, config, dataset), quiet)
        newest, _ = checkpoint.newest(tmp_path / name / "checkpoints")
        assert newest is not None
        states.append(checkpoint.load(newest)[0])
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


# -- the budget, by a clock of our own ------------------------------------------------------------------------------------


@dataclass
class Machine:
    """Runs that take no time: a clock that they move on, and figures that depend on the learning rate alone."""

    monkeypatch: pytest.MonkeyPatch
    speed: float = 100.0
    slowdown: float = 1.0
    overhead: float = 4.0
    now: float = 1000.0
    figure: Callable[[RunConfig], float] = lambda config: abs(math.log(config.training.lr / 2e-3)) + 0.1

    def __post_init__(self) -> None:
        self.ran: list[RunConfig] = []
        self.monkeypatch.setattr(search.time, "monotonic", lambda: self.now)
        self.monkeypatch.setattr(planning, "Speedometer", lambda run, device, seconds: self)
        self.monkeypatch.setattr(search.loop, "train", self.train)

    def measure(self, config: RunConfig) -> Measured:
        self.now += 1.5
        return Measured(self.speed * config.training.batch_size / 16)

    def time_left(self) -> float:
        return 0.0

    def train(self, run: runs.Run, say: Any, give_up: Callable[[int, float], bool]) -> Outcome:
        self.ran.append(run.config)
        figure, images = self.figure(run.config), run.config.budget.images
        if images is None:  # a run with minutes keeps to them by itself
            self.now += 60 * run.config.budget.minutes
            return Outcome("finished", 1, 1, Best(figure=figure), 0.0)
        ticks = run.config.training.ticks
        self.now += self.overhead
        for tick in range(1, ticks + 1):
            seen = images * tick // ticks
            rate = self.speed * run.config.training.batch_size / 16 / self.slowdown
            self.now += images / ticks / rate
            if give_up(seen, figure + 1 / tick):
                return Outcome("early", seen, images, Best(figure=figure), 0.0)
        return Outcome("finished", images, images, Best(figure=figure), 0.0)


@pytest.mark.parametrize(("minutes", "slowdown"), [(5, 1.0), (12, 1.3), (60, 0.8)])
def test_a_search_ends_within_a_twentieth_of_its_minutes(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, slowdown: float
) -> None:
    machine = Machine(monkeypatch, slowdown=slowdown)
    began = machine.now
    found = tune(dataset, tmp_path / "search", asked(minutes=minutes), quiet)
    assert found is not None
    assert len(found.rows) >= 4
    assert (machine.now - began) / 60 == pytest.approx(minutes, rel=0.05)


def test_the_minutes_of_a_search_are_those_of_all_its_processes(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    began, train = machine.now, machine.train

    def stopping(run: runs.Run, say: Any, give_up: Any) -> Outcome:
        if len(machine.ran) == 3:
            machine.ran.append(run.config)
            return Outcome("stopped", 0, 0, Best(), 0.0)
        return train(run, say, give_up)

    with monkeypatch.context() as patch:
        patch.setattr(search.loop, "train", stopping)
        assert tune(dataset, tmp_path / "search", asked(minutes=20), quiet) is None
    worked = machine.now - began
    machine.now += 3600.0  # nobody works meanwhile
    began = machine.now
    assert tune(dataset, tmp_path / "search", asked(minutes=20), quiet) is not None
    assert (worked + machine.now - began) / 60 == pytest.approx(20, rel=0.05)


def test_every_batch_size_gets_the_same_time(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    found = tune(dataset, tmp_path / "search", asked(minutes=60), quiet)
    assert found is not None
    trials = [config for config in machine.ran if config.budget.images is not None]
    seconds = {c.training.batch_size: c.budget.images / (machine.speed * c.training.batch_size / 16) for c in trials}
    assert len(seconds) == 3
    assert max(seconds.values()) / min(seconds.values()) < 1.02


def test_a_search_finds_the_better_learning_rate_and_says_that_it_holds(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(monkeypatch)
    found = tune(dataset, tmp_path / "search", asked(minutes=60), quiet)
    assert found is not None
    assert found.holds
    assert found.best is not None
    rates = {row.number: row.settings["training.lr"] for row in found.rows}
    assert abs(math.log(rates[found.best] / 2e-3)) < 0.5 * abs(math.log(rates[0] / 2e-3))
    assert config_of(str(tmp_path / "search" / "best.yaml")).training.lr == rates[found.best]
    assert "--recipe" in found.table(tmp_path / "search", "cats")


def test_what_was_luck_is_not_recommended(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lucky(config: RunConfig) -> float:
        return 0.5 if config.training.lr == 1e-3 else (0.1 if config.seed == 0 else 0.9)

    Machine(monkeypatch).figure = lucky
    found = tune(dataset, tmp_path / "search", asked(minutes=20), quiet)
    assert found is not None
    assert not found.holds
    assert config_of(str(tmp_path / "search" / "best.yaml")) == asked().config
    assert "keep the defaults" in found.table(tmp_path / "search", "cats")


def test_settings_that_diverge_cost_a_trial_and_not_the_search(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touchy(config: RunConfig) -> float:
        if config.training.lr > 1.2e-3:
            raise DivergedError("Training diverges", "use a smaller step")
        return config.training.lr

    Machine(monkeypatch).figure = touchy
    lines: list[str] = []
    found = tune(dataset, tmp_path / "search", asked(minutes=20), lines.append)
    assert found is not None
    assert any("diverged" in line for line in lines)
    assert {row.figure is None for row in found.rows if row.settings["training.lr"] > 1.2e-3} == {True}
    page(found, tmp_path)


def test_a_full_disk_ends_the_search_plainly_and_it_goes_on_later(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)

    def full(config: RunConfig) -> float:
        if len(machine.ran) == 3:
            raise UserError("No space left on the disk", "free some space")
        return 0.5

    machine.figure = full
    with pytest.raises(UserError, match="No space"):
        tune(dataset, tmp_path / "search", asked(trials=5, images=320), quiet)
    machine.figure = lambda config: 0.5
    found = tune(dataset, tmp_path / "search", asked(trials=5, images=320), quiet)
    assert found is not None
    assert [row.number for row in found.rows] == [0, 1, 2, 3, 4]
    assert all(row.figure == 0.5 for row in found.rows)


# -- plain words ----------------------------------------------------------------------------------------------------------


def test_a_search_of_other_pictures_is_refused(whole: tuple[Path, Found], tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "others", seed=1)
    with pytest.raises(UserError, match="begun on other pictures") as caught:
        tune(Dataset.open(tmp_path / "others"), whole[0], asked(), quiet)
    assert "another folder" in caught.value.remedy


def test_a_search_of_another_method_or_other_settings_is_refused(whole: tuple[Path, Found], dataset: Dataset) -> None:
    with pytest.raises(UserError, match=r"method\.loss was relativistic, now hinge"):
        tune(dataset, whole[0], asked("method.loss=hinge"), quiet)
    vae = Asked(config=load(RunConfig, {"method": "vae"}), trials=3, images=IMAGES)
    with pytest.raises(UserError, match=r"method\.name was gan, now vae"):
        tune(dataset, whole[0], vae, quiet)


def test_a_folder_that_holds_something_else_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="holds no search"):
        tune(dataset, tmp_path, asked(), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_two_processes_do_not_search_in_one_folder(dataset: Dataset, tmp_path: Path) -> None:
    with claim_folder(tmp_path / "search"), pytest.raises(UserError, match="in use by another process"):
        tune(dataset, tmp_path / "search", asked(), quiet)
    assert [path.name for path in (tmp_path / "search").iterdir()] == [".lock"]


def test_a_damaged_record_is_told_plainly(whole: tuple[Path, Found], dataset: Dataset, tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "search")
    (tmp_path / "search" / "study.db").write_bytes(b"this is no database, whatever it was before" * 100)
    with pytest.raises(UserError, match="cannot be used") as caught:
        tune(dataset, tmp_path / "search", asked(), quiet)
    assert "another folder" in caught.value.remedy


@pytest.mark.parametrize(
    ("bounds", "words"),
    [({}, "Nothing says"), ({"trials": 3}, "Nothing says"), ({"minutes": 5, "trials": 1}, "trials")],
)
def test_bounds_that_bound_nothing_are_refused(bounds: dict[str, Any], words: str) -> None:
    from allaprima.core.config import validate

    with pytest.raises(UserError, match=words):
        validate(Asked, {"config": RunConfig(), **bounds})


def test_minutes_too_few_for_a_search_are_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(monkeypatch)
    with pytest.raises(UserError, match="too few for a search") as caught:
        tune(dataset, tmp_path / "search", asked(minutes=0.3), quiet)
    assert "--minutes" in caught.value.remedy


def test_the_command_names_the_extra_when_optuna_is_missing(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(sys, "argv", ["allaprima", "tune", str(tiny_dataset), str(tmp_path / "search")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "allaprima[tune]" in capsys.readouterr().err
    assert not (tmp_path / "search").exists()


def test_the_command_searches_and_says_what_to_do_next(tiny_dataset: Path, tmp_path: Path) -> None:
    words = [word for change in TINY for word in ("--set", change)]
    bounds = ["--trials", "2", "--images", "32", "--set", "training.batch_size=16"]
    seen = CliRunner().invoke(build(), ["tune", str(tiny_dataset), str(tmp_path / "search"), *bounds, *words])
    assert seen.exit_code == 0, seen.output
    assert "2 trials of 32 images" in seen.output
    assert "the defaults" in seen.output
    assert "trial 1: --set " in seen.output
    assert "training.batch_size" not in seen.output.partition("trial 1: ")[2]  # it was fixed
    begun = CliRunner().invoke(
        build(),
        ["train", "-", str(tmp_path / "run"), "--recipe", str(tmp_path / "search" / "best.yaml"), "--dry-run"],
    )
    assert begun.exit_code == 0, begun.output
    assert "batch_size: 16" in begun.output
