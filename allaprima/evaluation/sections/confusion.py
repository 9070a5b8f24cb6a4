"""Which classes are taken for which: by the judge of samples, and by the classifier that learned from samples."""

from __future__ import annotations

import math

import numpy as np

from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import Figure
from allaprima.evaluation.report import block, escape

PLACE = 32
LARGEST_TABLE = 20  # classes: a larger table is no longer read at a glance
BESIDE = 12  # classes: of more, a table needs the whole width
MOST_PAIRS = 12
NARROW = 2  # letters: longer names of columns stand upright
TABLES = {  # figure → heading, explanation, what a row is, what a column is, what is counted
    "following accuracy": (
        "What was asked for",
        "What samples were asked to be, and what a classifier sees in them that was trained on real pictures.",
        "asked for",
        "seen as",
        "samples",
    ),
    "classification accuracy score": (
        "What can be learned from samples",
        "What held-out real pictures are, and what a classifier takes them for that was trained on samples: classes that "
        "it mixes up look alike among the samples.",
        "really",
        "taken for",
        "pictures",
    ),
}
WORDS = "Numbers are percent of their row. Green is right, red is wrong; a dot is less than half a percent."


def section(material: Material) -> str:
    by_name = {figure.name: figure for figure in material.figures if figure.details}
    parts = [_part(by_name[name], *words) for name, words in TABLES.items() if name in by_name]
    beside = "" if len(material.dataset.classes) > BESIDE else " beside"
    return block("Mixed up", f'<div class="tables{beside}">{"".join(parts)}</div>', WORDS) if parts else ""


def confusion_of(figure: Figure) -> tuple[list[str], np.ndarray] | None:
    """Class names and the confusion matrix, int64 ``[K,K]``, of a figure that carries one."""
    matrix = figure.details.get("confusion matrix")
    return None if matrix is None else (figure.details["classes"], np.array(matrix, np.int64))


def _part(figure: Figure, title: str, words: str, row: str, column: str, unit: str) -> str:
    confusion = confusion_of(figure)
    if confusion is None:
        body = _pairs(figure.details.get("confused most", []), column, unit)
    elif len(confusion[0]) > LARGEST_TABLE:
        body = _pairs(_worst(*confusion), column, unit)
    else:
        body = _heat(*confusion, row, column)
    return f"<div><h3>{escape(title)}</h3><p class='soft'>{escape(words)}</p>{body}</div>\n"


def _heat(classes: list[str], matrix: np.ndarray, row: str, column: str) -> str:
    """A table of shares of each row in percent; rows of classes that do not occur are left empty."""
    upright = ' class="upright"' if max(map(len, classes)) > NARROW else ""
    heads = "".join(f'<th scope="col"><span{upright}>{escape(name)}</span></th>' for name in classes)
    shares = 100 * matrix / matrix.sum(1, keepdims=True).clip(1)
    rows = "".join(
        f'<tr><th scope="row" title="{escape(name)}">{escape(name)}</th>'
        f"{''.join(_cell(share, i == j, f'{row} {name}, {column} {classes[j]}') for j, share in enumerate(line))}</tr>"
        for i, (name, line) in enumerate(zip(classes, shares, strict=True))
    )
    return (
        f'<div class="scroll"><table class="confusion"><caption>↓ {escape(row)} &nbsp; → {escape(column)}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(share: float, right: bool, title: str) -> str:
    if share == 0:
        return '<td class="right"></td>' if right else "<td></td>"
    kind = "right" if right else "wrong"
    words = f"{math.floor(share + 0.5)}" if share >= 0.5 else "·"
    return f'<td class="{kind}" style="--share:{share:.0f}%" title="{escape(title)}: {share:.1f} %">{words}</td>'


def _worst(classes: list[str], matrix: np.ndarray) -> list[tuple[str, str, int]]:
    """The largest entries beside the diagonal."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    places = (divmod(int(place), len(classes)) for place in order)
    return [(classes[i], classes[j], int(wrong[i, j])) for i, j in places if wrong[i, j]]


def _pairs(pairs: list[tuple[str, str, int]], column: str, unit: str) -> str:
    if not pairs:
        return "<p>No two classes are ever taken for each other.</p>"
    rows = "".join(
        f"<li><strong>{escape(one)}</strong>, {escape(column)} <strong>{escape(other)}</strong>: "
        f"<small>{count:,} {unit if count != 1 else unit.removesuffix('s')}</small></li>"
        for one, other, count in pairs[:MOST_PAIRS]
    )
    return f'<p class="soft">Too many classes for a table; these are mixed up most often.</p><ol class="confused">{rows}</ol>'
