"""What training watches: the validation split alone, within its share of the time, and the best moment by it."""

from __future__ import annotations

import functools
import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from allaprima.bundle.untrained import untrained
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES, domain, of_pictures
from allaprima.evaluation.metrics.frechet_distance import frechet_distance
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.evaluation.metrics.prdc import prdc
from allaprima.evaluation.validation import BETTER, Validator
from allaprima.training import allowance, checkpoint, loop, stats
from allaprima.training import run as runs
from allaprima.training.allowance import Allowance, samples_for
from allaprima.training.budget import Plan
from allaprima.training.config import RunConfig, TrainingConfig
from allaprima.training.course import Course
from allaprima.training.judging import Judge
from allaprima.training.stopping import Best
from tests.conftest import write_tiny_dataset
from tests.unit._runs import LOOP, Machine, one_thread

__all__ = ["one_thread"]  # used by pytest

DEVICE = Device(torch.device("cpu"), "fp32")
NETS = {
    "gan": ["generator", "discriminator"],
    "vae": ["encoder", "decoder"],
}


def begin(
    folder: Path, dataset: Dataset, *changes: str, method: str = "gan", budget: dict[str, Any] | None = None
) -> runs.Run:
    small = [
        f"method={method}",
        *(f"method.{net}.{key}" for net in NETS[method] for key in ("width=8", "max_width=16")),
    ]
    config = load(RunConfig, {"budget": budget or {"images": 160}}, [*small, *LOOP, *changes])
    return runs.create(folder, config, dataset)


def more_images(run: runs.Run, images: int) -> runs.Run:
    """The same run, asked to go on."""
    config = load(RunConfig, run.config.model_dump(mode="json"), [f"budget={{images: {images}}}"])
    return runs.Run(run.folder, config, run.dataset)


def quietly(run: runs.Run) -> loop.Outcome:
    return loop.train(run, lambda words: None)


# -- the test split ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick_features(monkeypatch: pytest.MonkeyPatch) -> None:
    config = domain.Config(width=8, num_images=512, batch_size=32)
    monkeypatch.setattr(domain, "load_or_train", functools.partial(domain.load_or_train, config=config))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validation") / "squares"
    write_tiny_dataset(folder, count=150)
    return folder


def with_noise_in(split: str, source: Path, folder: Path) -> Dataset:
    """The same manifest and fingerprint, but pictures and labels of one split are noise."""
    shutil.copytree(source, folder, ignore=lambda where, names: ["features"])
    dataset, draw = Dataset.open(source), np.random.default_rng(7)
    places = dataset.indices(split)
    images, labels = np.array(dataset.images), np.array(dataset.labels)
    images[places] = draw.integers(0, 256, images[places].shape)
    labels[places] = draw.permutation(labels[places][::-1])
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return Dataset.open(folder)


def trace(run: runs.Run, outcome: loop.Outcome) -> dict[str, Any]:
    """Everything that a run leaves, but for what the clock says."""
    clocks = ("time/", "speed/")
    lines = [{k: v for k, v in line.items() if not k.startswith(clocks)} for line in stats.read(run.folder)]
    return {
        "config": (run.folder / "run.yaml").read_text(encoding="utf-8"),
        "stats": lines,
        "best": outcome.best,
        "weights": json.loads((run.folder / "bundle" / "bundle.json").read_text())["weights"],
        "final": checkpoint.newest(run.checkpoints)[0].joinpath(checkpoint.TENSORS).read_bytes(),  # type: ignore[union-attr]
    }


@pytest.mark.usefixtures("quick_features")
@pytest.mark.parametrize("method", ["gan", "vae"])
def test_a_run_is_bit_for_bit_the_same_whatever_the_test_split_holds(
    method: str, pictures: Path, tmp_path: Path
) -> None:
    found = {}
    for split in ("nothing", "test", "validation"):
        if split == "nothing":
            shutil.copytree(pictures, tmp_path / split)
            dataset = Dataset.open(tmp_path / split)
        else:
            dataset = with_noise_in(split, pictures, tmp_path / split)
        run = begin(tmp_path / f"run-{split}", dataset, method=method)
        found[split] = trace(run, quietly(run))
    assert found["test"] == found["nothing"]
    assert found["validation"]["final"] == found["nothing"]["final"], "training itself sees neither"
    assert found["validation"]["best"].figure != found["nothing"]["best"].figure
    names = [key for key in found["nothing"]["stats"][0] if key.startswith("validation/")]
    assert {f"validation/{name}" for name in ("kernel_distance", "precision", "recall", "coverage")} <= set(names)
    assert ("validation/elbo_bits_per_dim" in names) == (method == "vae")
    for name in ("validation/kernel_distance", *(name for name in names if name.endswith(("db", "per_dim")))):
        one, other = ([line[name] for line in found[split]["stats"]] for split in ("nothing", "validation"))
        assert one != other, name


class Guarded:
    """An array that refuses to give the rows of ``forbidden`` places."""

    def __init__(self, array: np.ndarray, forbidden: np.ndarray) -> None:
        self.array, self.forbidden = array, forbidden
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        rows = np.arange(len(self.array))[index[0] if isinstance(index, tuple) else index]
        if np.isin(rows, self.forbidden).any():
            raise AssertionError("a picture or label of the test split was read")
        return self.array[index]

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("all pictures or labels were read, those of the test split too")


@pytest.mark.usefixtures("quick_features")
@pytest.mark.parametrize("method", ["gan", "vae"])
def test_training_reads_no_row_of_the_test_split(method: str, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "d", ignore=lambda where, names: ["features"])
    dataset = Dataset.open(tmp_path / "d")
    dataset.images = Guarded(dataset.images, dataset.indices("test"))  # type: ignore[assignment]
    dataset.labels = Guarded(dataset.labels, dataset.indices("test"))  # type: ignore[assignment]
    for everything in (lambda: np.asarray(dataset.labels), lambda: dataset.images[dataset.indices("test")[:1]]):
        with pytest.raises(AssertionError, match="test split"):
            everything()
    outcome = quietly(begin(tmp_path / "run", dataset, method=method))
    assert outcome.ending == "finished"
    assert outcome.best.figure is not None


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_metrics_on_the_validation_pictures(pictures: Path) -> None:
    dataset = Dataset.open(pictures)
    features = FEATURES.get("pixels").load_or_train(dataset, DEVICE)
    samples = dataset.domain.to_tensor(dataset.images[dataset.indices("train")[:40]])
    real, painted = of_pictures(features, dataset, dataset.indices("validation")), features.extract(samples)
    found = Validator(dataset, DEVICE, features).figures(samples)
    expected = {name: float(score.mean()) for name, score in prdc(real, painted).items()}
    diversity = float((painted.var(0).sum() / real.var(0).sum()).sqrt())
    assert found == pytest.approx({"kernel_distance": mmd2(real, painted), "diversity": diversity, **expected})
    watched = Validator(dataset, DEVICE, features, "frechet_distance").figures(samples)
    assert watched["frechet_distance"] == pytest.approx(frechet_distance(real, painted))


def test_the_grain_is_how_much_the_distance_of_one_generator_moves_with_the_pictures(pictures: Path) -> None:
    validator = Validator(
        Dataset.open(pictures), DEVICE, FEATURES.get("pixels").load_or_train(Dataset.open(pictures), DEVICE)
    )
    draw = torch.Generator().manual_seed(0)
    painted = torch.randn(2000, 16, generator=draw)

    def spread_with(count: int) -> tuple[float, float]:
        """Of the distance over many sets of so many pictures, and the mean of what each of them says of itself."""
        distances, told = [], []
        for _ in range(60):
            validator._real = torch.randn(count, 16, generator=draw)
            distances.append(mmd2(validator._real, painted))
            told.append(validator.grain())
        return float(torch.tensor(distances).std()), sum(told) / len(told)

    for count in (64, 256):
        actual, told = spread_with(count)
        assert 0.5 * actual < told < 2 * actual
    validator._real = torch.randn(8, 16, generator=draw)
    assert validator.grain() == 0
    assert Validator(validator._dataset, DEVICE, validator.features, "coverage").grain() == 0


def test_frechet_distance_is_given_where_there_are_more_pictures_than_dimensions(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "d", count=2100)
    dataset = Dataset.open(tmp_path / "d")
    features = FEATURES.get("pixels").load_or_train(dataset, DEVICE)
    validator = Validator(dataset, DEVICE, features)
    samples = dataset.domain.to_tensor(dataset.images[dataset.indices("train")[: features.dim + 1]])
    assert "frechet_distance" in validator.figures(samples)
    assert "frechet_distance" not in validator.figures(samples[:-1])


def test_an_autoencoder_has_two_more_figures_and_a_generator_none(pictures: Path) -> None:
    dataset = Dataset.open(pictures)
    validator = Validator(dataset, DEVICE, FEATURES.get("pixels").load_or_train(dataset, DEVICE))
    autoencoder = untrained(16, classes=dataset.classes, latent_dim=6, encoder="residual")
    found = validator.of_autoencoder(autoencoder)
    assert found.keys() == {"psnr_db", "elbo_bits_per_dim"}
    assert all(math.isfinite(value) for value in found.values())
    assert validator.of_autoencoder(autoencoder) == found
    assert validator.of_autoencoder(untrained(16, latent_dim=6)) == {}
    assert validator.of_autoencoder(untrained(16, classes=["other"], latent_dim=6, encoder="residual")) == {}


def test_every_figure_that_can_be_watched_has_a_direction() -> None:
    assert set(get_args(TrainingConfig.model_fields["watch"].annotation)) == BETTER.keys()


def test_the_figures_are_curves_of_tensorboard(pictures: Path, tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = begin(tmp_path / "run", Dataset.open(pictures), "training.features=pixels")
    quietly(run)
    board = events.EventAccumulator(str(run.folder / "tensorboard"))
    board.Reload()
    for name in ("kernel_distance", "coverage"):
        curve = [event.value for event in board.Scalars(f"validation/{name}")]
        assert curve == pytest.approx([line[f"validation/{name}"] for line in stats.read(run.folder)], rel=1e-5)


# -- the best moment ---------------------------------------------------------------------------------------------------


def script(monkeypatch: pytest.MonkeyPatch, **figures: list[float]) -> None:
    """The validation figures of one tick after another."""
    ticks = iter([dict(zip(figures, values, strict=True)) for values in zip(*figures.values(), strict=True)])
    monkeypatch.setattr(Validator, "figures_of", lambda self, samples: next(ticks))


@pytest.mark.parametrize(("watch", "kept"), [("kernel_distance", 160), ("coverage", 80), ("frechet_distance", 40)])
def test_the_figure_that_is_watched_chooses_the_moment_that_is_kept(
    watch: str, kept: int, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(
        monkeypatch,
        kernel_distance=[4.0, 3.0, 2.0, 1.0],
        coverage=[0.1, 0.7, 0.2, 0.3],
        frechet_distance=[1.0, 2.0, 3.0, 4.0],
    )
    run = begin(tmp_path / "run", Dataset.open(pictures), f"training.watch={watch}", "training.features=pixels")
    outcome = quietly(run)
    made = json.loads((run.folder / "bundle" / "bundle.json").read_text())["provenance"]
    assert (outcome.best.num_images_seen, made["images_seen"]) == (kept, kept)
    assert made[f"validation_{watch}"] == outcome.best.figure
    assert made["validation_kernel_distance"] == 5 - kept / 40
    card = (run.folder / "bundle" / "card.md").read_text(encoding="utf-8")
    assert f"| {watch.replace('_', ' ').capitalize()}, validation split | {outcome.best.figure:.4f}" in card
    assert outcome.best.describe() == f"{watch.replace('_', ' ')} {outcome.best.figure:.4f}"


def test_patience_ends_a_run_by_the_figure_that_is_watched(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, kernel_distance=[4.0, 3.0, 2.0, 1.0], recall=[0.5, 0.4, 0.3, 0.6])
    changes = ("training.watch=recall", "training.patience=2", "training.features=pixels")
    outcome = quietly(begin(tmp_path / "run", Dataset.open(pictures), *changes))
    assert (outcome.ending, outcome.num_images_seen, outcome.best.num_images_seen) == ("early", 120, 40)


@pytest.mark.parametrize(("watch", "best"), [("kernel_distance", 1), ("coverage", 3)])
def test_better_means_lower_or_higher_by_the_figure(watch: str, best: int) -> None:
    found = Best(watch)
    for seen, figure in enumerate([3.0, 2.0, 2.0, 4.0, math.nan, math.inf, 3.5]):
        found.offer(figure, seen)
    assert found.num_images_seen == best
    assert Best(**found.state()) == found


# -- the share of the time ---------------------------------------------------------------------------------------------


def test_a_twentieth_of_the_images_between_two_ticks_is_judged() -> None:
    assert samples_for(200_000, 10) == 1000
    assert samples_for(100, 10) == allowance.FEWEST_SAMPLES
    assert samples_for(10**9, 10) == allowance.MOST_SAMPLES


@pytest.mark.parametrize("cost", [0.1, 0.9, 2.5])
def test_a_run_never_spends_more_than_its_share_and_judges_from_beginning_to_end(cost: float) -> None:
    """Ticks of 10 s; the last is judged in any case."""
    spent, judged = Allowance(100), []
    for tick in range(1, 21):
        if tick == 20 or spent.covers_another(10 * tick):
            spent.spend(cost)
            judged.append(tick)
    assert spent.seconds <= allowance.SHARE * 200
    assert spent.seconds > 0.7 * min(20 * cost, allowance.SHARE * 200)
    assert max(later - earlier for earlier, later in itertools.pairwise(judged)) <= 3 * max(1, cost / 0.5)
    assert Allowance(**spent.state()) == spent


def test_judging_that_is_slower_than_planned_is_passed_over_but_never_at_the_end(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("training.features=pixels", "training.validation_samples=auto")
    run = begin(tmp_path / "run", Dataset.open(pictures), *changes, budget={"minutes": 10})
    said: list[str] = []
    with monkeypatch.context() as patch:
        Machine(40, look=20).install(patch)
        loop.train(run, said.append)
    judged = ["validation/kernel_distance" in line for line in stats.read(run.folder)]
    assert (judged[0], judged[-1]) == (True, True)
    assert not any(judged[1:-1])
    assert len(judged) > 2
    assert any("not measured this time" in words for words in said)


def test_a_plan_that_was_shortened_does_not_bring_ticks_one_after_another(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halved(plan: Plan, seen: int, rate: float, ticks_left: int) -> None:
        plan.total_images = 160 if seen < 160 else plan.total_images

    monkeypatch.setattr(Plan, "revise", halved)
    run = begin(tmp_path / "run", Dataset.open(pictures), "training.features=pixels", budget={"images": 320})
    quietly(run)
    assert [line["num_images_seen"] for line in stats.read(run.folder)] == [80, 120, 160]


def test_a_run_of_minutes_remembers_what_it_spent(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("training.features=pixels", "training.validation_samples=auto", "training.ticks=20")
    run = begin(tmp_path / "run", Dataset.open(pictures), *changes, budget={"minutes": 10})
    with monkeypatch.context() as patch:
        Machine(40, look=2.5).install(patch)
        quietly(run)
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    spent = Allowance(**checkpoint.load(newest)[1]["allowance"])
    assert allowance.FEWEST_SAMPLES <= spent.samples <= allowance.MOST_SAMPLES
    judged = sum("validation/kernel_distance" in line for line in stats.read(run.folder))
    assert (spent.times, spent.seconds) == (judged, 2.5 * judged)
    assert 0.5 * allowance.SHARE * 600 < spent.seconds <= allowance.SHARE * 600
    last = stats.read(run.folder)[-1]
    assert last["time/validating_share"] == pytest.approx(spent.seconds / last["time/seconds"])


def test_a_run_that_goes_on_judges_as_many_samples_as_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(
        tmp_path / "run", Dataset.open(pictures), "training.features=pixels", "training.validation_samples=auto"
    )
    quietly(run)
    more = more_images(run, 40_000)
    monkeypatch.setattr(loop, "_speed", lambda *args: 1e3)
    seen: list[int] = []

    def noted(judge: Judge, bundle: Any, samples: int) -> dict[str, float]:
        seen.append(samples)
        raise InterruptedError

    monkeypatch.setattr(Judge, "figures", noted)
    monkeypatch.setattr(Course, "is_due", lambda *_: True)
    monkeypatch.setattr(Course, "may_judge", lambda *_: True)
    with pytest.raises(InterruptedError):
        quietly(more)
    assert seen == [allowance.FEWEST_SAMPLES]  # of 160 images; those of 40,000 would be 500


def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the figure that is watched nor an allowance was written then."""
    run = begin(tmp_path / "run", Dataset.open(pictures), "training.features=pixels")
    quietly(run)
    for path in checkpoint.listed(run.checkpoints):
        tensors, state = checkpoint.load(path)
        del state["allowance"], state["best"]["watch"]
        shutil.rmtree(path)
        checkpoint.save(run.checkpoints, int(path.name), tensors, state, keep=4)
    monkeypatch.setattr(loop, "_speed", lambda *args: 1e3)
    outcome = quietly(more_images(run, 240))
    assert (outcome.ending, outcome.best.watch) == ("finished", "kernel_distance")
