"""Every kind of features sees pictures of any number, and says what to do when its weights are missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES, Weights
from allaprima.models.pretrained import PRETRAINED


@pytest.fixture(scope="module")
def own_dataset(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A copy, because features may be kept beside the dataset that they were trained on."""
    folder = tmp_path_factory.mktemp("features") / "tiny"
    shutil.copytree(tiny_dataset, folder)
    return Dataset.open(folder)


# Those of a published net need its weights, which the tests do not fetch; their own tests run them on other numbers.
PUBLISHED = [name for name in FEATURES.names() if name in PRETRAINED.names()]


@pytest.mark.parametrize("name", [name for name in FEATURES.names() if name not in PUBLISHED])
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
    assert features.name.startswith(name)
    assert features.published_names == {}, "a figure on features of our own has no published name"
    again = module.load_or_train(own_dataset, device, 2.0)
    torch.testing.assert_close(again.extract(samples), seen)
    with pytest.raises(UserError, match="need no weights"):
        module.load_or_train(own_dataset, device, 2.0, Weights(file=Path("any.pth")))


@pytest.mark.parametrize("name", PUBLISHED)
def test_features_without_their_weights_say_what_to_do(
    name: str, own_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ALLAPRIMA_CACHE", "TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    for ask in (Weights(), Weights(file=tmp_path / "absent.pth")):
        with pytest.raises(UserError, match=r"absent\.pth|not on this machine") as error:
            FEATURES.get(name).load_or_train(own_dataset, Device.choose("fp32"), 2.0, ask)
        assert "--download" in error.value.remedy
        assert "--weights" in error.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_are_pinned_to_one_content(name: str) -> None:
    for file in PRETRAINED.get(name).FILES:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.url.startswith("https://")
        assert "/main/" not in file.url, "a branch may move"
        assert file.num_bytes > 10**6
