"""The report's section on classes that are taken for others: readable, safe, and silent where nothing was measured."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.sections import classes as class_by_class
from allaprima.evaluation.sections import confusion
from tests.contracts.evidence import cloud, material


def figure(name: str, details: dict[str, Any]) -> Figure:
    return Figure(name, 0.5, (0.4, 0.6), "higher", "How often.", details=details)


def matrix(classes: list[str], rows: list[list[int]]) -> dict[str, Any]:
    return {"classes": classes, "confusion matrix": rows}


def page(*figures: Figure, num_classes: int = 3) -> str:
    evidence: Any = SimpleNamespace(figures=figures, dataset=SimpleNamespace(classes=["x"] * num_classes))
    return confusion.section(evidence)


def cells(text: str) -> list[str]:
    body = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert body is not None
    return re.findall(r"<td[^>]*>([^<]*)</td>", body[1])


def test_a_table_shows_percent_of_each_row_and_leaves_what_never_happens_empty() -> None:
    text = page(figure("following accuracy", matrix(["cat", "dog", "eel"], [[3, 1, 0], [0, 500, 1], [0, 0, 0]])))
    assert cells(text) == ["75", "25", "", "", "100", "·", "", "", ""]
    assert 'title="asked for cat, seen as dog: 25.0 %"' in text
    assert len(re.findall('class="right"', text)) == 3
    assert len(re.findall('class="wrong"', text)) == 2


def test_both_tables_stand_in_the_order_of_the_explanations_whatever_was_measured_first() -> None:
    details = matrix(["a", "b"], [[1, 0], [0, 1]])
    text = page(figure("classification accuracy score", details), figure("following accuracy", details))
    assert text.index("asked for") < text.index("taken for")
    assert text.count("<table") == 2


def test_names_of_strangers_cannot_become_markup() -> None:
    names = ["<script>", '"><b>']
    for count in (2, 30):
        classes = [names[i % 2] + str(i) for i in range(count)]
        text = page(figure("following accuracy", matrix(classes, np.ones((count, count), int).tolist())))
        assert "<script" not in text
        assert "<b>" not in text


def test_many_classes_become_a_list_of_what_is_mixed_up_most() -> None:
    rows = (100 * np.eye(25, dtype=int)).tolist()
    rows[3][7], rows[20][1], rows[2][2] = 9, 1, 0
    text = page(figure("following accuracy", matrix([f"c{i}" for i in range(25)], rows)), num_classes=25)
    assert "<table" not in text
    found = re.findall(r"<strong>(c\d+)</strong>, seen as <strong>(c\d+)</strong>: <small>([^<]+)<", text)
    assert found == [("c3", "c7", "9 samples"), ("c20", "c1", "1 sample")]


def test_a_list_that_the_figure_brings_is_shown() -> None:
    text = page(figure("following accuracy", {"confused most": [["123", "128", 5]]}), num_classes=1000)
    assert "<strong>123</strong>, seen as <strong>128</strong>" in text
    assert "No two classes" in page(figure("following accuracy", {"confused most": []}), num_classes=1000)


@pytest.mark.parametrize("figures", [[], [figure("kernel distance", {})], [figure("following accuracy", {})]])
def test_without_answers_there_is_no_section(figures: list[Figure]) -> None:
    assert page(*figures) == ""


def test_class_by_class_says_how_often_each_is_seen_as_asked() -> None:
    evidence = material(
        cloud(20, 0),
        cloud(20, 1),
        cloud(20, 2),
        figures=[figure("following accuracy", matrix(["a", "b"], [[3, 1], [0, 0]]))],
    )
    evidence.dataset.classes[:] = ["a", "b"]
    evidence.painter.classes[:] = ["b", "a"]
    evidence.painter.sample = lambda *args, **kwargs: []  # type: ignore[method-assign]
    text = class_by_class.section(evidence)
    rows = text.split('class="class"')
    assert "75 % seen as asked" in rows[2]
    assert "seen as asked" not in rows[1], "it was never asked for"
    assert torch.equal(evidence.asked, torch.ones(20, dtype=torch.int64))
