"""The split is stratified, fixed by content, and keeps groups together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allaprima.data.split import FEWEST_IN_SPLIT, TEST, TRAIN, VALIDATION, assign


def digests_of(numbers):
    return np.array([int(n).to_bytes(16, "big") for n in numbers], "V16")


@st.composite
def collections(draw):
    count = draw(st.integers(1, 120))
    numbers = draw(st.lists(st.integers(1, 2**60), min_size=count, max_size=count, unique=True))
    labels = draw(st.lists(st.integers(-1, 3), min_size=count, max_size=count))
    groups = draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
    groups = np.unique(groups, return_inverse=True)[1] if draw(st.booleans()) else np.arange(count)
    return digests_of(numbers), np.array(labels), groups


SHARES = st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5]), st.sampled_from([0.0, 0.1, 0.4]))


@given(collections(), SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_files_never_changes_a_pictures_split(collection, shares, random):
    digests, labels, groups = collection
    given_splits = np.full(len(digests), -1)
    straight = assign(digests, labels, groups, given_splits, *shares)
    order = np.array(random.sample(range(len(digests)), len(digests)))
    shuffled = assign(digests[order], labels[order], groups[order], given_splits, *shares)
    np.testing.assert_array_equal(straight[order], shuffled)


@given(collections(), SHARES)
def test_pictures_of_one_group_are_in_one_split(collection, shares):
    digests, labels, groups = collection
    splits = assign(digests, labels, groups, np.full(len(digests), -1), *shares)
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1


@given(collections(), st.integers(0, 10**9))
def test_a_group_goes_where_the_source_puts_its_most_held_out_picture(collection, seed):
    digests, labels, groups = collection
    brought = np.random.default_rng(seed).integers(-1, 3, len(digests))
    splits = assign(digests, labels, groups, brought, 0.1, 0.1)
    for group in np.unique(groups):
        if brought[groups == group].max() >= VALIDATION:
            assert set(splits[groups == group]) == {brought[groups == group].max()}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.sampled_from([0.05, 0.1, 0.3]))
def test_every_class_of_three_or_more_is_in_every_split(sizes, share):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    digests = digests_of(np.random.default_rng(0).permutation(len(labels)) + 1)
    splits = assign(digests, labels, np.arange(len(labels)), np.full(len(labels), -1), share, share)
    for label, size in enumerate(sizes):
        counts = [int((splits[labels == label] == split).sum()) for split in (TRAIN, VALIDATION, TEST)]
        if size >= 3:
            assert min(counts) >= 1
            if sum(size >= 3 for size in sizes) >= FEWEST_IN_SPLIT:  # or else the splits are topped up
                assert all(abs(count - share * size) <= 1 for count in counts[1:])
        assert counts[TRAIN] >= 1


@pytest.mark.parametrize("brought", [VALIDATION, TEST])
def test_a_split_that_the_source_brings_is_neither_grown_nor_cut(brought):
    given_splits = np.array([brought] * 10 + [TRAIN] * 90)
    digests = digests_of(range(1, 101))
    splits = assign(digests, np.zeros(100, int), np.arange(100), given_splits, 0.1, 0.1)
    assert np.flatnonzero(splits == brought).tolist() == list(range(10))
    other = TEST if brought == VALIDATION else VALIDATION
    assert (splits == other).sum() == 9


def test_shares_of_nothing_leave_everything_to_learn_from():
    splits = assign(digests_of(range(1, 21)), np.zeros(20, int), np.arange(20), np.full(20, -1), 0.0, 0.0)
    assert splits.tolist() == [TRAIN] * 20


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40).filter(lambda sizes: sum(n - 1 for n in sizes) >= 6))
def test_small_classes_are_topped_up_to_splits_that_can_be_measured_on(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    digests = digests_of(np.random.default_rng(1).permutation(len(labels)) + 1)
    splits = assign(digests, labels, np.arange(len(labels)), np.full(len(labels), -1), 0.1, 0.1)
    counts = np.bincount(splits, minlength=3)
    assert counts[[VALIDATION, TEST]].min() >= FEWEST_IN_SPLIT
    assert counts[TRAIN] == counts.max()
    assert set(labels[splits == TRAIN]) == set(labels)


def test_pairs_in_many_classes_give_the_share_that_was_asked_for():
    labels = np.repeat(np.arange(30), 2)
    splits = assign(digests_of(range(1, 61)), labels, np.arange(60), np.full(60, -1), 0.1, 0.1)
    assert np.bincount(splits).tolist() == [48, 6, 6]
    assert set(labels[splits == TRAIN]) == set(range(30))


def test_topping_up_keeps_duplicates_together_and_train_the_largest():
    groups = np.array([0] * 7 + list(range(1, 9)))  # the seven come first by content, and are too many
    splits = assign(digests_of(range(1, 16)), np.zeros(15, int), groups, np.full(15, -1), 0.0, 0.05)
    assert len(set(splits[groups == 0])) == 1
    assert (splits == TRAIN).sum() > (splits == TEST).sum() >= FEWEST_IN_SPLIT
    assert (splits == VALIDATION).sum() == 0


def test_a_single_picture_that_the_source_holds_out_gets_company():
    given_splits = np.array([VALIDATION] + [TRAIN] * 29)
    splits = assign(digests_of(range(1, 31)), np.zeros(30, int), np.arange(30), given_splits, 0.1, 0.1)
    assert splits[0] == VALIDATION
    assert np.bincount(splits).tolist() == [25, 2, 3]
