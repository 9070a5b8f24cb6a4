"""Every metric tells like from unlike, and every kind of features sees pictures of any number."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.metrics import METRICS


def vectors(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_worse_for_samples_from_elsewhere(name: str) -> None:
    measure = METRICS.get(name).measure
    like = {figure.name: figure for figure in measure(vectors(200, 0), vectors(200, 1), 0)}
    unlike = {figure.name: figure for figure in measure(vectors(200, 0), vectors(200, 1, shift=4.0), 0)}
    assert like
    assert like.keys() == unlike.keys()
    for key, figure in like.items():
        assert math.isfinite(figure.value)
        assert figure.meaning
        if figure.better == "lower":
            assert figure.value < unlike[key].value
        else:
            assert figure.value > unlike[key].value
        if figure.interval is not None:
            assert figure.interval[0] <= figure.value <= figure.interval[1]


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_a_function_of_its_seed_and_works_on_two_pictures(name: str) -> None:
    measure = METRICS.get(name).measure
    assert list(measure(vectors(30, 0), vectors(30, 1), 5)) == list(measure(vectors(30, 0), vectors(30, 1), 5))
    assert all(math.isfinite(figure.value) for figure in measure(vectors(2, 0), vectors(2, 1), 0))


@pytest.fixture(scope="module")
def own_dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A copy, because features may be kept beside the dataset that they were trained on."""
    folder = tmp_path_factory.mktemp("features") / "tiny"
    shutil.copytree(tiny_dataset, folder)
    return Dataset.open(folder)


@pytest.mark.parametrize("name", FEATURES.names())
def test_features_are_finite_vectors_one_a_picture_and_the_same_when_loaded_again(
    name: str, own_dataset: Dataset
) -> None:
    device = Device.choose("fp32")
    module = FEATURES.get(name)
    samples = own_dataset.domain.to_tensor(own_dataset.images[:5])
    features = module.load_or_train(own_dataset, device, 2.0)
    seen = features.extract(samples)
    assert seen.shape == (5, features.dim)
    assert seen.dtype == torch.float32
    assert seen.isfinite().all()
    assert seen.std(0).max() > 0, "all pictures look alike"
    assert features.extract(samples[:0]).shape == (0, features.dim)
    assert features.name
    again = module.load_or_train(own_dataset, device, 2.0)
    torch.testing.assert_close(again.extract(samples), seen)
