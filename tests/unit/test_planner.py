"""What a budget buys: choices that follow from images alone or from measured speeds, and a clock that is kept to."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from allaprima.core.config import load, to_yaml
from allaprima.core.scaling import WIDTHS, Scaling
from allaprima.data.dataset import Dataset
from allaprima.training import allowance, command, loop, planner, stats
from allaprima.training import run as runs
from allaprima.training.budget import Pace, Plan
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from allaprima.training.planner import Choice, Measured
from allaprima.training.session import Session
from tests.unit._runs import PIXELS, TINY_GAN, Machine, one_thread

__all__ = ["one_thread"]  # used by pytest

MANY = 1_000_000  # pictures
METHODS = ["gan", "vae"]
NOTHING_CHOSEN: list[str] = []


def config_of(method: str = "gan", *changes: str) -> RunConfig:
    return load(RunConfig, {}, [f"method={method}", *changes])


def cpu(config: RunConfig) -> Measured:
    """Two cores: the time for a picture grows with the width, whatever the batch."""
    width = planner.width_of(config) or 32
    return Measured(606 * (width / 32) ** -1.3)


def gpu(config: RunConfig) -> Measured:
    """Forty steps a second until 40 million pictures of width 1 a second are too many for it."""
    width, batch = planner.width_of(config) or 32, config.training.batch_size
    return Measured(1 / max(1 / (40 * batch), width**1.8 / 4e7))


def slow(config: RunConfig) -> Measured:
    return Measured(cpu(config).images_per_second / 20)


MACHINES = {"cpu": cpu, "gpu": gpu, "slow": slow}


def choose(
    minutes: float, machine: str = "cpu", method: str = "gan", pictures: int = MANY, changes: list[str] = NOTHING_CHOSEN
) -> Choice:
    measure = MACHINES[machine]
    config = config_of(method, f"budget={{minutes: {minutes}}}", *changes)
    return planner.for_minutes(config, pictures, minutes * 60, measure, lambda: 1.0, flat=machine == "gpu")


# -- what is chosen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_longer_budget_never_buys_smaller_nets_or_batches_or_fewer_looks(method: str, machine: str) -> None:
    chosen = [choose(minutes, machine, method).config for minutes in (1, 2, 5, 10, 30, 60, 120, 300, 600, 3000)]
    for shorter, longer in pairwise(chosen):
        assert planner.width_of(longer) >= planner.width_of(shorter)  # type: ignore[operator]  # both have one
        assert longer.training.batch_size >= shorter.training.batch_size
        assert longer.training.ticks >= shorter.training.ticks
        assert longer.training.checkpoint_seconds >= shorter.training.checkpoint_seconds


@pytest.mark.parametrize("method", METHODS)
def test_a_longer_budget_in_images_never_buys_smaller_nets(method: str) -> None:
    chosen = [planner.for_images(config_of(method), MANY, 10**power).config for power in range(3, 10)]
    widths = [planner.width_of(config) for config in chosen]
    assert widths == sorted(widths, key=int)  # type: ignore[arg-type]  # all have one
    assert widths[0] < widths[-1]  # type: ignore[operator]


@pytest.mark.parametrize("method", METHODS)
def test_no_other_width_would_get_further_in_the_same_minutes(method: str) -> None:
    scaling = planner.scaling_of(config_of(method))
    assert scaling is not None
    for minutes in (2, 10, 60, 600):
        found = choose(minutes, method=method)
        width = planner.width_of(found.config)
        assert width is not None
        for other in scaling.widths:
            speed = cpu(planner.with_width(config_of(method), other)).images_per_second
            assert scaling.shortfall(width, found.images) <= 1.0001 * scaling.shortfall(other, speed * minutes * 60)


def test_a_machine_that_is_as_fast_with_wider_nets_gets_them() -> None:
    on_cpu, on_gpu = choose(60, "cpu"), choose(60, "gpu")
    assert planner.width_of(on_gpu.config) > planner.width_of(on_cpu.config)  # type: ignore[operator]


def test_a_machine_that_small_nets_leave_idle_gets_larger_batches() -> None:
    on_cpu, on_gpu = (choose(60, machine, pictures=1_000).config.training.batch_size for machine in ("cpu", "gpu"))
    assert (on_cpu, on_gpu) == (planner.usual_batch(config_of()), 512)


def test_a_larger_batch_leaves_enough_steps() -> None:
    for minutes in (1, 2, 10, 60, 600):
        found = choose(minutes, "gpu")
        batch = found.config.training.batch_size
        assert batch == planner.BATCHES[0] or found.images / batch >= planner.FEWEST_STEPS


@pytest.mark.parametrize("method", METHODS)
def test_a_small_set_bounds_the_width_and_a_large_one_does_not(method: str) -> None:
    scaling = planner.scaling_of(config_of(method))
    assert scaling is not None
    small, large = (choose(10**5, "gpu", method, pictures) for pictures in (300, MANY))
    assert planner.width_of(small.config) == scaling.narrowest
    assert planner.width_of(large.config) == WIDTHS[-1]
    widths = [scaling.widest(pictures) for pictures in (10, 1_000, 5_000, 20_000, 100_000, 10**9)]
    assert widths == sorted(widths)


def test_nothing_beyond_the_widest_is_chosen_however_long_the_budget() -> None:
    assert planner.width_of(choose(10**6, "gpu").config) == WIDTHS[-1]
    assert planner.width_of(planner.for_images(config_of(), 10**9, 10**15).config) == WIDTHS[-1]


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_fit_into_memory_is_not_chosen(method: str) -> None:
    def measure(config: RunConfig) -> Measured | None:
        return gpu(config) if planner.width_of(config) <= 96 else None  # type: ignore[operator]

    config = config_of(method)
    found = planner.for_minutes(config, MANY, 36_000, measure, lambda: 1.0, flat=True)
    assert planner.width_of(found.config) == 96


def test_the_batch_shrinks_where_even_the_smallest_nets_do_not_fit() -> None:
    def measure(config: RunConfig) -> Measured | None:
        return cpu(config) if config.training.batch_size <= 16 else None

    found = planner.for_minutes(config_of(), MANY, 600, measure, lambda: 1.0, flat=False)
    assert found.config.training.batch_size == 16


def test_measuring_ends_when_its_seconds_are_over() -> None:
    measured: list[int | None] = []

    def measure(config: RunConfig) -> Measured:
        measured.append(planner.width_of(config))
        return gpu(config)

    planner.for_minutes(config_of(), MANY, 36_000, measure, lambda: 2.5 - len(measured), flat=True)
    assert measured == [32, 48, 64]


def test_a_short_budget_measures_one_candidate_alone_on_a_cpu() -> None:
    measured: list[int | None] = []

    def measure(config: RunConfig) -> Measured:
        measured.append(planner.width_of(config))
        return cpu(config)

    planner.for_minutes(config_of(), MANY, 60, measure, lambda: 1.0, flat=False)
    assert measured == [32]


# -- what a person has chosen ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 600])
def test_a_width_that_a_person_gives_is_never_overruled_and_the_other_nets_take_it(minutes: float) -> None:
    found = choose(minutes, "gpu", changes=["method.generator.width=40"]).config
    assert {key: net.width for key, net in planner.nets_of(found).items()} == {"generator": 40, "discriminator": 40}  # type: ignore[attr-defined]
    both = choose(minutes, "gpu", changes=["method.generator.width=40", "method.discriminator.width=24"]).config
    assert (both.method.generator.width, both.method.discriminator.width) == (40, 24)
    images = planner.for_images(config_of("vae", "method.decoder.width=24"), MANY, 10**8).config
    assert (images.method.encoder.width, images.method.decoder.width) == (24, 24)


def test_settings_that_a_person_gives_stay_as_they_are() -> None:
    given = {"batch_size": 48, "ticks": 7, "warm_up_images": 123, "checkpoint_seconds": 45.0}
    changes = [f"training.{key}={value}" for key, value in given.items()]
    for found in (choose(600, "gpu", changes=changes), planner.for_images(config_of("gan", *changes), MANY, 10**8)):
        assert {key: getattr(found.config.training, key) for key in given} == given


def test_nets_without_a_planned_width_keep_theirs() -> None:
    changes = ["method.generator=dcgan", "method.discriminator=dcgan", "method.discriminator.normalisation=group"]
    found = choose(600, "gpu", changes=changes).config
    assert (found.method.generator.width, found.method.discriminator.width) == (64, 64)
    assert planner.is_settled(found)


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_leaves_nothing_open_and_is_read_back_from_its_file(method: str) -> None:
    for found in (choose(60, method=method), planner.for_images(config_of(method), 5_000, 300_000)):
        assert planner.is_settled(found.config)
        again = load(RunConfig, yaml.safe_load(to_yaml(found.config)))
        assert planner.is_settled(again)
        assert again == found.config


def test_what_is_left_open_is_written_as_auto_and_can_be_asked_for_by_that_word() -> None:
    left = config_of("gan", "method.generator.width=48", "method.generator.width=auto", "training.batch_size=auto")
    assert left.model_dump()["method"]["generator"]["width"] == "auto"
    assert left.model_dump()["training"]["batch_size"] == "auto"
    assert planner.is_open(left)


# -- plans in images ---------------------------------------------------------------------------------------------------


def begin(folder: Path, dataset: Path, budget: dict[str, Any], *changes: str) -> runs.Run:
    return runs.create(folder, load(RunConfig, {"budget": budget}, [PIXELS, *changes]), Dataset.open(dataset))


OPEN = ["method.latent_dim=8", "training.precision=fp32", "training.threads=1", "training.batch_size=8"]


def test_the_same_images_give_the_same_plan_whatever_the_clock_says(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a plan in images was measured")

    monkeypatch.setattr("allaprima.training.speed.Speedometer.measure", never)
    plans = []
    for number, pause in enumerate((0.0, 1e-3)):
        step = Learner.step

        def slowed(learner: Learner, *args: Any, pause: float = pause, step: Any = step) -> Any:
            time.sleep(pause)
            return step(learner, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Learner, "step", slowed)
            run = begin(tmp_path / str(number), tiny_dataset, {"images": 24}, *OPEN, *TINY_GAN[1::2])
            loop.train(run)
        plans.append((run.folder / "run.yaml").read_text())
        judged = [line["num_images_seen"] for line in stats.read(run.folder) if "validation/kernel_distance" in line]
        assert judged == [24]
    assert plans[0] == plans[1]
    assert "auto" not in plans[0].replace("penalty: auto", "").split("training:")[1].split("validation_samples")[0]


def test_looks_take_a_twentieth_of_the_images_at_most_and_the_end_is_always_judged() -> None:
    for images in (100, 3_000, 20_000, 300_000, 10**7):
        training = planner.for_images(config_of(), MANY, images).config.training
        samples = allowance.samples_for(images, training.ticks)
        assert training.ticks == 1 or samples * training.ticks <= allowance.SHARE * images
    spent = allowance.Allowance(128)
    judged = 0
    for seen in range(200, 10_001, 200):  # ticks that a person has asked for
        if spent.covers_images(seen):
            spent.spend(0.1)
            judged += 1
    assert judged == int(10_000 * allowance.SHARE / 128)


def test_the_warm_up_is_a_share_of_a_short_run_and_four_thousand_images_of_a_long_one() -> None:
    assert planner.for_images(config_of(), MANY, 5_000).config.training.warm_up_images == 500
    assert planner.for_images(config_of(), MANY, 10**6).config.training.warm_up_images == 4_000


# -- the run's files ---------------------------------------------------------------------------------------------------


def test_the_plan_is_written_into_the_run_and_the_same_command_goes_on_with_it(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    changes = ["budget={images: 16}", PIXELS, *OPEN, "method.generator.width=auto"]
    assert command.train(str(tiny_dataset), tmp_path / "run", "16", changes).ending == "finished"
    kept = runs.read_config(tmp_path / "run")
    assert planner.is_settled(kept)
    assert command.train(str(tiny_dataset), tmp_path / "run", "16", changes).ending == "standing"
    assert command.train(str(tiny_dataset), tmp_path / "run", "16", ["budget={images: 32}"]).ending == "finished"
    assert runs.read_config(tmp_path / "run").training == kept.training


def test_a_dry_run_says_that_the_machine_decides_and_can_be_read_as_settings(tmp_path: Path) -> None:
    shown = command.dry_run(tmp_path / "run", [])
    assert shown.startswith("# auto: chosen when the run begins")
    assert not planner.is_settled(load(RunConfig, yaml.safe_load(shown)))
    all_given = to_yaml(planner.for_images(config_of(), 10, 10).config)
    (tmp_path / "given.yaml").write_text(all_given)
    assert command.dry_run(tmp_path / "run", [], runs.read_settings(tmp_path / "given.yaml", "")).startswith("method")


# -- the clock ---------------------------------------------------------------------------------------------------------


SHAPES = {
    "steady": lambda end: lambda now: 1.0,
    "half as fast from the middle on": lambda end: lambda now: 0.5 if now > end / 2 else 1.0,
    "twice as fast from the middle on": lambda end: lambda now: 2.0 if now > end / 2 else 1.0,
    "half as fast in the last tenth": lambda end: lambda now: 0.5 if now > 0.9 * end else 1.0,
    "back and forth": lambda end: lambda now: 0.5 if int(now / (0.07 * end)) % 2 else 1.0,
    "measured while it was busy": lambda end: lambda now: 0.25 if now < 0.05 * end else 1.0,
}
SIMULATED = [PIXELS, *TINY_GAN, "method.latent_dim=8", "training.threads=1", "training.keep_checkpoints=2"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("minutes", "speed"), [(1, 200), (10, 40), (60, 10)])
def test_a_run_ends_within_a_twentieth_of_its_minutes_whatever_the_machine_does(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, speed: float, shape: str
) -> None:
    end = minutes * 60
    machine = Machine(speed, SHAPES[shape](end))
    run = begin(tmp_path / "run", tiny_dataset, {"minutes": minutes}, *SIMULATED)
    with monkeypatch.context() as patch:
        machine.install(patch)
        outcome = loop.train(run, lambda words: None)
    assert outcome.ending == "finished"
    assert abs(machine.now - end) <= 0.05 * end
    lines = stats.read(run.folder)
    assert "validation/kernel_distance" in lines[-1]
    assert lines[-1]["num_images_seen"] == outcome.num_images_seen
    judging = sum(machine.look for line in lines if "validation/kernel_distance" in line)
    assert judging <= 0.05 * end + 2 * machine.look  # a machine at half speed takes twice as long for the last


def test_a_run_that_was_stopped_and_goes_on_keeps_to_its_minutes_too(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(40, SHAPES["half as fast from the middle on"](600))
    run = begin(tmp_path / "run", tiny_dataset, {"minutes": 10}, *SIMULATED)
    with monkeypatch.context() as patch:
        machine.install(patch)
        patch.setattr(Session, "_is_stopped", lambda session, stop: machine.now > 200)
        assert loop.train(run, lambda words: None).ending == "stopped"
    with monkeypatch.context() as patch:
        machine.install(patch)
        machine.now += 20  # between the two commands, and not counted
        assert loop.train(runs.open_run(run.folder), lambda words: None).ending == "finished"
    assert abs(machine.now - 620) <= 30


def test_the_seconds_before_training_began_count(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(40)
    run = begin(tmp_path / "run", tiny_dataset, {"minutes": 2}, *SIMULATED)
    with monkeypatch.context() as patch:
        machine.install(patch)
        loop.train_claimed(run, lambda words: None, began=machine.now - 30)
    assert abs(machine.now - 90) <= 6


def test_a_budget_too_small_to_be_useful_is_told_before_training(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    run = begin(tmp_path / "run", tiny_dataset, {"minutes": 0.5}, *SIMULATED)
    with monkeypatch.context() as patch:
        machine = Machine(40)
        machine.install(patch)
        loop.train_claimed(run, said.append, began=machine.now - 25)
    assert any("are left to learn in" in words and "too few to learn from" in words for words in said)
    assert machine.now < 8


def test_the_plan_names_nets_images_speed_looks_and_the_end(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    run = begin(tmp_path / "run", tiny_dataset, {"minutes": 1}, *SIMULATED)
    with monkeypatch.context() as patch:
        Machine(1000).install(patch)
        loop.train(run, said.append)
    plan = next(words for words in said if words.startswith("plan:"))
    for told in ("width 8", "parameters", "1 minutes: about", "1,000 a second", "looks at", "checkpoint", "it ends at"):
        assert told in plan
    assert "expected: 0." in plan


def test_a_pace_forgets_what_was_no_learning_and_follows_a_change_within_a_few_windows() -> None:
    pace, now, seen, rates = Pace(), 0.0, 0, []
    for _ in range(400):
        now, seen = now + 0.1, seen + 10
        rates.append(pace.look(seen, now, minutes=2))
    assert [rate for rate in rates if rate][-1] == pytest.approx(100)
    pace.pause()
    now += 60  # a long look
    for _ in range(80):
        now, seen = now + 0.1, seen + 5
        rates.append(pace.look(seen, now, minutes=2))
    assert min(rate for rate in rates if rate) > 49
    assert [rate for rate in rates if rate][-1] == pytest.approx(50, rel=0.05)
    assert pace.look(0, now + 5, minutes=2) is None  # the run has gone back


def test_a_plan_in_images_never_moves() -> None:
    plan = Plan(1_000, None, 1_000)
    plan.revise(10, images_per_second=0.1, ticks_left=5)
    assert plan.total_images == 1_000


def test_scaling_knows_when_a_width_pays_and_never_takes_it_back() -> None:
    scaling = Scaling()
    for narrower, wider in pairwise(scaling.widths):
        paid = [scaling.pays(wider, narrower, 10**power) for power in range(3, 12)]
        assert paid == sorted(paid)
        assert paid[-1]
