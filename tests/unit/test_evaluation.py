"""``allaprima evaluate``: from a run's folder to figures and a page, and plain words when something is amiss."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import save, untrained
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation.evaluate import Report, evaluate, find_dataset
from allaprima.evaluation.features import domain
from allaprima.evaluation.metrics import memorisation

DEVICE = Device(torch.device("cpu"), "fp32")


class Repainter:
    """Paints stored pictures again: the best or, with few of them, the least varied generator there can be."""

    classes: list[str] = []
    encoder = None

    def __init__(self, dataset: Dataset, places: np.ndarray) -> None:
        self.domain = dataset.domain
        self.images = np.asarray(dataset.images[places])

    def stream(
        self, count: int, seed: int = 0, label: Any = None, truncation: float = 1.0, batch_size: int = 256
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        for start in range(0, count, batch_size):
            places = np.arange(start, min(start + batch_size, count))
            yield self.images[places % len(self.images)], torch.zeros(len(places), dtype=torch.int64)

    def sample(self, count: int, seed: int = 0, **options: Any) -> Any:
        return self.domain.to_pictures(next(self.stream(count, seed, batch_size=count))[0])


class Page(HTMLParser):
    """Checks that every element is closed in turn, and collects addresses and headings."""

    EMPTY = ("meta", "img", "line", "circle", "polyline", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


@pytest.fixture(scope="module", autouse=True)
def quick_features() -> Iterator[None]:
    """A short training of a narrow net is enough for squares."""
    config = domain.Config(width=12, num_images=1500, batch_size=50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "load_or_train", functools.partial(domain.load_or_train, config=config))
        yield


@pytest.fixture(scope="module")
def dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny set six times over, moved about, so that there are enough pictures to measure."""
    folder = tmp_path_factory.mktemp("evaluation") / "squares"
    shutil.copytree(tiny_dataset, folder, ignore=lambda where, names: ["features"])
    draw = np.random.default_rng(0)
    images = np.tile(np.load(folder / "images.npy"), (6, 1, 1, 1))
    moved = [np.roll(image, draw.integers(-6, 7, 2), (0, 1)) for image in images]
    np.save(folder / "images.npy", np.stack(moved) // 8 * draw.integers(5, 9, (len(images), 1, 1, 1)).astype(np.uint8))
    for name in ("labels", "splits"):
        np.save(folder / f"{name}.npy", np.tile(np.load(folder / f"{name}.npy"), 6))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "count": len(images), "fingerprint": "squares"}))
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def bundle(dataset: Dataset) -> Bundle:
    return untrained(16, classes=dataset.classes, latent_dim=8, encoder="residual")


def make_run(folder: Path, dataset: Dataset, bundle: Bundle) -> Path:
    save(bundle, folder / "bundle")
    known = {"format": "allaprima-run", "version": 1, "dataset": str(dataset.folder), "fingerprint": "squares"}
    (folder / "run.json").write_text(json.dumps(known))
    lines = [{"num_images_seen": i * 100, "loss/generator": 1 / (i + 1)} for i in range(5)]
    (folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def run(dataset: Dataset, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "squares <b>", dataset, bundle)


@pytest.fixture(scope="module")
def report(run: Path, dataset: Dataset) -> Report:
    return evaluate(run, find_dataset(run, None), Bundle.load(run), DEVICE, count=100)


def test_the_json_holds_every_figure_with_its_features_interval_and_floor(report: Report) -> None:
    found = json.loads((report.folder / "report.json").read_text())
    assert found["format"] == "allaprima-report"
    assert found["features"] == "domain: 3 classes"
    assert found["samples"] == 100
    assert found["figures"][0]["interval"] is not None
    assert {figure["name"] for figure in found["figures"]} >= {"kernel distance", "precision", "recall", "coverage"}
    for figure in found["figures"]:
        if figure["interval"] is not None:
            assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]
        assert figure["meaning"].endswith(".")
        assert figure["group"]
    sets = {figure["name"]: figure for figure in found["figures"]}
    for name, end in {"kernel distance": "floor", "precision": "ceiling", "recall": "ceiling"}.items():
        assert sets[name]["features"] == "domain: 3 classes"
        assert isinstance(sets[name][end], float)


def test_the_page_is_whole_in_itself_and_says_that_it_is_private(report: Report) -> None:
    text = (report.folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "script" not in page.tags
    assert "@import" not in text
    assert "url(" not in text
    assert text.index("keep it private") < text.index("<img")
    assert "squares &lt;b&gt;" in text
    assert "FID" not in re.sub(r"base64,[^\"]+", "", text)


def test_the_page_shows_samples_classes_reconstructions_neighbours_and_curves(report: Report) -> None:
    text = (report.folder / "report.html").read_text(encoding="utf-8")
    headings = ["Samples", "Class by class", "On the way", "In and out again", "Nearest training pictures", "Training"]
    places = [text.index(f"<h2>{heading}") for heading in headings]
    assert places == sorted(places)


def test_what_cannot_be_measured_is_named_with_its_reason_and_the_rest_is_measured(
    dataset: Dataset, tmp_path: Path
) -> None:
    found = evaluate(tmp_path, dataset, Repainter(dataset, dataset.indices("train")), DEVICE, count=60)
    saved = json.loads((found.folder / "report.json").read_text())
    assert "classification score" in saved["not_measured"], "the painter has no classes"
    assert all(reason["problem"] and reason["remedy"] for reason in saved["not_measured"].values())
    assert "kernel distance" in {figure["name"] for figure in saved["figures"]}
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "<h3>Not measured" in page
    assert "not measured: classification score" in found.table()


def test_features_that_are_not_finite_leave_the_other_metrics_standing(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from allaprima.evaluation.features import pixels

    real = pixels.PixelFeatures.extract
    monkeypatch.setattr(pixels.PixelFeatures, "extract", lambda self, samples: real(self, samples).fill_(float("nan")))
    found = evaluate(tmp_path, dataset, bundle, DEVICE, count=60, features="pixels")
    assert "not finite" in found.left_out["kernel distance"].problem
    assert {"following accuracy"} <= {figure.name for figure in found.figures}


def test_slow_features_are_shown_no_more_pictures_than_samples(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from allaprima.evaluation.features import pixels

    shown: list[int] = []
    real = pixels.PixelFeatures.extract
    monkeypatch.setattr(pixels.PixelFeatures, "slow", True)
    monkeypatch.setattr(
        pixels.PixelFeatures, "extract", lambda self, samples: (shown.append(len(samples)), real(self, samples))[1]
    )
    monkeypatch.setattr("allaprima.evaluation.evaluate.METRICS.names", list)
    monkeypatch.setattr("allaprima.evaluation.evaluate.html.page", lambda material: "")
    evaluate(tmp_path, dataset, bundle, DEVICE, count=12, features="pixels")
    assert sum(shown) == 3 * 12


def test_the_report_says_which_net_measured(report: Report, dataset: Dataset) -> None:
    saved = json.loads((report.folder / "report.json").read_text())
    assert saved["features_identity"] == domain.load_or_train(dataset, DEVICE).identity


def test_random_weights_are_told_from_real_pictures(report: Report) -> None:
    distance = next(figure for figure in report.figures if figure.name == "kernel distance")
    assert distance.floor is not None
    assert distance.interval is not None
    assert distance.interval[0] > distance.floor + 0.5


def test_a_generator_that_repeats_the_training_pictures_reaches_the_floor(dataset: Dataset, tmp_path: Path) -> None:
    places = np.random.default_rng(1).permutation(dataset.indices("train"))
    found = evaluate(tmp_path, dataset, Repainter(dataset, places), DEVICE, count=200)
    for figure in found.figures:
        if figure.name in ("kernel distance", "precision", "recall", "density", "coverage"):
            assert figure.real is not None
            low, high = figure.interval or (figure.value, figure.value)
            assert low - 0.1 <= figure.real <= high + 0.1
    text = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Class by class" not in text
    closest = text[text.index("The closest of all") :]
    assert "features 0.00<br>pixels 0.00" in closest
    assert "It copies." in text


def test_held_out_pictures_as_samples_are_not_called_out_but_copies_among_as_many_are(
    dataset: Dataset, tmp_path: Path
) -> None:
    """By the default features. A third each to train on, to test on, and never seen by anyone."""
    folder = tmp_path / "thirds"
    shutil.copytree(dataset.folder, folder, ignore=lambda where, names: ["features"])
    np.save(folder / "splits.npy", (np.arange(len(dataset)) % 60 // 20).astype(np.uint8))  # the same for all six of one
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "thirds"}))
    thirds = Dataset.open(folder)
    for split, said, words in (
        ("validation", memorisation.CLEAR, "No sign of copying."),
        ("train", memorisation.COPIES, "It copies."),
    ):
        out = tmp_path / split
        found = evaluate(tmp_path, thirds, Repainter(thirds, thirds.indices(split)), DEVICE, count=120, out=out)
        verdicts = {figure.name: figure.details["verdict"] for figure in found.figures if "copy rate" in figure.name}
        assert verdicts == {"copy rate": said, "copy rate, pixels": said}
        assert words in (out / "report.html").read_text(encoding="utf-8")


def test_no_more_samples_than_training_pictures_are_compared(dataset: Dataset, tmp_path: Path) -> None:
    found = evaluate(tmp_path, dataset, Repainter(dataset, dataset.indices("train")), DEVICE, count=10_000)
    assert found.facts["samples"].startswith(f"{len(dataset.indices('train'))},")


def test_the_same_seed_gives_the_same_report(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    one, two = (
        evaluate(tmp_path, dataset, bundle, DEVICE, count=40, seed=3, out=tmp_path / name) for name in ("one", "two")
    )
    assert (one.folder / "report.json").read_bytes() == (two.folder / "report.json").read_bytes()
    assert (one.folder / "report.html").read_bytes() == (two.folder / "report.html").read_bytes()


def test_pictures_of_another_size_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"paints 32×32 px pictures with 3 channels, but .* holds 16×16"):
        evaluate(tmp_path, dataset, untrained(32), DEVICE)
    assert list(tmp_path.iterdir()) == []


def test_the_training_split_is_no_held_out_split(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="validation"):
        evaluate(tmp_path, dataset, bundle, DEVICE, split="train")


def test_a_split_without_pictures_is_refused(tiny_dataset: Path, bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "d")
    np.save(tmp_path / "d" / "splits.npy", np.zeros(60, np.uint8))
    with pytest.raises(UserError, match="has 0 test pictures"):
        evaluate(tmp_path / "run", Dataset.open(tmp_path / "d"), bundle, DEVICE, features="pixels")


def test_a_report_with_real_pictures_never_goes_into_a_bundle(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", dataset, bundle)
    save(bundle, tmp_path / "bare")
    before = [sorted((tmp_path / name).iterdir()) for name in ("run/bundle", "bare")]
    monkeypatch.chdir(tmp_path / "bare")
    for where, expected in ((run / "bundle", run / "report"), (Path("."), tmp_path / "bare-report")):
        found = evaluate(where, dataset, bundle, DEVICE, count=20, features="pixels")
        assert found.folder == expected
        assert (expected / "report.html").is_file()
    assert [sorted((tmp_path / name).iterdir()) for name in ("run/bundle", "bare")] == before


def test_a_report_names_no_place_on_this_machine(report: Report, run: Path, dataset: Dataset) -> None:
    for name in ("report.html", "report.json"):
        text = (report.folder / name).read_text(encoding="utf-8")
        assert str(dataset.folder.parent) not in text
        assert str(run.parent) not in text


def test_a_bare_bundle_needs_a_dataset_and_says_so(bundle: Bundle, dataset: Dataset, tmp_path: Path) -> None:
    save(bundle, tmp_path / "bare")
    with pytest.raises(UserError, match="--dataset"):
        find_dataset(tmp_path / "bare", None)
    assert find_dataset(tmp_path / "bare", dataset.folder).folder == dataset.folder


def test_a_dataset_that_moved_is_asked_for(run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"dataset": str(tmp_path / "gone")}))
    with pytest.raises(UserError, match="--dataset"):
        find_dataset(tmp_path, None)


def test_the_command_prints_the_figures_and_where_the_page_is(
    run: Path, report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from allaprima.cli.evaluate import evaluate as command

    command(run, count=60, out=tmp_path / "here")
    printed = capsys.readouterr().out
    assert "kernel distance" in printed
    assert "features: domain: 3 classes" in printed
    assert printed.strip().endswith(str(tmp_path / "here" / "report.html"))
    assert (tmp_path / "here" / "report.html").is_file()


def test_a_handful_of_pictures_gives_valid_json_and_a_warning(
    tiny_dataset: Path, bundle: Bundle, tmp_path: Path
) -> None:
    shutil.copytree(tiny_dataset, tmp_path / "d", ignore=lambda where, names: ["features"])
    splits = np.zeros(60, np.uint8)
    splits[::15] = 2
    np.save(tmp_path / "d" / "splits.npy", splits)
    dataset = Dataset.open(tmp_path / "d")
    found = evaluate(tmp_path / "run", dataset, bundle, DEVICE, count=8, features="pixels")
    assert found.table().startswith("warning: only 4 held-out pictures")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    saved = json.loads((found.folder / "report.json").read_text(), parse_constant=refuse)
    assert "only 4 held-out pictures" in saved["warning"]
    assert {figure["name"]: figure["interval"] for figure in saved["figures"]}["kernel distance"] is None
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "only 4 held-out pictures" in page
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page).replace("allaprima", "").split("</style>")[1]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format": "something else"}'])
def test_a_folder_of_other_things_gets_no_report(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="no earlier report"):
        evaluate(tmp_path, dataset, bundle, DEVICE, count=8, features="pixels", out=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_an_earlier_report_is_replaced(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    for seed in (1, 2):
        evaluate(tmp_path, dataset, bundle, DEVICE, count=8, seed=seed, features="pixels", out=tmp_path / "r")
    assert json.loads((tmp_path / "r" / "report.json").read_text())["seed"] == 2


@pytest.mark.parametrize("classes", [["one", "two"], [f"c{i}" for i in range(65)]])
def test_an_autoencoder_of_other_classes_can_be_measured(dataset: Dataset, tmp_path: Path, classes: list[str]) -> None:
    stranger = untrained(16, classes=classes, latent_dim=8, encoder="residual")
    found = evaluate(tmp_path, dataset, stranger, DEVICE, count=8, features="pixels")
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert ("In and out again" in page) == (len(classes) == 2)
