"""Attributes are found in the pictures' records and asked for by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.models.conditions import CONDITIONS
from allaprima.models.conditions.attributes import Record, parse_attributes

RECORDS: list[dict[str, Any]] = [
    {
        "name": f"{place}.png",
        "text": f"picture {place}",
        "colour": ["blue", "red", "green"][place % 3],
        "size": place,
        "signed": place % 2 == 0,
        "tags": [["big", "old"], ["old"], []][place % 3],
        "always": 1,
        "title": f"title {place}",
    }
    for place in range(12)
]
CONFIG = CONDITIONS.get("attributes").Config().fitted(RECORDS)


def columns(asked: dict[str, Any]) -> dict[str, list[float]]:
    """The prepared row, apart by attribute."""
    row = CONFIG.prepare([asked])[0]
    pieces = row.split([one.size for one in CONFIG.known])
    return {one.name: piece.tolist() for one, piece in zip(CONFIG.known, pieces, strict=True)}


def test_columns_that_say_something_are_attributes_of_their_kind() -> None:
    kinds = {one.name: one.kind for one in CONFIG.known}
    assert kinds == {"colour": "choice", "size": "number", "signed": "flag", "tags=big": "flag", "tags=old": "flag"}


def test_values_are_told_apart_from_what_is_left_out() -> None:
    found = columns({"colour": "red", "size": 5.5, "signed": "no"})
    assert found["colour"] == [0, 0, 1, 1]
    assert found["size"] == [0, 1]
    assert found["signed"] == [-1, 1]
    assert found["tags=big"] == [0, 0]
    assert columns({"size": 1e9})["size"] == [4, 1]


def test_a_list_denies_what_it_does_not_hold() -> None:
    row = CONFIG.prepare([Record(RECORDS[1])])[0]
    pieces = dict(zip([one.name for one in CONFIG.known], row.split([one.size for one in CONFIG.known]), strict=True))
    assert pieces["tags=old"].tolist() == [1, 1]
    assert pieces["tags=big"].tolist() == [-1, 1]


def test_a_persons_words_are_read_and_mistakes_named_with_the_nearest() -> None:
    asked = parse_attributes(["colour=red", "tags=old", "size = 3"])
    assert columns(asked)["tags=old"] == [1, 1]
    with pytest.raises(UserError, match="Unknown attribute 'color'"):
        CONFIG.prepare([{"color": "red"}])
    with pytest.raises(UserError, match="did you mean 'blue'"):
        CONFIG.prepare([{"colour": "blu"}])
    with pytest.raises(UserError, match="'size' cannot be 'big'"):
        CONFIG.prepare([{"size": "big"}])
    with pytest.raises(UserError, match="is no attribute"):
        parse_attributes(["red"])


def test_wanted_columns_alone_are_taken_and_a_missing_one_is_named() -> None:
    wanted = CONDITIONS.get("attributes").Config(names=["tags", "size"]).fitted(RECORDS)
    assert [one.name for one in wanted.known] == ["size", "tags=big", "tags=old"]
    with pytest.raises(UserError, match="did you mean 'colour'"):
        CONDITIONS.get("attributes").Config(names=["color"]).fitted(RECORDS)
    with pytest.raises(UserError, match="is an attribute"):
        CONDITIONS.get("attributes").Config().fitted([{"name": "a", "text": "b"}] * 5)


def test_each_value_moves_the_embedding() -> None:
    torch.manual_seed(0)
    net = CONFIG.build(16)
    nothing, red, blue = net(CONFIG.prepare([None, {"colour": "red"}, {"colour": "blue"}]))
    assert (red - blue).norm() > 0.1
    assert (red - nothing).norm() > 0.1


def test_a_record_with_a_value_that_training_never_had_leaves_it_out_where_a_wish_is_refused() -> None:
    strange = {**RECORDS[0], "colour": "octarine", "size": "huge", "signed": "perhaps"}
    row = CONFIG.prepare([Record(strange)])[0]
    pieces = dict(zip([one.name for one in CONFIG.known], row.split([one.size for one in CONFIG.known]), strict=True))
    assert not any(pieces[name].any() for name in ("colour", "size", "signed"))
    assert pieces["tags=old"].tolist() == [1, 1]
    with pytest.raises(UserError, match="'colour' cannot be 'octarine'"):
        CONFIG.prepare([{"colour": "octarine"}])
