"""The metrics on sets of features against the libraries that define them, and against what anyone would expect of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.evaluation.metrics import (
    Figure,
    NotMeasuredError,
    _bootstrap,
    diversity,
    frechet_distance,
    kernel_distance,
    warning,
)
from allaprima.evaluation.metrics._bootstrap import interval_around, interval_of_mean
from allaprima.evaluation.metrics._sets import telling
from allaprima.evaluation.metrics.diversity import mean_distance, vendi
from allaprima.evaluation.metrics.kernel_distance import mmd2, with_scores
from allaprima.evaluation.metrics.prdc import INTERVALS, OF_SAMPLES, prdc
from allaprima.evaluation.metrics.prdc import on_sets as prdc_on_sets
from tests.contracts.evidence import cloud, material

OnSets = Callable[[torch.Tensor, torch.Tensor, int], object]


def named(on_sets: object, name: str, real: torch.Tensor, fake: torch.Tensor, seed: int = 0) -> Figure:
    assert callable(on_sets)
    return next(figure for figure in on_sets(real, fake, seed) if figure.name == name)


def half_width(figure: Figure) -> float:
    assert figure.interval is not None
    return (figure.interval[1] - figure.interval[0]) / 2 / 1.96


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


def test_the_mean_over_subsets_that_papers_report_has_our_kernel_distance_for_its_expectation() -> None:
    """KID as published: 100 subsets of a set; ours takes all pairs at once."""
    kid = pytest.importorskip("torchmetrics.image.kid")
    real, fake = cloud(600, 1), cloud(600, 2, 0.2)
    draw = torch.Generator().manual_seed(0)
    parts = [[x[torch.randperm(600, generator=draw)[:200]] for x in (real, fake)] for _ in range(100)]
    values = torch.tensor([float(kid.poly_mmd(*pair)) for pair in parts])
    assert abs(float(values.mean()) - mmd2(real, fake)) < 3 * float(values.std()) / 10


def test_kernel_distance_does_not_depend_on_how_rows_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = cloud(90, 1), cloud(70, 2, 0.3)
    whole = with_scores(real, fake)
    monkeypatch.setattr(kernel_distance, "ROWS_AT_ONCE", 32)
    grouped = with_scores(real, fake)
    assert grouped[0] == pytest.approx(whole[0], rel=1e-5)
    torch.testing.assert_close(grouped[1], whole[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grouped[2], whole[2], rtol=1e-5, atol=1e-5)


def test_kernel_distance_is_unbiased_and_its_interval_holds_the_truth() -> None:
    """40 pairs of sets from one distribution: the mean is near 0, and nearly all intervals hold 0."""
    figures = [
        named(kernel_distance.on_sets, "kernel distance", cloud(60, 2 * i), cloud(60, 2 * i + 1), i) for i in range(40)
    ]
    values = torch.tensor([figure.value for figure in figures])
    assert abs(float(values.mean())) < 3 * float(values.std()) / math.sqrt(40)
    held = sum(low <= 0 <= high for low, high in (figure.interval for figure in figures if figure.interval))
    assert held >= 34
    assert all("standard error" in figure.note for figure in figures)


@pytest.mark.parametrize(
    ("on_sets", "name"),
    [
        (kernel_distance.on_sets, "kernel distance"),
        (frechet_distance.on_sets, "Fréchet distance"),
        (frechet_distance.on_sets, "Fréchet distance, extrapolated"),
        (diversity.on_sets, "diversity"),
        (diversity.on_sets, "Vendi score"),
    ],
)
def test_standard_error_is_the_spread_of_repetitions(on_sets: OnSets, name: str) -> None:
    """60 pairs of sets, drawn anew each time: the figures spread as much as each one's interval says."""
    figures = [named(on_sets, name, cloud(80, 2 * i), 1.2 * cloud(100, 2 * i + 1, 0.4), i) for i in range(60)]
    spread = float(torch.tensor([figure.value for figure in figures]).std())
    errors = [half_width(figure) for figure in figures]
    assert 0.75 < sum(errors) / len(errors) / spread < 1.4


def test_prdc_equals_the_one_of_its_authors(capsys: pytest.CaptureFixture[str]) -> None:
    library = pytest.importorskip("prdc")
    real, fake = cloud(200, 1), cloud(150, 2, 0.5)
    theirs = library.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    ours = {name: float(scores.mean()) for name, scores in prdc(real, fake).items()}
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("name", sorted(INTERVALS))
def test_an_interval_of_prdc_is_the_spread_over_other_pictures_of_the_kind_that_its_note_names(name: str) -> None:
    kept = cloud(150, 1000, 0.3)
    figures = []
    for seed in range(60):
        drawn = cloud(150, seed)
        pair = (kept, drawn) if INTERVALS[name] == OF_SAMPLES else (drawn, kept)
        figures.append(named(prdc_on_sets, name, *pair, seed))
    assert all(INTERVALS[name] in figure.note for figure in figures)
    spread = float(torch.tensor([figure.value for figure in figures]).std())
    assert 0.7 < sum(map(half_width, figures)) / 60 / spread < 1.4


def test_missing_modes_lower_recall_and_coverage_but_not_precision() -> None:
    modes = torch.cat([cloud(100, i, 4.0 * i) for i in range(4)])
    one = cloud(400, 9)
    scores = {name: float(value.mean()) for name, value in prdc(modes, one).items()}
    assert scores["precision"] > 0.8
    assert scores["recall"] < 0.4
    assert scores["coverage"] < 0.4


def gaussians(count: int, seed: int, dim: int = 16) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Two sets of N(0, diag s²) and N(m, diag (1.3 s)²), and the distance of the two: |m|² + Σ (0.3 s)²."""
    spread = torch.arange(1, dim + 1) ** -0.5
    real, fake = cloud(count, 2 * seed, dim=dim) * spread, cloud(count, 2 * seed + 1, dim=dim) * 1.3 * spread
    fake[:, 0] += 0.5
    return real, fake, 0.25 + float((0.3 * spread).square().sum())


@pytest.mark.parametrize(("count", "dim"), [(300, 12), (500, 64), (40, 64)])
def test_frechet_distance_equals_the_one_of_torchmetrics(count: int, dim: int) -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")

    class AsTheyAre(torch.nn.Module):
        num_features = dim

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    metric = fid.FrechetInceptionDistance(feature=AsTheyAre())
    mix = torch.randn(dim, dim, generator=torch.Generator().manual_seed(3)) / dim**0.5
    real, fake = cloud(count, 1, dim=dim) @ mix, (cloud(count + 50, 2, 0.3, dim=dim) @ mix).relu()
    metric.update(real, real=True)
    metric.update(fake, real=False)
    found = frechet_distance.frechet_distance(real, fake)
    assert found == pytest.approx(float(metric.compute()), rel=1e-3)
    assert frechet_distance.with_scores(real, fake)[0] == pytest.approx(found, rel=1e-9)


def test_frechet_distance_of_two_gaussians_is_the_closed_form_when_there_are_many() -> None:
    real, fake, truth = gaussians(40_000, 0)
    assert frechet_distance.frechet_distance(real, fake) == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("count", [2, 5, 30])
def test_frechet_distance_stays_finite_and_never_negative_for_fewer_pictures_than_dimensions(count: int) -> None:
    x = cloud(count, 1, dim=64)
    assert frechet_distance.frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance.frechet_distance(x, x) >= 0
    assert math.isfinite(frechet_distance.frechet_distance(x, cloud(count, 2, dim=64)))
    flat = torch.cat([x, torch.zeros(count, 8)], 1)  # directions in which nothing varies at all
    value, *scores = frechet_distance.with_scores(flat, flat + 1)
    assert value == pytest.approx(72, rel=1e-6)
    assert all(part.isfinite().all() for part in scores)


@pytest.mark.parametrize("count", [40, 100, 200])
def test_the_extrapolated_distance_is_nearer_to_the_truth_than_the_plain_one(count: int) -> None:
    plain, extrapolated, truths = [], [], []
    for seed in range(20):
        real, fake, truth = gaussians(count, seed)
        figures = list(frechet_distance.on_sets(real, fake, seed))
        plain.append(figures[0].value)
        extrapolated.append(figures[1].value)
        truths.append(truth)
    bias = sum(plain) / 20 - truths[0]
    rest = sum(extrapolated) / 20 - truths[0]
    assert bias > 0
    assert abs(rest) < 0.35 * bias
    assert sum(abs(e - t) < abs(p - t) for e, p, t in zip(extrapolated, plain, truths, strict=True)) >= 14


def test_the_intervals_of_the_extrapolated_distance_hold_the_truth() -> None:
    held = 0
    for seed in range(60):
        real, fake, truth = gaussians(150, seed)
        low, high = named(frechet_distance.on_sets, "Fréchet distance, extrapolated", real, fake, seed).interval or (
            0,
            0,
        )
        held += low <= truth <= high
    assert held >= 52  # 95 % of 60 is 57


def test_scores_of_the_frechet_distance_foretell_what_leaving_a_picture_out_does() -> None:
    real, fake, _ = gaussians(200, 1)
    value, for_real, for_fake = frechet_distance.with_scores(real, fake)
    for place in (int(for_fake.argmax()), int(for_fake.argmin())):
        rest = torch.cat([fake[:place], fake[place + 1 :]])
        change = value - frechet_distance.frechet_distance(real, rest)
        assert change == pytest.approx(float(for_fake[place]) / 200, rel=0.2)
    place = int(for_real.argmax())
    change = value - frechet_distance.frechet_distance(torch.cat([real[:place], real[place + 1 :]]), fake)
    assert change == pytest.approx(float(for_real[place]) / 200, rel=0.2)


def test_too_few_pictures_for_the_frechet_distance_are_told_what_to_read_instead() -> None:
    with pytest.raises(NotMeasuredError, match="12 pictures cannot show") as error:
        list(frechet_distance.measure(material(cloud(12, 1), cloud(90, 2), cloud(90, 3))))
    assert "kernel distance" in error.value.remedy
    assert "more than 12" in error.value.remedy
    few = list(frechet_distance.measure(material(cloud(20, 1), cloud(90, 2), cloud(90, 3))))
    assert [figure.name for figure in few] == ["Fréchet distance"]
    assert "far too high" in few[0].note
    both = list(frechet_distance.measure(material(cloud(24, 1), cloud(90, 2), cloud(90, 3))))
    assert [figure.name for figure in both] == ["Fréchet distance", "Fréchet distance, extrapolated"]
    assert both[1].floor is not None
    assert both[0].floor is not None
    assert abs(both[1].floor) < both[0].floor


def test_mean_distance_is_that_of_all_pairs_however_they_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cloud(70, 1)
    expected = float(torch.pdist(x).mean())
    assert mean_distance(x)[0] == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(diversity, "ROWS_AT_ONCE", 16)
    assert mean_distance(x)[0] == pytest.approx(expected, rel=1e-5)


def test_the_vendi_score_equals_its_definition_through_all_pairs() -> None:
    x = cloud(60, 1, 0.5).double()
    unit = x / x.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit @ unit.T / 60).clamp_min(1e-30)
    assert vendi(x.float())[0] == pytest.approx(float((-(values * values.log()).sum()).exp()), rel=1e-5)


def test_the_vendi_score_does_not_depend_on_how_rows_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cloud(70, 1)
    whole = vendi(x)
    monkeypatch.setattr(diversity, "ROWS_AT_ONCE", 16)
    score, influence = vendi(x)
    assert score == pytest.approx(whole[0], rel=1e-9)
    torch.testing.assert_close(influence, whole[1])


def test_the_vendi_score_counts_wholly_different_pictures() -> None:
    assert vendi(torch.eye(8).repeat(5, 1))[0] == pytest.approx(8)
    assert vendi(torch.ones(9, 8))[0] == pytest.approx(1)


def test_samples_that_are_alike_have_little_diversity_and_noise_too_much() -> None:
    real = cloud(200, 1)
    alike = named(diversity.on_sets, "diversity", real, 0.4 * cloud(200, 2))
    noise = named(diversity.on_sets, "diversity", real, 1.5 * cloud(200, 2))
    assert alike.value == pytest.approx(0.4, rel=0.05)
    assert noise.value == pytest.approx(1.5, rel=0.05)
    assert alike.better == "neither"


def labelled(within: float) -> list[Figure]:
    """Two classes far apart; the samples of each vary ``within`` times as much as real pictures do."""
    classes = torch.arange(240) % 2
    apart = 20.0 * classes[:, None]
    evidence = material(cloud(240, 1) + apart, within * cloud(240, 2) + apart, cloud(240, 3) + apart)
    evidence.dataset.classes = ["left", "right"]
    evidence.dataset.labels[:] = torch.cat([classes, classes]).numpy()
    evidence.painter.classes = ["left", "right"]  # type: ignore[misc]
    object.__setattr__(evidence, "fake_labels", classes)
    return list(diversity.measure(evidence))


def test_a_class_that_repeats_itself_is_seen_within_classes_though_not_overall() -> None:
    found = {figure.name: figure for figure in labelled(0.1)}
    assert found["diversity"].value > 0.9
    inside = found["diversity within a class"]
    assert inside.value == pytest.approx(0.1, rel=0.1)
    assert inside.details["classes"] == pytest.approx({"left": 0.1, "right": 0.1}, rel=0.1)
    assert inside.ceiling == pytest.approx(1, abs=0.1)
    assert inside.interval is not None
    assert inside.interval[0] < inside.value < inside.interval[1]
    assert half_width(inside) < 0.01
    plain = material(cloud(60, 1), cloud(60, 2), cloud(60, 3))
    assert "diversity within a class" not in {figure.name for figure in diversity.measure(plain)}


def test_features_that_are_all_the_same_break_nothing() -> None:
    same = torch.ones(40, 12)
    for module in (kernel_distance, frechet_distance, diversity):
        for figure in module.measure(material(same, same, same)):
            assert math.isfinite(figure.value), figure.name


def test_interval_of_a_mean_is_as_wide_as_the_binomial_one() -> None:
    scores = (torch.arange(400) % 4 == 0).float()
    low, high = interval_of_mean(scores, 0, "test")
    assert low < 0.25 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.25 * 0.75 / 400), rel=0.2)


def test_resampling_a_few_draws_at_a_time_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = cloud(100, 1, dim=1)[:, 0]
    whole = interval_of_mean(scores, 0, "test")
    monkeypatch.setattr(_bootstrap, "DRAWS_AT_ONCE", 7)
    assert interval_of_mean(scores, 0, "test") == pytest.approx(whole, rel=1e-9)


def test_an_interval_from_influences_adds_up_the_sets() -> None:
    low, high = interval_around(5.0, [2 * cloud(400, 1, dim=1)[:, 0], cloud(100, 2, dim=1)[:, 0]], 0, "test")
    assert low < 5 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(4 / 400 + 1 / 100), rel=0.25)


def test_a_warning_is_given_for_few_held_out_pictures_alone() -> None:
    assert "only 8 held-out pictures" in warning(8)
    assert warning(50) == ""
    assert "only 5 samples" in warning(50, 5)


def test_an_interval_as_wide_as_a_rounding_error_is_none() -> None:
    assert telling((1.3333333, 1.3333335), 4) is None
    assert telling((1.3333333, 1.3333335), 400) is not None
    assert telling((1.30, 1.35), 4) == (1.30, 1.35)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_are_refused_in_plain_words(count: int) -> None:
    words = ("There are no test pictures, too few to compare", "There is 1 test picture, too few to compare")[count]
    with pytest.raises(UserError, match=words):
        list(kernel_distance.measure(material(cloud(count, 1), cloud(9, 2), cloud(9, 3))))


def test_features_that_are_not_numbers_are_refused() -> None:
    fake = cloud(9, 2)
    fake[3, 3] = math.nan
    with pytest.raises(UserError, match="features of the samples are not finite"):
        list(kernel_distance.measure(material(cloud(9, 1), fake, cloud(9, 3))))
