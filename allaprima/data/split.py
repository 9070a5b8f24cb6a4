"""Train, validation and test: stratified by class and fixed by content.

Within each class the pictures are ordered by the digest of their pixels, and the first ones are held out. So neither
names nor the order of files matter, and pictures of one group (duplicates that were kept) never part. Where the
classes are too small to give a split anything worth measuring on, it is filled from all of them together.

Use: ``splits = assign(digests, labels, groups, given, validation=0.1, test=0.1)``.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")  # by number
APART = 3  # combinations that no training picture has, see ``apart``
HELD_OUT = ("validation", "test", "apart")
BY_NUMBER = (*SPLITS, "apart")
UNUSED = 255  # in none of them: what a fold of a cross-validation leaves alone
FEWEST_IN_SPLIT = 2  # pictures of a split: distances between sets cannot be estimated from fewer
GIVEN = {None: -1, "train": TRAIN, "validation": VALIDATION, "test": TEST}


def assign(
    digests: np.ndarray, labels: np.ndarray, groups: np.ndarray, given: np.ndarray, validation: float, test: float
) -> np.ndarray:
    """uint8 ``[N]`` of TRAIN, VALIDATION and TEST.

    ``digests`` void16 ``[N]``; ``labels`` and ``groups`` int64 ``[N]``; ``given`` int64 ``[N]`` is the source's own
    split or -1. A split that the source brings is kept; what it lacks is cut from the rest, as a share of each class:
    at least one picture where the class has three groups or more. A wanted split (share above 0) that still has fewer
    than ``FEWEST_IN_SPLIT`` pictures is topped up, see ``_top_up``; classes of a single picture may leave nothing to do so.
    """
    splits = np.zeros(len(digests), np.int64)
    # a group with a picture in a split of the source belongs there whole, in the most held-out one
    top = np.full(int(groups.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(top, groups, given)
    held = top[groups] >= VALIDATION
    splits[held] = top[groups][held]
    shares = {
        VALIDATION: 0.0 if (given == VALIDATION).any() else validation,
        TEST: 0.0 if (given == TEST).any() else test,
    }
    free = np.flatnonzero(~held)
    order = free[np.argsort(digests[free], kind="stable")]
    first_of_group: dict[int, int] = {}
    for place in order:  # a group stands where its smallest digest stands, in that picture's class
        first_of_group.setdefault(int(groups[place]), int(place))
    split_of_group: dict[int, int] = {}
    heads: dict[int, list[int]] = {}
    for group, place in first_of_group.items():
        heads.setdefault(int(labels[place]), []).append(group)
    for members in heads.values():
        split_of_group.update(_cut(members, shares))
    splits[free] = [split_of_group[int(group)] for group in groups[free]]
    candidates = list(first_of_group.items())
    for split, wanted in ((VALIDATION, validation), (TEST, test)):
        if wanted > 0 and (splits == split).sum() < FEWEST_IN_SPLIT:
            _top_up(splits, split, max(FEWEST_IN_SPLIT, round(shares[split] * len(free))), candidates, labels, groups)
    return splits.astype(np.uint8)


def _top_up(
    splits: np.ndarray,
    split: int,
    wanted: int,
    candidates: list[tuple[int, int]],
    labels: np.ndarray,
    groups: np.ndarray,
) -> None:
    """Move groups, given with their first picture in the order of content, from train until ``split`` has ``wanted``.

    Train stays the largest, and no class loses the last group that it has there.
    """
    left = Counter(int(labels[place]) for _, place in candidates if splits[place] == TRAIN)
    have, train = int((splits == split).sum()), int((splits == TRAIN).sum())
    for group, place in candidates:
        if have >= wanted:
            return
        label, members = int(labels[place]), groups == group
        size = int(members.sum())
        if splits[place] == TRAIN and left[label] > 1 and train - size > have + size:
            splits[members] = split
            left[label] -= 1
            have, train = have + size, train - size


def _cut(groups: list[int], shares: dict[int, float]) -> dict[int, int]:
    """The first groups are held out: each split its share, at least one where there are three or more."""
    chosen: dict[int, int] = {}
    start = 0
    for split, share in shares.items():
        count = round(share * len(groups))
        if share > 0 and len(groups) >= 3:
            count = max(1, count)
        count = min(count, len(groups) - 1 - start)  # one is left to learn from
        for group in groups[start : start + count]:
            chosen[group] = split
        start += max(0, count)
    return {group: chosen.get(group, TRAIN) for group in groups}
