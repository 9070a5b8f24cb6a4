"""How different pictures of one wish are: what a group is asked for in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from allaprima.evaluation.metrics.variety import _shared_words, _within


def _material(*texts: str | None) -> Any:
    records = [{"text": text} if text else {} for text in texts]
    dataset = SimpleNamespace(records=records, indices=lambda _: np.arange(len(records)))
    return SimpleNamespace(dataset=dataset)


def test_a_group_is_asked_for_in_the_words_that_all_its_texts_share() -> None:
    material = _material("altar, of stone", "an old altar", None, "wand of ice", "wand of fire", "a door")
    assert _shared_words(material, np.array([0, 0, 0, 1, 1, 2])) == {0: "altar", 1: "wand of", 2: "a door"}


def test_texts_with_nothing_in_common_name_no_group() -> None:
    assert _shared_words(_material("cat", "dog"), np.array([0, 0])) == {0: ""}


def test_variety_is_the_mean_distance_within_groups_of_two_or_more() -> None:
    features = torch.tensor([[0.0], [2.0], [5.0], [7.0], [8.0]])
    groups = np.array([0, 0, 1, 2, 2])
    assert _within(features, groups).tolist() == [2.0, 1.0]
