"""Every metric of the catalogue: explains itself, repeats, tells like from unlike, and says why when it cannot be had."""

from __future__ import annotations

import math

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import METRICS, Figure, NotMeasuredError, measure_all
from tests.contracts.evidence import cloud, material

# What says of one set of samples that it is worse than another must say so here too.
ON_FEATURES = {"data_copying", "diversity", "frechet_distance", "kernel_distance", "memorisation", "prdc"}


def figures(name: str, evidence: Material) -> list[Figure]:
    """Those of one metric; empty if it does not apply or lacks something."""
    found = dict(measure_all(evidence, [name]))[name]
    if isinstance(found, UserError):
        assert isinstance(found, NotMeasuredError)
        assert found.problem
        assert found.remedy
        return []
    return found


def test_the_metrics_on_features_are_in_the_catalogue() -> None:
    assert set(METRICS.names()) >= ON_FEATURES


@pytest.mark.parametrize("name", METRICS.names())
def test_a_figure_explains_itself_and_is_finite_and_inside_its_interval(name: str) -> None:
    found = figures(name, material(cloud(120, 1), cloud(130, 2), cloud(140, 3)))
    assert found or name not in ON_FEATURES
    for figure in found:
        assert figure.meaning.endswith(".")
        assert "FID" not in figure.name
        assert "KID" not in figure.name
        assert figure.group
        assert figure.features or name not in ON_FEATURES
        assert figure.real is None or math.isfinite(figure.real)
        assert figure.real is not None or name not in ON_FEATURES
        assert math.isfinite(figure.value)
        if figure.interval is not None:
            assert figure.interval[0] <= figure.value <= figure.interval[1]
        assert "nan" not in figure.note


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_worse_for_samples_from_elsewhere(name: str) -> None:
    train = cloud(300, 3)
    like, unlike = (
        {f.name: f for f in figures(name, material(cloud(200, 0), cloud(200, 1, shift), train))} for shift in (0, 4)
    )
    assert like.keys() == unlike.keys()
    for key, figure in like.items():
        if figure.better == "lower" and name != "memorisation":  # what lies elsewhere copies nothing
            assert figure.value < unlike[key].value
        elif figure.better == "higher":
            assert figure.value > unlike[key].value


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_a_function_of_its_seed(name: str) -> None:
    first, second = (figures(name, material(cloud(60, 1), cloud(60, 2), cloud(60, 3), seed=4)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("count", [2, 4, 8, 20])
def test_few_pictures_give_figures_without_a_false_interval_or_a_plain_reason(count: int) -> None:
    evidence = material(cloud(count, 1), cloud(count, 2), cloud(count, 3))
    seen = set()
    for _, found in measure_all(evidence):
        if isinstance(found, UserError):
            assert isinstance(found, NotMeasuredError)
            continue
        for figure in found:
            seen.add(figure.name)
            assert math.isfinite(figure.value)
            assert "nan" not in figure.note
            assert figure.interval is None or figure.interval[1] - figure.interval[0] > 1e-5
    assert {"kernel distance", "precision", "recall", "density", "coverage"} <= seen


def test_figures_on_20_pictures_say_that_they_are_few() -> None:
    for name in ("kernel_distance", "prdc", "diversity"):
        for figure in figures(name, material(cloud(20, 1), cloud(50, 2), cloud(50, 3))):
            width = "wide interval" if figure.interval else "too few for an interval"
            assert f"only 20 held-out pictures: {width}" in figure.note


@pytest.mark.parametrize("name", sorted(ON_FEATURES))
def test_features_that_are_not_numbers_stop_what_needs_them_with_a_plain_reason(name: str) -> None:
    fake = cloud(60, 2)
    fake[3, 3] = torch.nan
    with pytest.raises(NotMeasuredError, match="not finite"):
        list(METRICS.get(name).measure(material(cloud(60, 1), fake, cloud(60, 3))))
