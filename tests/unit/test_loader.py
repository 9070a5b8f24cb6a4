"""Batches are a function of seed and step."""

import numpy as np
import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader, in_order
from allaprima.models.conditions import CONDITIONS


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return Dataset.open(tiny_dataset)


def test_a_batch_depends_on_seed_and_step_and_not_on_what_was_asked_before(dataset):
    straight = Loader(dataset, batch_size=7, seed=3)
    passed = [straight.batch(step) for step in range(12)]
    for step in (11, 0, 5):
        fresh = Loader(dataset, batch_size=7, seed=3).batch(step)
        assert torch.equal(fresh.ids, passed[step].ids)
        assert torch.equal(fresh.samples, passed[step].samples)
        assert torch.equal(fresh.conditions["label"], passed[step].conditions["label"])
    assert not torch.equal(Loader(dataset, batch_size=7, seed=4).batch(0).ids, passed[0].ids)


@pytest.mark.parametrize("batch_size", [1, 7, 16, 1000])
def test_every_picture_comes_once_an_epoch_in_batches_of_one_size(dataset, batch_size):
    loader = Loader(dataset, batch_size=batch_size, seed=0)
    count = loader.num_images
    steps = -(-3 * count // batch_size)
    ids = [loader.batch(step).ids for step in range(steps)]
    assert {len(one) for one in ids} == {batch_size}
    stream = torch.cat(ids)[: 3 * count].reshape(3, count)
    for epoch in stream:
        assert sorted(epoch.tolist()) == dataset.indices("train").tolist()
    assert not torch.equal(stream[0], stream[1])


def test_samples_and_labels_are_those_of_the_ids(dataset):
    batch = Loader(dataset, batch_size=9, seed=1).batch(4)
    assert batch.samples.dtype == torch.float32
    assert batch.samples.shape == (9, 3, 16, 16)
    np.testing.assert_array_equal(dataset.domain.to_array(batch.samples), dataset.images[batch.ids.numpy()])
    np.testing.assert_array_equal(batch.conditions["label"].numpy(), dataset.labels[batch.ids.numpy()])


def test_reading_ahead_gives_the_same_batches(dataset, monkeypatch):
    plain = Loader(dataset, batch_size=5, seed=2)
    monkeypatch.setattr("allaprima.data.loader.PREFETCH_BYTES", 0)
    ahead = Loader(dataset, batch_size=5, seed=2)
    for step in (0, 1, 2, 9, 10, 3, 3):
        assert torch.equal(ahead.batch(step).samples, plain.batch(step).samples)
    ahead.close()
    assert torch.equal(ahead.batch(4).ids, plain.batch(4).ids)


def test_in_order_gives_every_picture_of_a_split_once(dataset):
    ids = torch.cat([batch.ids for batch in in_order(dataset, "train", 7)])
    assert ids.tolist() == dataset.indices("train").tolist()
    assert len(torch.cat([batch.ids for batch in in_order(dataset, "train", 7, limit=10)])) == 10


def test_conditions_can_be_left_out_and_unknown_ones_are_refused(dataset):
    nothing = CONDITIONS.get("none").Config()
    assert Loader(dataset, batch_size=2, condition=nothing).batch(0).conditions == {}
    with pytest.raises(UserError, match="has no sounds"):
        Loader(dataset, batch_size=2, condition=CONDITIONS.get("sound").Config())
    with pytest.raises(UserError, match="did you mean 'train'"):
        Loader(dataset, "trian")
