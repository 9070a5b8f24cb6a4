"""The classifier behind the figures of classes, and what those figures make of good, swapped and missing classes."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation import judge as judging
from allaprima.evaluation.judge import Judge, num_images_for, train_classifier
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import METRICS, Figure, NotMeasuredError, _classes
from allaprima.evaluation.metrics._classes import Answers, by_chance, by_majority, intervals, scores, scores_of, table
from allaprima.evaluation.metrics.mode_coverage import _around, covered, divergence_of, shares_of
from allaprima.evaluation.small import small_pictures
from tests.contracts.evidence import material

DEVICE = Device(torch.device("cpu"), "fp32")


@pytest.fixture(scope="module")
def dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three colours of squares, 48 to train on, 6 to validate, 6 to test; a copy, as judges are kept with it."""
    folder = tmp_path_factory.mktemp("judged") / "tiny"
    shutil.copytree(tiny_dataset, folder, ignore=lambda folder, names: ["features"])
    return Dataset.open(folder)


@pytest.fixture
def copy(dataset: Dataset, tmp_path: Path) -> Path:
    shutil.copytree(dataset.folder, tmp_path / "copy", ignore=lambda folder, names: ["features"])
    return tmp_path / "copy"


def labels_of(dataset: Dataset, places: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(dataset.labels[places]).astype(np.int64))


def relabelled(folder: Path, labels: np.ndarray, classes: list[str]) -> Dataset:
    np.save(folder / "labels.npy", labels.astype(np.int64))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"classes": classes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Dataset.open(folder)


def painted(dataset: Dataset, places: np.ndarray, asked: torch.Tensor | None = None, **changes: Any) -> Material:
    """An evaluation of a generator that paints these pictures of the dataset when asked for their classes, or others."""
    held_out = dataset.indices("test")
    fake = torch.zeros(len(places), 4)
    fields = {
        "dataset": dataset,
        "painter": SimpleNamespace(classes=list(dataset.classes), domain=dataset.domain, encoder=None),
        "real_places": held_out,
        "real_small": small_pictures(dataset, held_out),
        "fake_small": small_pictures(dataset, places),
        "fake_labels": labels_of(dataset, places) if asked is None else asked,
    }
    return material(torch.zeros(len(held_out), 4), fake, fake, **{**fields, **changes})


def figures(name: str, evidence: Material) -> dict[str, Figure]:
    return {figure.name: figure for figure in METRICS.get(name).measure(evidence)}


# -- the classifier ---------------------------------------------------------------------------------------------------


def test_a_judge_names_pictures_that_it_never_saw(dataset: Dataset) -> None:
    held_out = np.concatenate([dataset.indices("validation"), dataset.indices("test")])
    seen = Judge.of(dataset, DEVICE).classify(small_pictures(dataset, held_out))
    assert (seen == labels_of(dataset, held_out)).all()


def test_predictions_are_probabilities_of_every_class_and_classes_their_largest(dataset: Dataset) -> None:
    judge, pictures = Judge.of(dataset, DEVICE), small_pictures(dataset, np.arange(7))
    found = judge.predict(pictures)
    assert found.shape == (7, 3)
    torch.testing.assert_close(found.sum(1), torch.ones(7))
    assert torch.equal(found.argmax(1), judge.classify(pictures))
    assert judge.predict(pictures[:0]).shape == (0, 3)
    assert judge.classify(pictures[:0]).shape == (0,)


def test_a_classifier_is_a_function_of_its_seed() -> None:
    pictures = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(40) % 2
    one, same, other = (
        train_classifier(pictures, labels, 2, DEVICE, seed, num_images=160).predict(pictures) for seed in (0, 0, 1)
    )
    torch.testing.assert_close(one, same, rtol=0, atol=0)
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (9, 3, 8, 64), (70, 4, 64, 20)])
def test_pictures_of_any_number_size_and_channels_can_be_learned_from(shape: tuple[int, ...]) -> None:
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
    classifier = train_classifier(pictures, torch.arange(len(pictures)) % 2, 2, DEVICE, num_images=64)
    assert classifier.predict(pictures).isfinite().all()


def test_a_slow_machine_ends_with_fewer_pictures_and_the_figures_say_so() -> None:
    pictures = torch.randint(0, 256, (500, 1, 8, 8), dtype=torch.uint8)
    classifier = train_classifier(pictures, torch.arange(500) % 2, 2, DEVICE, num_images=20_000, seconds=0.0)
    assert judging.FEWEST_IMAGES <= classifier.num_images_seen < 10_000
    assert "only" in Judge(classifier, None, 500).experience
    whole = train_classifier(pictures[:20], torch.arange(20) % 2, 2, DEVICE)
    assert whole.num_images_seen == pytest.approx(num_images_for(20), rel=0.1)
    assert Judge(whole, None, 20).experience == "20"


def test_a_judge_has_seen_training_pictures_only(dataset: Dataset, copy: Path) -> None:
    """With all held-out pictures blackened and mislabelled it is the same; with training pictures changed it is not."""
    probe = small_pictures(dataset, np.arange(20))
    before = Judge.of(dataset, DEVICE).predict(probe)
    images, labels = np.array(dataset.images), np.array(dataset.labels)
    held_out = np.concatenate([dataset.indices("validation"), dataset.indices("test")])
    images[held_out], labels[held_out] = 0, 0
    np.save(copy / "images.npy", images)
    after = Judge.of(relabelled(copy, labels, dataset.classes), DEVICE).predict(probe)
    torch.testing.assert_close(before, after, rtol=0, atol=0)
    shutil.rmtree(copy / "features")
    images[dataset.indices("train")[:10]] = 0
    np.save(copy / "images.npy", images)
    assert not torch.equal(before, Judge.of(Dataset.open(copy), DEVICE).predict(probe))


def test_a_judge_is_trained_once_for_each_number_of_pictures(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Dataset.open(copy)
    probe = small_pictures(data, np.arange(9))
    before = [Judge.of(data, DEVICE, count).predict(probe) for count in (None, 30)]
    assert not torch.equal(*before)
    assert Judge.of(data, DEVICE, 30).num_pictures == 30
    monkeypatch.setattr(judging, "train_classifier", lambda *args, **kwargs: pytest.fail("trained again"))
    for count, expected in zip((None, 30), before, strict=True):
        torch.testing.assert_close(Judge.of(data, DEVICE, count).predict(probe), expected, rtol=0, atol=0)
    assert len(list((copy / "features").iterdir())) == 2
    assert Judge.of(data, DEVICE, 1000).num_pictures == 48, "there are no more"


def test_a_damaged_judge_is_trained_again(copy: Path) -> None:
    data = Dataset.open(copy)
    probe = small_pictures(data, np.arange(9))
    before = Judge.of(data, DEVICE).predict(probe)
    (kept,) = (copy / "features").iterdir()
    (kept / "weights.safetensors").write_bytes(b"torn")
    torch.testing.assert_close(Judge.of(data, DEVICE).predict(probe), before, rtol=0, atol=0)


def test_a_training_that_was_cut_short_is_not_kept(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FEWEST_IMAGES", 64)
    assert Judge.of(Dataset.open(copy), DEVICE, seconds=0.0).cut_short
    assert not (copy / "features").exists()


def test_pictures_without_a_label_teach_nothing(dataset: Dataset, copy: Path) -> None:
    labels = np.array(dataset.labels)
    labels[dataset.indices("train")[:12]] = -1
    assert Judge.of(relabelled(copy, labels, dataset.classes), DEVICE).num_pictures == 36


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (np.full(60, -1), [], "has no classes"),
        (np.zeros(60), ["only"], "Only one class has at least 2"),
        (np.where(np.arange(60) == 3, 1, 0), ["many", "one"], "Only one class has at least 2"),
    ],
)
def test_two_classes_are_needed(copy: Path, labels: np.ndarray, classes: list[str], words: str) -> None:
    with pytest.raises(NotMeasuredError, match=words) as error:
        Judge.of(relabelled(copy, labels, classes), DEVICE)
    assert "class subfolders" in error.value.remedy


def test_the_shift_moves_pictures_by_a_pixel_and_changes_nothing_else() -> None:
    samples = torch.rand(200, 2, 16, 16)
    moved = judging.shifted(samples, torch.Generator().manual_seed(0))
    assert moved.shape == samples.shape
    inner = samples[:, :, 1:-1, 1:-1]
    fits = [(moved[:, :, y : y + 14, x : x + 14] == inner).flatten(1).all(1) for y in range(3) for x in range(3)]
    assert (torch.stack(fits).sum(0) == 1).all(), "each picture is found at exactly one of nine places"
    assert all(fit.any() for fit in fits)


# -- scores -----------------------------------------------------------------------------------------------------------


def answers(count: int = 400, num_classes: int = 5, seed: int = 0) -> Answers:
    """Two thirds right; the fourth class is never true, the fifth never answered."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.tensor([0, 1, 2, 4])[torch.randint(4, (count,), generator=draw)]
    guess = torch.where(torch.rand(count, generator=draw) < 0.66, truth, torch.randint(4, (count,), generator=draw))
    return Answers(truth, guess.where(guess != 4, 0), [f"class {i}" for i in range(num_classes)])


def test_scores_from_tallies_are_those_of_scikit_learn() -> None:
    for seed in range(3):
        given = answers(seed=seed)
        tallied = scores_of(*given.tallies())
        assert {key: float(value) for key, value in tallied.items()} == pytest.approx(scores(given), abs=1e-6)


def test_intervals_are_those_of_drawing_the_pictures_again() -> None:
    given = answers()
    draw = np.random.default_rng(0)
    replicates: dict[str, list[float]] = {}
    for _ in range(1000):
        rows = torch.from_numpy(draw.integers(0, len(given), len(given)))
        again = scores_of(*Answers(given.truth[rows], given.guess[rows], given.classes).tallies())
        for key, value in again.items():
            replicates.setdefault(key, []).append(float(value))
    for key, interval in intervals(given, 0, "test").items():
        assert interval == pytest.approx(np.quantile(replicates[key], [0.025, 0.975]), abs=0.012)
        assert interval[1] - interval[0] > 0.05


def test_chance_is_what_shuffled_answers_get() -> None:
    given = answers(3000)
    draw = torch.Generator().manual_seed(1)
    shuffled = [
        scores(Answers(given.truth, given.guess[torch.randperm(3000, generator=draw)], given.classes))
        for _ in range(20)
    ]
    for key, value in by_chance(given).items():
        assert value == pytest.approx(np.mean([one[key] for one in shuffled]), abs=0.01)


def test_naming_the_commonest_class_is_right_as_often_as_it_occurs() -> None:
    given = Answers(torch.tensor([0, 1, 1, 1, 2]), torch.zeros(5, dtype=torch.int64), list("abc"))
    assert by_majority(given) == pytest.approx({"accuracy": 0.6, "macro recall": 1 / 3, "macro F1": 0.75 / 3})


def test_rows_of_the_table_are_true_and_columns_answered() -> None:
    given = Answers(torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 0, 1]), ["a", "b"])
    assert table(given) == {"classes": ["a", "b"], "confusion matrix": [[1, 2], [0, 1]]}


def test_of_many_classes_the_details_name_what_is_confused_most() -> None:
    truth = torch.arange(120).repeat(3)
    guess = truth.clone()
    guess[[5, 125, 7]] = torch.tensor([6, 6, 9])
    found = table(Answers(truth, guess, [str(i) for i in range(120)]))
    assert found == {"confused most": [["5", "6", 2], ["7", "9", 1]]}


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(NotMeasuredError, match="scikit-learn") as error:
        _classes.scores(answers())
    assert "allaprima[evaluate]" in error.value.remedy


# -- the figures ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faithful(dataset: Dataset) -> Material:
    return painted(dataset, dataset.indices("train"))


def test_a_generator_that_paints_as_reality_does_reaches_the_ceilings(faithful: Material) -> None:
    for name in ("following", "classification_score"):
        for figure in figures(name, faithful).values():
            assert figure.better == "higher"
            assert figure.ceiling is not None
            assert figure.floor is not None
            assert figure.floor < 0.5 < figure.ceiling
            assert figure.value >= figure.ceiling - 0.01
            assert figure.features.endswith("3 classes")
    modes = figures("mode_coverage", faithful)
    assert modes["modes covered"].value == modes["modes covered"].ceiling == 3
    assert modes["mode divergence"].value < 0.02


def test_swapped_classes_are_seen_where_they_were_asked_for(dataset: Dataset) -> None:
    places = dataset.indices("train")
    swapped = torch.tensor([1, 0, 2])[labels_of(dataset, places)]
    evidence = painted(dataset, places, swapped)
    following = figures("following", evidence)["following accuracy"]
    assert following.value == pytest.approx(1 / 3)
    assert following.details["confusion matrix"] == [[0, 16, 0], [16, 0, 0], [0, 0, 16]]
    learned = figures("classification_score", evidence)["classification accuracy score"]
    assert learned.value == pytest.approx(1 / 3)
    assert learned.details["confusion matrix"] == [[0, 2, 0], [2, 0, 0], [0, 0, 2]]
    assert figures("mode_coverage", evidence)["modes covered"].value == 3, (
        "which class was asked for is no matter there"
    )


def test_a_missing_class_is_counted_and_lowers_what_can_be_learned(dataset: Dataset) -> None:
    train = dataset.indices("train")
    places = train[labels_of(dataset, train).numpy() != 2]
    evidence = painted(dataset, places)
    modes = figures("mode_coverage", evidence)
    assert modes["modes covered"].value == 2
    assert modes["mode divergence"].value == pytest.approx(math.log(1.5), abs=0.02)
    assert modes["mode divergence"].interval is not None
    assert figures("following", evidence)["following accuracy"].value == 1
    learned = figures("classification_score", evidence)["classification macro recall"]
    assert learned.value == pytest.approx(2 / 3)


def test_classes_are_matched_by_name_when_the_generator_orders_them_otherwise(dataset: Dataset) -> None:
    places = dataset.indices("train")
    turned = painted(
        dataset,
        places,
        2 - labels_of(dataset, places),
        painter=SimpleNamespace(classes=dataset.classes[::-1], domain=dataset.domain, encoder=None),
    )
    assert figures("following", turned)["following accuracy"].value == 1


@pytest.mark.parametrize("name", ["following", "classification_score"])
@pytest.mark.parametrize(
    ("classes", "words", "remedy"),
    [([], "without classes", "--set condition=label"), (["blue", "dog"], "class 'dog'", "--dataset")],
)
def test_generators_that_cannot_be_asked_get_a_plain_reason(
    dataset: Dataset, name: str, classes: list[str], words: str, remedy: str
) -> None:
    painter = SimpleNamespace(classes=classes, domain=dataset.domain, encoder=None)
    evidence = painted(dataset, dataset.indices("train")[:20], torch.ones(20, dtype=torch.int64), painter=painter)
    with pytest.raises(NotMeasuredError, match=words) as error:
        figures(name, evidence)
    assert remedy in error.value.remedy


def test_modes_need_no_generator_with_classes_but_a_dataset_with_classes(dataset: Dataset, copy: Path) -> None:
    painter = SimpleNamespace(classes=[], domain=dataset.domain, encoder=None)
    evidence = painted(dataset, dataset.indices("train"), painter=painter)
    assert figures("mode_coverage", evidence)["modes covered"].value == 3
    bare = relabelled(copy, np.full(60, -1), [])
    with pytest.raises(NotMeasuredError, match="has no classes"):
        figures("mode_coverage", painted(bare, bare.indices("train"), painter=painter))


def test_one_class_alone_is_no_question(copy: Path) -> None:
    one = relabelled(copy, np.zeros(60), ["only"])
    for name in ("following", "classification_score", "mode_coverage"):
        with pytest.raises(NotMeasuredError, match="takes two such classes"):
            figures(name, painted(one, one.indices("train")))


def test_without_labelled_held_out_pictures_nothing_is_tested(dataset: Dataset, copy: Path) -> None:
    labels = np.array(dataset.labels)
    labels[dataset.indices("test")] = -1
    bare = relabelled(copy, labels, dataset.classes)
    with pytest.raises(NotMeasuredError, match="0 test pictures have a class"):
        figures("classification_score", painted(bare, bare.indices("train")))
    following = figures("following", painted(bare, bare.indices("train")))
    assert following["following accuracy"].ceiling is None


def test_the_divergence_of_shares_is_that_of_scipy() -> None:
    from scipy.stats import entropy

    counts, expected = torch.tensor([[5, 0, 3], [1, 1, 1]]), torch.tensor([10, 10, 20])
    for row, value in zip(counts, divergence_of(counts, expected), strict=True):
        assert float(value) == pytest.approx(entropy(row.numpy(), expected.numpy()), abs=1e-6)
    assert math.isfinite(float(divergence_of(torch.tensor([1, 1]), torch.tensor([4, 0]))))


@pytest.mark.parametrize(("num_classes", "count"), [(300, 600), (50, 200)])
def test_the_interval_of_modes_holds_what_other_samples_of_the_same_generator_cover(
    num_classes: int, count: int
) -> None:
    draw = np.random.default_rng(0)
    counts = torch.from_numpy(draw.multinomial(count, draw.dirichlet(np.full(num_classes, 0.5)), 60))
    modes = covered(counts)
    found = [
        _around(float(one), covered(_classes.redrawn(shares_of(row), count, 0, "test")), num_classes)
        for row, one in zip(counts, modes, strict=True)
    ]
    held = [low <= float(modes.mean()) <= high for low, high in found]
    assert np.mean(held) >= 0.9
    assert np.mean([high - low for low, high in found]) < 7 * float(modes.std()), "and is not held to be anything"
