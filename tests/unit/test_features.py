"""Features: they tell pictures apart, stay with the dataset, and the validator of the training is built on them."""

from __future__ import annotations

import gzip
import json
import math
import time
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES, domain, of_pictures
from allaprima.evaluation.features._learning import nt_xent
from allaprima.evaluation.features._net import smaller
from allaprima.evaluation.features._views import random_views
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.evaluation.metrics.prdc import prdc
from allaprima.evaluation.validation import Validator

DEVICE = Device(torch.device("cpu"), "fp32")
QUICK = domain.Config(width=8, num_images=512, batch_size=32)


def shapes(count: int, labels: np.ndarray, size: int, channels: int, seed: int) -> np.ndarray:
    """uint8 ``[N,H,W,C]``: upright bars, lying bars or discs, in random colours and places."""
    draw = np.random.default_rng(seed)
    y, x = np.indices((size, size)) / size
    images = np.full((count, size, size, channels), 20, np.uint8)
    for image, label in zip(images, labels, strict=True):
        cy, cx = draw.uniform(0.35, 0.65, 2)
        inside = [abs(x - cx) < 0.1, abs(y - cy) < 0.1, (x - cx) ** 2 + (y - cy) ** 2 < 0.06][label]
        image[inside] = draw.integers(120, 255, channels)
        if channels == 4:
            image[..., 3] = np.where(inside, 255, 0)
    return images


def write_shapes(
    folder: Path,
    count: int = 300,
    size: int = 16,
    channels: int = 3,
    labelled: bool = True,
    template: Path | None = None,
) -> Dataset:
    """A prepared dataset of ``shapes``; ``template`` is the folder of any prepared dataset, for its manifest."""
    assert template is not None
    labels = np.arange(count) % 3
    splits = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2], np.uint8)[np.arange(count) // 3 % 10]
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", shapes(count, labels, size, channels, 0))
    np.save(folder / "labels.npy", labels.astype(np.int64) if labelled else np.full(count, -1, np.int64))
    np.save(folder / "splits.npy", splits)
    manifest = json.loads((template / "manifest.json").read_text())
    manifest["domain"] |= {"height": size, "width": size, "channels": channels}
    manifest |= {"count": count, "classes": ["upright", "lying", "disc"] if labelled else []}
    manifest["fingerprint"] = f"shapes {count} {size} {channels} {labelled}"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Dataset:
    return write_shapes(tmp_path_factory.mktemp("shapes") / "shapes", template=tiny_dataset)


@pytest.fixture(scope="module")
def features(dataset: Dataset) -> domain.DomainFeatures:
    return domain.load_or_train(dataset, DEVICE, config=domain.Config(width=16, num_images=2500, batch_size=50))


@pytest.fixture
def tiny(tiny_dataset: Path, tmp_path: Path) -> Dataset:
    copytree(tiny_dataset, tmp_path / "tiny", ignore=lambda folder, names: ["features"])
    return Dataset.open(tmp_path / "tiny")


def test_features_are_named_after_what_they_learned_from(features: domain.DomainFeatures, tiny: Dataset) -> None:
    assert features.name == "domain: 3 classes"
    np.save(tiny.folder / "labels.npy", np.full(len(tiny), -1))
    assert domain.load_or_train(Dataset.open(tiny.folder), DEVICE, config=QUICK).name == "domain: self-supervised"


def test_features_tell_classes_apart_that_they_saw_in_training(
    dataset: Dataset, features: domain.DomainFeatures
) -> None:
    train, test = dataset.indices("train"), dataset.indices("test")
    nearest = torch.cdist(of_pictures(features, dataset, test), of_pictures(features, dataset, train)).argmin(1)
    guessed = np.asarray(dataset.labels[train])[nearest]
    assert (guessed == dataset.labels[test]).mean() > 0.8


def test_noise_lies_far_beyond_softness_and_softness_beyond_real_pictures(
    dataset: Dataset, features: domain.DomainFeatures
) -> None:
    real = of_pictures(features, dataset, dataset.indices("test"))
    train = dataset.domain.to_tensor(dataset.images[dataset.indices("train")])
    soft = F.interpolate(F.avg_pool2d(train, 2), train.shape[-2:], mode="bilinear")
    noise = torch.rand(train.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    as_is, softened, noisy = (mmd2(real, features.extract(samples)) for samples in (train, soft, noise))
    assert abs(as_is) < 0.15
    assert softened > 3 * max(as_is, 0.03)
    assert noisy > 1.5 * softened


def test_a_missing_class_shows_as_distance_and_lower_recall(dataset: Dataset, features: domain.DomainFeatures) -> None:
    train = dataset.indices("train")
    every, one = train[:60], train[np.asarray(dataset.labels[train]) == 0]
    real = of_pictures(features, dataset, dataset.indices("test"))
    whole, dropped = (of_pictures(features, dataset, places) for places in (every, one))
    assert mmd2(real, dropped) > mmd2(real, whole) + 0.2
    before, after = prdc(real, whole), prdc(real, dropped)
    assert after["recall"].mean() < before["recall"].mean() - 0.1
    assert after["coverage"].mean() < before["coverage"].mean() - 0.2


def test_features_have_one_length_so_that_no_picture_outweighs_the_others(
    dataset: Dataset, features: domain.DomainFeatures
) -> None:
    found = of_pictures(features, dataset, dataset.indices("test"))
    assert found.shape == (len(dataset.indices("test")), features.dim)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.full((len(found),), features.dim**0.5))


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (40, 4), (96, 3)])
def test_any_size_and_number_of_channels_works(tiny_dataset: Path, tmp_path: Path, size: int, channels: int) -> None:
    data = write_shapes(tmp_path / "any", 60, size, channels, template=tiny_dataset)
    found = domain.load_or_train(data, DEVICE, config=QUICK.model_copy(update={"num_images": 64}))
    assert of_pictures(found, data, data.indices("test")).isfinite().all()


def test_features_from_one_seed_are_the_same(tiny: Dataset) -> None:
    made = []
    for seed in (0, 0, 1):
        for old in (tiny.folder / "features").glob("*/*"):
            old.unlink()
        config = QUICK.model_copy(update={"seed": seed, "num_images": 128})
        made.append(of_pictures(domain.load_or_train(tiny, DEVICE, config=config), tiny, tiny.indices("test")))
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=0)
    assert (made[0] - made[2]).abs().max() > 0.1


def test_features_are_trained_once_and_then_read(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = of_pictures(domain.load_or_train(tiny, DEVICE, config=QUICK), tiny, tiny.indices("test"))
    monkeypatch.setattr(domain, "learn", lambda *args, **kwargs: pytest.fail("trained again"))
    again = of_pictures(domain.load_or_train(tiny, DEVICE, config=QUICK), tiny, tiny.indices("test"))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


@pytest.mark.parametrize("damage", ["weights", "description", "missing"])
def test_damaged_features_are_trained_again(tiny: Dataset, damage: str) -> None:
    before = of_pictures(domain.load_or_train(tiny, DEVICE, config=QUICK), tiny, tiny.indices("test"))
    (kept,) = (tiny.folder / "features").iterdir()
    weights, description = kept / "weights.safetensors", kept / "features.json"
    if damage == "weights":
        data = bytearray(weights.read_bytes())
        data[-9] ^= 1
        weights.write_bytes(data)
    elif damage == "description":
        description.write_text(description.read_text()[:40])
    else:
        weights.unlink()
    after = of_pictures(domain.load_or_train(tiny, DEVICE, config=QUICK), tiny, tiny.indices("test"))
    torch.testing.assert_close(before, after, rtol=0, atol=0)
    assert json.loads(description.read_text())["name"] == "domain: 3 classes"


def test_features_of_other_pictures_are_not_used(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    domain.load_or_train(tiny, DEVICE, config=QUICK)
    manifest = json.loads((tiny.folder / "manifest.json").read_text()) | {"fingerprint": "changed"}
    (tiny.folder / "manifest.json").write_text(json.dumps(manifest))
    domain.load_or_train(Dataset.open(tiny.folder), DEVICE, config=QUICK)
    assert len(list((tiny.folder / "features").iterdir())) == 2


def test_a_dataset_that_cannot_be_written_is_no_obstacle(tiny: Dataset) -> None:
    (tiny.folder / "features").write_text("in the way")  # permissions would not stop the super-user
    found = domain.load_or_train(tiny, DEVICE, config=QUICK)
    assert of_pictures(found, tiny, tiny.indices("test")).isfinite().all()


def test_two_training_pictures_are_needed(tiny: Dataset) -> None:
    np.save(tiny.folder / "splits.npy", np.array([0] + [1] * (len(tiny) - 1), np.uint8))
    with pytest.raises(UserError, match="1 training pictures"):
        domain.load_or_train(Dataset.open(tiny.folder), DEVICE, config=QUICK)


def test_features_of_a_folder_copied_from_another_dataset_are_not_used(tiny: Dataset, tmp_path: Path) -> None:
    """Even under the right name: the description says which pictures they were trained on."""
    domain.load_or_train(tiny, DEVICE, config=QUICK)
    (kept,) = (tiny.folder / "features").iterdir()
    copytree(tiny.folder, tmp_path / "other")
    manifest = json.loads((tiny.folder / "manifest.json").read_text()) | {"fingerprint": "other"}
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest))
    other = Dataset.open(tmp_path / "other")
    domain.load_or_train(other, DEVICE, config=QUICK)
    (own,) = (path for path in (other.folder / "features").iterdir() if path.name != kept.name)
    rmtree(own)
    copytree(kept, own)
    domain.load_or_train(other, DEVICE, config=QUICK)
    assert json.loads((own / "features.json").read_text())["dataset"] == "other"


def test_another_seed_is_another_judge_and_both_are_kept(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    second = QUICK.model_copy(update={"seed": 1})
    made = [domain.load_or_train(tiny, DEVICE, 60.0, config=config) for config in (QUICK, second)]
    monkeypatch.setattr(domain, "learn", lambda *args, **kwargs: pytest.fail("trained again"))
    for before, config in zip(made, (QUICK, second), strict=True):
        again = domain.load_or_train(tiny, DEVICE, 60.0, config=config)
        samples = tiny.domain.to_tensor(tiny.images[:4])
        torch.testing.assert_close(again.extract(samples), before.extract(samples), rtol=0, atol=0)


def test_features_cut_short_by_a_budget_are_never_the_judges(tiny: Dataset) -> None:
    """They serve the run that was short of time, and its continuation; a judge trains the whole net."""
    config = domain.Config(width=8, num_images=6000, batch_size=32)
    short = domain.load_or_train(tiny, DEVICE, 0.001, config=config)
    assert domain.load_or_train(tiny, DEVICE, 0.001, config=config).identity == short.identity
    whole = domain.load_or_train(tiny, DEVICE, config=config)
    assert whole.identity != short.identity
    assert whole.name == short.name
    assert domain.load_or_train(tiny, DEVICE, 0.001, config=config).identity == whole.identity


def test_a_broken_sample_spoils_its_own_features_alone(dataset: Dataset, features: domain.DomainFeatures) -> None:
    samples = dataset.domain.to_tensor(dataset.images[:4])
    whole = features.extract(samples)
    samples[1, 0, 0, 0] = math.nan
    found = features.extract(samples)
    assert not found[1].isfinite().all()
    torch.testing.assert_close(found[[0, 2, 3]], whole[[0, 2, 3]])


def test_nt_xent_follows_its_equation_and_is_low_when_views_agree() -> None:
    first, second = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    z = F.normalize(torch.cat([first, second]), dim=1)
    sim = torch.exp(z @ z.T / 0.5)
    terms = [-math.log(sim[i, (i + 4) % 8] / (sim[i].sum() - sim[i, i])) for i in range(8)]
    assert float(nt_xent(first, second, 0.5)) == pytest.approx(sum(terms) / 8, rel=1e-5)
    assert nt_xent(first, first, 0.5) < nt_xent(first, second, 0.5)


def test_views_keep_the_shape_and_differ_from_picture_to_picture() -> None:
    samples = torch.rand(1, 4, 12, 20).repeat(3, 1, 1, 1)
    views = random_views(samples, torch.Generator().manual_seed(0))
    assert views.shape == samples.shape
    assert not torch.equal(views[0], views[1])


def test_shrinking_keeps_the_mean_and_the_proportions() -> None:
    samples = torch.rand(2, 3, 64, 128)
    small = smaller(samples, 32)
    assert small.shape == (2, 3, 16, 32)
    torch.testing.assert_close(small.mean(), samples.mean())
    assert smaller(samples, 128) is samples


def test_validator_never_looks_at_the_test_split(
    dataset: Dataset, features: domain.DomainFeatures, tmp_path: Path
) -> None:
    """With every test picture blackened the figure is the same; with validation pictures blackened it is not."""
    samples = dataset.domain.to_tensor(dataset.images[dataset.indices("train")[:40]])
    figure = Validator(dataset, DEVICE, features).figures(samples)["kernel_distance"]
    changed = {}
    for split in ("test", "validation"):
        copytree(dataset.folder, tmp_path / split)
        images = np.array(dataset.images)
        images[dataset.indices(split)] = 0
        np.save(tmp_path / split / "images.npy", images)
        changed[split] = Validator(Dataset.open(tmp_path / split), DEVICE, features).figures(samples)["kernel_distance"]
    assert changed["test"] == figure
    assert changed["validation"] > figure + 0.1


def test_validator_ranks_real_pictures_before_broken_ones(dataset: Dataset, features: domain.DomainFeatures) -> None:
    validator = Validator(dataset, DEVICE, features)
    good = dataset.domain.to_tensor(dataset.images[dataset.indices("train")[:40]])
    assert (
        validator.figures(good)["kernel_distance"]
        < validator.figures(good.mean(0, keepdim=True).repeat(40, 1, 1, 1))["kernel_distance"]
    )
    assert validator.figures(good * math.nan)["kernel_distance"] == math.inf


def test_validator_is_quick_enough_to_be_asked_often(dataset: Dataset, features: domain.DomainFeatures) -> None:
    validator = Validator(dataset, DEVICE, features)
    samples = torch.rand(512, 3, 16, 16) * 2 - 1
    validator.figures(samples)
    start = time.process_time()
    validator.figures(samples)
    assert time.process_time() - start < 2


def test_validator_needs_two_pictures(tiny: Dataset) -> None:
    np.save(tiny.folder / "splits.npy", np.zeros(len(tiny), np.uint8))
    data = Dataset.open(tiny.folder)
    with pytest.raises(UserError, match="0 validation pictures") as error:
        Validator(data, DEVICE, FEATURES.get("pixels").load_or_train(data, DEVICE))
    assert "--validation 0.1" in error.value.remedy


def test_features_know_garments_that_they_never_saw(shared_data: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    """A short training on real pictures, judged by a linear classifier; the full one reaches more than 0.8."""
    folder = shared_data / "fashion-mnist"
    pixels = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    data = write_shapes(tmp_path / "garments", 2400, 28, 1, template=tiny_dataset).folder
    np.save(data / "images.npy", pixels.reshape(-1, 28, 28, 1)[:2400])
    np.save(data / "labels.npy", labels[:2400].astype(np.int64))
    np.save(data / "splits.npy", (np.arange(2400) >= 1800).astype(np.uint8) * 2)
    dataset = Dataset.open(data)
    config = domain.Config(width=12, num_images=2000, batch_size=100)
    features = domain.load_or_train(dataset, DEVICE, config=config)
    train, test = (of_pictures(features, dataset, dataset.indices(split)) for split in ("train", "test"))
    classes = F.one_hot(torch.from_numpy(labels[:1800].astype(np.int64))).float()
    ridge = train.T @ train + 300 * torch.eye(features.dim)
    guessed = (test @ torch.linalg.solve(ridge, train.T @ (classes - 0.1))).argmax(1)
    assert (guessed.numpy() == labels[1800:2400]).mean() > 0.7
