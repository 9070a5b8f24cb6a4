"""The report's page: whole in itself, safe against a stranger's names, tolerant of what a diary holds."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.bundle.untrained import untrained
from allaprima.data.dataset import Dataset
from allaprima.evaluation.evaluate import evaluate
from allaprima.evaluation.features.pixels import PixelFeatures
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.report import SECTIONS, escape, image, number, wall
from allaprima.evaluation.sections.curves import _chart, read_curves
from allaprima.evaluation.sections.figures import _card
from allaprima.evaluation.sections.figures import section as figures_section
from allaprima.evaluation.sections.tables import _row
from tests.contracts.evidence import DEVICE, cloud, material


def figure(**changes: object) -> Figure:
    given = {"name": "kernel distance", "value": 0.5, "interval": (0.4, 0.6), "better": "lower", "meaning": "How far."}
    return Figure(**{**given, "features": "domain: 3 classes", "floor": 0.1, **changes})  # type: ignore[arg-type]


def test_a_card_says_value_interval_floor_direction_and_features() -> None:
    card, row = _card(figure()), _row(figure())
    for words in ("0.500", "0.400 … 0.600", "0.100", "lower is better"):
        assert words in card
        assert words in row
    assert "real pictures 0.100" in card
    assert "domain: 3 classes" in row


def test_what_real_pictures_get_is_the_ceiling_of_a_figure_that_is_better_high() -> None:
    accuracy = figure(better="higher", value=0.7, interval=(0.6, 0.8), floor=0.1, ceiling=0.9)
    assert "real pictures 0.900" in _card(accuracy)
    assert "chance 0.100" in _card(accuracy)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-0.00001, "0.000"),
        (0.0004, "0.0004"),
        (-0.0004, "-0.0004"),
        (0.0312, "0.031"),
        (9.9996, "10.0"),
        (12.34, "12.3"),
        (99.94, "99.9"),
        (99.96, "100"),
        (-128.4, "-128"),
        (999.6, "1,000"),
        (12345.6, "12,346"),
    ],
)
def test_a_number_shows_the_digits_that_count(value: float, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    "changes", [{"interval": None}, {"floor": None}, {"value": 0.0, "interval": (0.0, 0.0), "floor": 0.0}]
)
def test_a_card_stays_whole_when_something_is_unknown_or_nought(changes: dict[str, object]) -> None:
    card = _card(figure(**changes))
    assert "nan" not in card
    assert card.count("<div") == card.count("</div>")


def test_gauge_marks_lie_between_the_ends() -> None:
    card = _card(figure(value=-0.02, interval=(-0.1, 0.06), floor=0.5))
    places = [float(place) for place in re.findall(r'(?:x1|x2|cx)="([-\d.]+)%"', card)]
    assert len(places) >= 7
    assert all(0 <= place <= 100 for place in places)


@pytest.mark.parametrize(("size", "kind"), [(32, "png"), (128, "webp"), (512, "webp")])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pictures_travel_inside_the_page(size: int, kind: str, mode: str) -> None:
    made = image(Image.new(mode, (size, size // 2)), "one")
    data = re.search(rf"data:image/{kind};base64,([^\"]+)", made)
    assert data is not None
    inside = Image.open(io.BytesIO(base64.b64decode(data[1])))
    assert max(inside.size) <= 192
    assert inside.width == 2 * inside.height


def test_words_of_strangers_cannot_become_markup() -> None:
    assert escape('<script>"&') == "&lt;script&gt;&quot;&amp;"
    assert "<script" not in wall([Image.new("L", (8, 8))], '"><script>')
    assert "<b>" not in _chart("<b>", {"<b>": [(0, 1), (1, 2)]})


def test_curves_are_read_whatever_else_the_diary_holds(tmp_path: Path) -> None:
    lines = [
        {"num_images_seen": 0, "loss/generator": 2, "validation/kernel_distance": None, "note": "x", "loss/text": "a"},
        {"num_images_seen": 10, "loss/generator": 1.5, "loss/odd": float("nan"), "validation/kernel_distance": 0.3},
        {"loss/generator": 9},
        {"num_images_seen": 20, "loss/generator": 1, "validation/kernel_distance": 0.2, "time/seconds": 4},
        [1, 2],
        "words",
    ]
    path = tmp_path / "stats.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"num_images_seen": 30, "lo')
    curves = read_curves(path)
    assert list(curves) == ["validation", "loss"]
    assert curves["loss"] == {"generator": [(0, 2), (10, 1.5), (20, 1)]}
    assert curves["validation"] == {"kernel_distance": [(10, 0.3), (20, 0.2)]}
    assert read_curves(tmp_path / "none.jsonl") == {}


def test_a_chart_stays_inside_its_frame_and_small() -> None:
    draw = np.random.default_rng(0)
    points = [(float(i), float(draw.standard_cauchy())) for i in range(5000)]
    chart = _chart("loss", {"wild": points, "flat": [(0.0, 1.0), (5000.0, 1.0)]})
    drawn = re.search(r'points="([^"]+)"', chart)
    assert drawn is not None
    ys = [float(point.split(",")[1]) for point in drawn[1].split()]
    assert min(ys) >= 0
    assert max(ys) <= 200
    assert len(ys) <= 250


def test_every_section_has_its_own_place() -> None:
    places = [SECTIONS.get(name).PLACE for name in SECTIONS.names()]
    assert len(places) == len(set(places))


def test_a_figure_without_interval_says_so_and_has_no_bar() -> None:
    card = _card(figure(interval=None))
    assert "no interval" in card
    assert "whisker" not in card
    assert "whisker" in _card(figure())


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({}, "and nothing else"),
        ({"Fréchet distance": "FID"}, "papers publish the Fréchet distance as FID (take 50,000)"),
    ],
)
def test_what_figures_compare_with_depends_on_the_features(names: dict[str, str], words: str) -> None:
    evidence = material(cloud(60, 1), cloud(60, 2), cloud(60, 3))
    evidence.features.published_names, evidence.features.published_note = names, "take 50,000" if names else ""
    page = figures_section(evidence)
    assert words in page
    assert ("and nothing else" in page) == (not names)


def test_features_that_are_not_finite_leave_out_the_directions_of_a_generator_and_the_rest_of_the_page_stands(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, gan = Dataset.open(tiny_dataset), untrained(16, latent_dim=8)
    for name, finite in (("finite", True), ("broken", False)):
        with monkeypatch.context() as patch:
            if not finite:
                patch.setattr(PixelFeatures, "extract", lambda self, x: torch.full((len(x), self.dim), math.nan))
            evaluate(tmp_path, dataset, gan, DEVICE, count=20, features="pixels", out=tmp_path / name)
        text = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert ("What the latent directions do" in text) == finite
        assert ("not finite" in text) != finite
        assert "<h2>Samples" in text
