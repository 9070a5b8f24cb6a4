"""Train, validation and test: stratified by class and fixed by content.

Within each class the pictures are ordered by the digest of their pixels, and the first ones are held out. So neither
names nor the order of files matter, and pictures of one group (duplicates that were kept) never part.

Use: ``splits = assign(digests, labels, groups, given, validation=0.1, test=0.1)``.
"""

from __future__ import annotations

import numpy as np

TRAIN, VALIDATION, TEST = 0, 1, 2
GIVEN = {None: -1, "train": TRAIN, "validation": VALIDATION, "test": TEST}


def assign(
    digests: np.ndarray, labels: np.ndarray, groups: np.ndarray, given: np.ndarray, validation: float, test: float
) -> np.ndarray:
    """uint8 ``[N]`` of TRAIN, VALIDATION and TEST.

    ``digests`` void16 ``[N]``; ``labels`` and ``groups`` int64 ``[N]``; ``given`` int64 ``[N]`` is the source's own
    split or -1. A split that the source brings is kept as it is; what it lacks is cut from the rest, as a share of
    each class: at least one picture where the class has three groups or more.
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
    return splits.astype(np.uint8)


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
