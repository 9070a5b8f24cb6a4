"""The race is fair and remembers: its clock, its marks, resumption, and a contestant that cannot run is told of."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from benchmarks import race
from benchmarks._race import chart, datasets, environments, host, lanes, report
from benchmarks._race.clock import Clock
from benchmarks._race.stage import Stage, TimeUp

FAKE = '''
"""Contestants without any package."""
import os, time
import numpy as np
PACKAGE, INSTALL = "fake", None
LINES = {
    "good": {"good": "a good one", "good-twin": "its other sampler"},
    "broken": {"broken": "one that cannot be imported"},
    "dies": {"dies": "one that takes its process along"},
    "gives-up": {"gives-up": "one that fails after its first mark"},
}
SETTINGS = dict.fromkeys(LINES, "none")

def race(name, stage):
    if name == "broken":
        import a_package_that_nobody_has
    stage.start()
    def snapshot():
        return {line: lambda count: stage.pictures[np.random.randint(0, len(stage.pictures), count)] for line in LINES[name]}
    seen = 0
    while True:
        if name == "dies":
            print("out of memory", flush=True)
            os._exit(9)
        time.sleep(0.005)
        seen += 10
        stage.look(seen, snapshot)
        if name == "gives-up" and stage.taken:
            raise ArithmeticError("NaN in the loss")
'''


class Hands:
    """A clock's two hands, moved by the test."""

    def __init__(self) -> None:
        self.wall = self.processor = 100.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.processor)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def stage(tmp_path: Path, hands: Hands) -> Stage:
    job = {"folder": str(tmp_path), "marks": [1, 2, 4], "samples": 3, "final_samples": 5, "seed": 0, "cores": [0]}
    found = Stage(job, np.zeros((9, 4, 4, 1), np.uint8))
    found.clock = hands.clock()
    return found


@pytest.fixture
def pictures(tiny_dataset: Path, tmp_path: Path) -> datasets.Pictures:
    return datasets.hand_out("tiny", Dataset.open(tiny_dataset), tmp_path)


@pytest.fixture
def entered(tmp_path: Path) -> dict[str, lanes.Contestant]:
    folder = tmp_path / "contestants"
    folder.mkdir()
    (folder / "fake.py").write_text(FAKE, encoding="utf-8")
    return lanes.contestants(folder)


SETTINGS = lanes.Settings(marks=(0.001, 0.004), samples=12, final_samples=20, seed=0, cores=1)


def run(
    entered: dict[str, lanes.Contestant],
    names: list[str],
    pictures: datasets.Pictures,
    out: Path,
    settings: Any = SETTINGS,
) -> list[str]:
    """Race them; what was said."""
    said: list[str] = []
    lanes_ = [[min(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0])]] * 2
    lanes.race_all([(entered[name], pictures) for name in names], settings, out, out / "venvs", lanes_, said.append)
    return said


def paint(count: int, level: int = 0) -> np.ndarray:
    return np.full((count, 4, 4, 1), level, np.uint8)


# -- the clock and the marks ------------------------------------------------------------------------------------------


def test_a_paused_clock_stands_still(hands: Hands) -> None:
    clock = hands.clock()
    hands.wall, hands.processor = 110.0, 108.0
    with clock.paused():
        hands.wall, hands.processor = 150.0, 140.0
    hands.wall, hands.processor = 151.0, 141.0
    assert clock.seconds() == pytest.approx(11)
    assert clock.processor_seconds() == pytest.approx(9)


def test_a_snapshot_is_taken_at_each_mark_and_costs_no_time(stage: Stage, hands: Hands) -> None:
    def slow_snapshot() -> dict[str, Any]:
        hands.wall += 1000
        return {"line": paint}

    assert stage.clock is not None
    stage.look(1, slow_snapshot)
    assert not stage.taken, "nothing before the first mark"
    hands.wall += 61
    stage.look(2, slow_snapshot)
    assert stage.clock.seconds() == pytest.approx(61)
    hands.wall += 30
    stage.look(3, slow_snapshot)
    assert [(one.mark, one.num_images_seen) for one in stage.taken] == [(1, 2)]


def test_the_end_is_told_once_the_last_mark_is_passed(stage: Stage, hands: Hands) -> None:
    hands.wall += 150
    stage.look(10, lambda: {"line": paint})
    hands.wall += 91
    with pytest.raises(TimeUp):
        stage.look(20, lambda: {"line": paint})
    assert [one.mark for one in stage.taken] == [2, 4], "one snapshot for marks that were passed together"
    assert stage.taken[-1].seconds == pytest.approx(241)
    result = stage.write(None)
    assert (result["status"], result["seconds_over"], result["num_images_seen"]) == ("finished", 1.0, 20)


def test_no_package_can_swallow_the_end() -> None:
    assert not issubclass(TimeUp, Exception)


def test_what_a_contestant_publishes_is_shown_at_the_end_alone(stage: Stage, hands: Hands) -> None:
    def now() -> dict[str, Any]:
        return {"line": paint}

    def published() -> dict[str, Any]:
        return {"line": lambda count: paint(count, 200)}

    hands.wall += 61
    stage.look(1, now, final=published)
    hands.wall += 180
    with pytest.raises(TimeUp):
        stage.look(2, now, final=published)
    shown = stage.write(None)["shown"]
    levels = [int(np.load(stage.folder / one["file"]).max()) for one in shown]
    assert levels == [0, 200]
    assert [one["count"] for one in shown] == [3, 5]


def test_a_contestant_that_ends_by_itself_without_saying_so_has_failed(stage: Stage, hands: Hands) -> None:
    hands.wall += 90
    stage.look(1, lambda: {"line": paint})
    result = stage.write(None)
    assert result["status"] == "failed"
    assert "ended by itself after 1.50 minutes" in result["reason"]
    assert len(result["shown"]) == 1


def test_a_contestant_may_plan_its_own_end(stage: Stage, hands: Hands) -> None:
    hands.wall += 236
    stage.finish(7, lambda: {"line": paint})
    result = stage.write(None)
    assert (result["status"], result["num_images_seen"]) == ("finished", 7)
    assert result["shown"][0]["minutes"] == 4


def test_a_sampler_that_fails_is_told_of_and_takes_no_other_along(stage: Stage) -> None:
    stage.finish(1, lambda: {"odd": lambda count: paint(count).astype(np.float32), "even": paint})
    result = stage.write(None)
    assert result["status"] == "failed"
    assert result["reason"].startswith("odd at 4 minutes: ValueError: odd painted float32")
    assert [one["line"] for one in result["shown"]] == ["even"]


# -- lanes and resumption ---------------------------------------------------------------------------------------------


def test_every_contestant_has_a_result_and_failures_have_their_reasons(
    entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = run(entered, list(entered), pictures, out)
    results = {name: lanes.result_of(out / "tiny" / name) or {} for name in entered}
    assert results["good"]["status"] == "finished"
    assert {one["line"] for one in results["good"]["shown"]} == {"good", "good-twin"}
    assert np.load(out / "tiny" / "good" / "good-0.004.npy").shape == (20, 16, 16, 3)
    assert "No module named 'a_package_that_nobody_has'" in results["broken"]["reason"]
    assert "code 9: out of memory" in results["dies"]["reason"]
    assert results["gives-up"]["reason"] == "ArithmeticError: NaN in the loss"
    assert [one["minutes"] for one in results["gives-up"]["shown"]] == [0.001], "what it had shown stays"
    assert sum("FAILED" in words for words in said) == 3


def test_a_race_is_run_again_only_under_other_settings_or_after_a_failure(
    entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(entered, ["good", "broken"], pictures, out)
    again = run(entered, ["good", "broken"], pictures, out)
    assert any("good has raced under these settings already" in words for words in again)
    assert any("broken starts" in words for words in again)
    other = lanes.Settings(marks=(0.002,), samples=12, final_samples=20, seed=0, cores=1)
    assert any("good starts" in words for words in run(entered, ["good"], pictures, out, other))
    entered["good"].file.write_text(FAKE + "\n# changed", encoding="utf-8")
    assert any("good starts" in words for words in run(entered, ["good"], pictures, out, other))


def test_a_package_that_cannot_be_installed_is_a_result_too(
    entered: dict[str, lanes.Contestant],
    pictures: datasets.Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> Path:
        raise environments.InstallError("fake cannot be installed: no matching distribution")

    monkeypatch.setattr(lanes, "python_of", refuse)
    said = run(entered, ["good"], pictures, tmp_path / "out")
    result = lanes.result_of(tmp_path / "out" / "tiny" / "good") or {}
    assert (result["status"], result["reason"]) == ("failed", "fake cannot be installed: no matching distribution")
    assert any("cannot race" in words for words in said)


def test_pip_says_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "import sys; print('Looking'); print('ERROR: No matching distribution', file=sys.stderr); sys.exit(1)"
    with pytest.raises(environments.InstallError, match=r"^odd cannot be installed: No matching distribution$"):
        environments._run([sys.executable, "-c", words], "odd")


def test_contestants_of_the_project_are_complete() -> None:
    known = lanes.contestants()
    assert list(known)[0:2] == ["gan", "vae"], "ours first"
    words = {one.package for one in known.values()}
    assert words == {"allaprima", "pythae", "torchgan", "mimicry", "stylegan2", "lightweight"}
    lines = [line for one in known.values() for line in one.lines]
    assert len(lines) == len(set(lines))
    assert all(one.settings for one in known.values())


# -- data -------------------------------------------------------------------------------------------------------------


def test_everybody_gets_the_same_training_pictures_and_no_labels(pictures: datasets.Pictures) -> None:
    plain, labelled = Dataset.open(pictures.plain), pictures.labelled
    assert np.array_equal(np.load(pictures.array)["images"], labelled.images[labelled.indices("train")])
    assert np.array_equal(plain.images, labelled.images)
    for split in ("train", "validation", "test"):
        assert np.array_equal(plain.indices(split), labelled.indices(split))
    assert (plain.labels == -1).all()
    assert plain.classes == []
    assert plain.manifest.fingerprint != labelled.manifest.fingerprint


def test_ours_finds_no_features_that_another_run_has_paid_for(pictures: datasets.Pictures, tmp_path: Path) -> None:
    (pictures.plain / "features" / "domain-0").mkdir(parents=True)
    ours = host.load(str(lanes.CONTESTANTS / "ours.py"))
    copy = ours.fresh(str(pictures.plain), tmp_path / "copy")
    assert not (copy / "features").exists()
    assert Dataset.open(copy).manifest.fingerprint == Dataset.open(pictures.plain).manifest.fingerprint


# -- judging and reporting --------------------------------------------------------------------------------------------


class EasyJudge:
    """Stands in for the judge: pixels for features, so that no net is trained."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.places, self.asked = dataset, dataset.indices("test"), 0
        self.features = argparse.Namespace(name="pixels of the test")

    def floor(self, count: int) -> dict[str, float]:
        return figures(0.5) | {"count": count}

    def of_samples(self, pictures: np.ndarray, counts: list[int]) -> list[dict[str, float]]:
        self.asked += 1
        return [figures(float(count)) for count in counts]

    def key(self) -> dict[str, Any]:
        return {"features": "pixels of the test"}


def figures(distance: float) -> dict[str, float]:
    scores = dict.fromkeys(("precision", "recall", "coverage"), 0.5)
    return {"frechet_distance": distance, "kernel_distance": distance / 10, **scores}


def judged(entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, out: Path, judge: Any) -> dict[str, Any]:
    return report.of_data(
        judge,
        entered.values(),
        SETTINGS,
        out / "tiny",
        lambda contestant: lanes.key_of(contestant, pictures, SETTINGS),
        lambda _: None,
    )


def test_marks_are_judged_by_equal_numbers_and_the_end_by_all_and_nothing_twice(
    entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(entered, ["good"], pictures, out)
    judge = EasyJudge(pictures.labelled)
    found = judged(entered, pictures, out, judge)
    line = next(line for line in found["lines"] if line["line"] == "good")
    assert {point["frechet_distance"] for point in line["curve"]} == {12.0}
    assert line["final"]["frechet_distance"] == 20.0
    asked = judge.asked
    assert asked > 0
    judged(entered, pictures, out, judge)
    assert judge.asked == asked


def test_who_cannot_run_stands_in_json_table_and_picture(
    entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(entered, ["good", "broken"], pictures, out)
    found = judged(entered, pictures, out, EasyJudge(pictures.labelled))
    by_line = {line["line"]: line for line in found["lines"]}
    assert by_line["broken"]["curve"] == []
    assert "a_package_that_nobody_has" in by_line["broken"]["reason"]
    assert by_line["dies"]["reason"] == report.UNRACED
    words = report.table("tiny", found)
    assert "one that cannot be imported" in words
    assert "a_package_that_nobody_has" in words
    assert words.index("a good one") < words.index("one that cannot be imported")

    drawn: list[str] = []
    text = chart.Board.text

    def listening(self: chart.Board, at: Any, words: str, *rest: Any, **named: Any) -> None:
        drawn.append(words)
        text(self, at, words, *rest, **named)

    monkeypatch.setattr(chart.Board, "text", listening)
    chart.draw(tmp_path / "race.png", "a race", found, 0.004)
    with Image.open(tmp_path / "race.png") as picture:
        assert picture.size[0] == chart.WIDTH
        assert np.asarray(picture).min() < 80, "something is drawn"
    assert any(words.startswith("did not run: ModuleNotFoundError") for words in drawn)
    assert "one that takes its process along" in drawn
    json.dumps(report.without_nan(found), allow_nan=False)


def test_a_result_of_other_settings_is_marked(
    entered: dict[str, lanes.Contestant], pictures: datasets.Pictures, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(entered, ["good"], pictures, out, lanes.Settings((0.002,), 12, 20, seed=0, cores=1))
    found = judged(entered, pictures, out, EasyJudge(pictures.labelled))
    line = next(line for line in found["lines"] if line["line"] == "good")
    assert line["stale"]
    assert line["final"] is None, "its end is not this race's end"


def test_the_judge_ranks_real_pictures_before_noise(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from allaprima.evaluation.features import domain
    from benchmarks._race import judge as judging

    quick = domain.Config(seed=judging.SEED, num_images=512, width=8, batch_size=16)
    monkeypatch.setattr(judging, "FEATURES", quick)
    dataset = Dataset.open(tiny_dataset)
    judge = judging.Judge(dataset)
    real = np.asarray(dataset.images[dataset.indices("train")])[:20]
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype=np.uint8)
    (of_real,), of_noise = judge.of_samples(real, [20]), judge.of_samples(noise, [10, 20])
    assert len(of_noise) == 2
    assert of_real["frechet_distance"] < of_noise[1]["frechet_distance"]
    assert of_real["kernel_distance"] < of_noise[1]["kernel_distance"]
    assert judge.floor(1000)["count"] == len(dataset.indices("train"))
    broken = judge.figures(judge.real * math.nan)
    assert all(math.isnan(value) for value in broken.values())


def test_labels_at_the_ends_do_not_overlap_and_ticks_are_round() -> None:
    spread = chart.spread([((0, 10.0), "b"), ((0, 9.0), "a"), ((200, 10.5), "far"), ((0, 60.0), "c")], gap=13)
    assert [(end[0][1], end[1]) for end in spread] == [(9.0, "a"), (22.0, "b"), (10.5, "far"), (60.0, "c")]
    assert chart.ticks(0.9, 30) == [1, 2, 5, 10, 20]
    assert chart.ticks(2.5, 6.5) == [3, 4, 5, 6]
    assert chart.ticks(1e-4, 1e3) == [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]


# -- the command line -------------------------------------------------------------------------------------------------


def test_marks_end_with_the_minutes() -> None:
    assert race.marks_of("", 5) == (1, 2, 3, 5)
    assert race.marks_of("", 0.5) == (0.5,)
    assert race.marks_of("0.1,0.2,9", 0.3) == (0.1, 0.2, 0.3)
    for words, minutes in (("soon", 5.0), ("0,1", 5.0), ("", 0.0)):
        with pytest.raises(UserError):
            race.marks_of(words, minutes)


def test_lanes_have_cores_of_their_own() -> None:
    assert len({core for lane in race.cores_of(1, 1) for core in lane}) == 1
    with pytest.raises(UserError, match="do not fit"):
        race.cores_of(1000, 1)


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="pythae-vae"):
        race.named("gan,pythae-va", lanes.contestants(), "contestant")
    with pytest.raises(UserError, match="fashion"):
        race.named("fashon", datasets.SOURCES, "data set")
