"""Every metric of the catalogue: explains itself, repeats, tells like from unlike, and says why when it cannot be had."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import METRICS, Figure, NotMeasuredError, measure_all
from tests.contracts.evidence import cloud, material, of_classes, of_texts

# What says of one set of samples that it is worse than another must say so here too.
ON_FEATURES = {"data_copying", "diversity", "frechet_distance", "kernel_distance", "memorisation", "prdc"}
ON_TEXTS = {"following_columns", "retrieval", "variety"}  # of generators that follow texts
OF_THE_PAINTER = {"active_units", "likelihood", "reconstruction"}  # they look at the autoencoder, and at no sample


@pytest.fixture(scope="module")
def plain() -> Material:
    return material(cloud(120, 1), cloud(130, 2), cloud(140, 3))


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Material]:
    """Of two classes, painted by an autoencoder; all keep the one judge that they train."""
    return functools.partial(of_classes, tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Material]:
    """The same from a generator that follows texts."""
    return functools.partial(of_texts, tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def like(classes: Callable[..., Material]) -> Material:
    return classes()


@pytest.fixture(scope="module")
def unlike(classes: Callable[..., Material]) -> Material:
    return classes(elsewhere=True)


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
def test_a_figure_explains_itself_and_is_finite_and_inside_its_interval(
    name: str, plain: Material, like: Material, texts: Callable[..., Material]
) -> None:
    assert figures(name, plain) or name not in ON_FEATURES
    found = figures(name, plain) + figures(name, texts() if name in ON_TEXTS else like)
    assert found, "neither plain pictures nor those of two classes are enough for it"
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
def test_a_metric_is_worse_for_samples_from_elsewhere(
    name: str, like: Material, unlike: Material, texts: Callable[..., Material]
) -> None:
    if name in ON_TEXTS:
        like, unlike = texts(), texts(elsewhere=True)
    if name in OF_THE_PAINTER:
        pytest.skip("it looks at the autoencoder, and at no sample")
    if name == "memorisation":
        pytest.skip("what lies elsewhere copies nothing")
    good, bad = ({figure.name: figure for figure in figures(name, evidence)} for evidence in (like, unlike))
    assert good.keys() == bad.keys()
    ends = {key: figure.better for key, figure in good.items() if figure.better != "neither"}
    if good and not ends:
        pytest.skip("none of its figures has a better end")
    assert ends
    for key, better in ends.items():
        change = bad[key].value - good[key].value
        assert change > 0 if better == "lower" else change < 0, key


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_a_function_of_its_seed(
    name: str, classes: Callable[..., Material], texts: Callable[..., Material]
) -> None:
    made = texts if name in ON_TEXTS else classes
    first, second = (figures(name, made(count=40, seed=4)) for _ in range(2))
    assert first
    assert first == second


def test_matrices_that_cannot_be_decomposed_stop_that_metric_alone(
    plain: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(material: Material) -> None:
        raise torch.linalg.LinAlgError("linalg.eigh: failed to converge")

    monkeypatch.setattr(METRICS.get("diversity"), "measure", fail)
    found = dict(measure_all(plain, ["diversity", "prdc"]))
    assert isinstance(found["diversity"], NotMeasuredError)
    assert "failed to converge" in found["diversity"].problem
    assert isinstance(found["prdc"], list)


def test_a_bug_in_a_metric_is_not_taken_for_a_figure_that_cannot_be_had(
    plain: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METRICS.get("diversity"), "measure", lambda material: [].pop())
    with pytest.raises(IndexError):
        dict(measure_all(plain, ["diversity"]))


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
