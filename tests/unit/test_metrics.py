"""The metrics against the libraries that define them, and against what anyone would expect of them."""

from __future__ import annotations

import math

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.evaluation.metrics import METRICS, _telling, measure_all, warning
from allaprima.evaluation.metrics._bootstrap import interval_of_mean
from allaprima.evaluation.metrics.kernel_distance import measure, mmd2
from allaprima.evaluation.metrics.prdc import prdc


def cloud(count: int, seed: int, shift: float = 0.0, dim: int = 12) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + shift


def test_kernel_distance_equals_the_one_of_torchmetrics() -> None:
    kid = pytest.importorskip("torchmetrics.image.kid")
    real, fake = cloud(300, 1), cloud(300, 2, 0.2)
    assert mmd2(real, fake) == pytest.approx(float(kid.poly_mmd(real, fake)), rel=1e-4)


def test_kernel_distance_of_sets_of_different_sizes_follows_its_definition() -> None:
    x, y = cloud(7, 1).double(), cloud(5, 2, 0.5).double()
    k = lambda a, b: (float(a @ b) / 12 + 1) ** 3  # noqa: E731 - as the equation writes it
    xx = sum(k(x[i], x[j]) for i in range(7) for j in range(7) if i != j) / 42
    yy = sum(k(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    xy = sum(k(a, b) for a in x for b in y) / 35
    assert mmd2(x.float(), y.float()) == pytest.approx(xx + yy - 2 * xy, rel=1e-4)


def test_kernel_distance_does_not_depend_on_how_rows_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = cloud(90, 1), cloud(70, 2, 0.3)
    whole = next(measure(real, fake, 0))
    monkeypatch.setattr("allaprima.evaluation.metrics.kernel_distance.ROWS_AT_ONCE", 32)
    grouped = next(measure(real, fake, 0))
    assert grouped.value == pytest.approx(whole.value, rel=1e-5)
    assert grouped.interval == pytest.approx(whole.interval, rel=1e-4)


def test_kernel_distance_is_unbiased_and_its_interval_holds_the_truth() -> None:
    """40 pairs of sets from one distribution: the mean is near 0, and nearly all intervals hold 0."""
    figures = [next(measure(cloud(60, 2 * i), cloud(60, 2 * i + 1), i)) for i in range(40)]
    values = torch.tensor([figure.value for figure in figures])
    assert abs(float(values.mean())) < 3 * float(values.std()) / math.sqrt(40)
    held = sum(low <= 0 <= high for low, high in (figure.interval for figure in figures if figure.interval))
    assert held >= 34


def test_standard_error_is_the_spread_of_repetitions() -> None:
    figures = [next(measure(cloud(80, 2 * i), cloud(80, 2 * i + 1, 0.4), i)) for i in range(40)]
    spread = float(torch.tensor([figure.value for figure in figures]).std())
    errors = [(figure.interval[1] - figure.interval[0]) / 2 / 1.96 for figure in figures if figure.interval]
    assert 0.7 < sum(errors) / len(errors) / spread < 1.5


def test_prdc_equals_the_one_of_its_authors(capsys: pytest.CaptureFixture[str]) -> None:
    library = pytest.importorskip("prdc")
    real, fake = cloud(200, 1), cloud(150, 2, 0.5)
    theirs = library.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    ours = {name: float(scores.mean()) for name, scores in prdc(real, fake).items()}
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_missing_modes_lower_recall_and_coverage_but_not_precision() -> None:
    modes = torch.cat([cloud(100, i, 4.0 * i) for i in range(4)])
    one = cloud(400, 9)
    scores = {name: float(value.mean()) for name, value in prdc(modes, one).items()}
    assert scores["precision"] > 0.8
    assert scores["recall"] < 0.4
    assert scores["coverage"] < 0.4


def test_every_metric_runs_on_20_pictures_and_says_that_they_are_few() -> None:
    figures = list(measure_all(cloud(20, 1), cloud(50, 2), cloud(50, 3), "domain: test"))
    assert {"kernel distance", "precision", "recall", "density", "coverage"} <= {figure.name for figure in figures}
    for figure in figures:
        assert "few" in figure.note or "only 20 held-out pictures: wide interval" in figure.note
        assert figure.features == "domain: test"
        assert figure.floor is not None
        assert all(math.isfinite(number) for number in (figure.value, figure.floor, *(figure.interval or ())))
    assert any(figure.interval for figure in figures if figure.name == "kernel distance")


def test_every_metric_runs_on_two_pictures() -> None:
    for figure in measure_all(cloud(2, 1), cloud(2, 2), cloud(2, 3), "f"):
        assert math.isfinite(figure.value)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_are_refused_in_plain_words(count: int) -> None:
    with pytest.raises(UserError, match="too few to compare"):
        list(measure_all(cloud(count, 1), cloud(9, 2), cloud(9, 3), "f"))


def test_features_that_are_not_numbers_are_refused() -> None:
    fake = cloud(9, 2)
    fake[3, 3] = math.nan
    with pytest.raises(UserError, match="features of the samples are not finite"):
        list(measure_all(cloud(9, 1), fake, cloud(9, 3), "f"))


def test_figures_are_the_same_for_the_same_seed() -> None:
    first, second = (list(measure_all(cloud(30, 1), cloud(30, 2), cloud(30, 3), "f", seed=4)) for _ in range(2))
    assert first == second


def test_interval_of_a_mean_is_as_wide_as_the_binomial_one() -> None:
    scores = (torch.arange(400) % 4 == 0).float()
    low, high = interval_of_mean(scores, 0, "test")
    assert low < 0.25 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.25 * 0.75 / 400), rel=0.2)


def test_every_metric_explains_itself() -> None:
    for name in METRICS.names():
        for figure in METRICS.get(name).measure(cloud(30, 1), cloud(30, 2), 0):
            assert figure.meaning.endswith(".")
            assert "FID" not in figure.name
            assert "KID" not in figure.name


@pytest.mark.parametrize("count", [2, 4, 8])
def test_no_interval_is_given_where_pictures_are_too_few_for_one(count: int) -> None:
    figures = list(measure_all(cloud(count, 1), cloud(count, 2), cloud(count, 3), "f"))
    for figure in figures:
        assert "nan" not in figure.note
        if figure.interval is not None:
            assert figure.interval[1] - figure.interval[0] > 1e-5
    same = {figure.name: figure for figure in measure_all(cloud(count, 1), cloud(count, 1), cloud(count, 1), "f")}
    assert same["coverage"].value == 1
    assert same["coverage"].interval is None


def test_a_warning_is_given_for_few_held_out_pictures_alone() -> None:
    assert "only 8 held-out pictures" in warning(8)
    assert warning(50) == ""


def test_an_interval_as_wide_as_a_rounding_error_is_none() -> None:
    assert _telling((1.3333333, 1.3333335), 4) is None
    assert _telling((1.3333333, 1.3333335), 400) is not None
    assert _telling((1.30, 1.35), 4) == (1.30, 1.35)
