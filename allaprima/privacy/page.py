"""The page ``audit.html``: one file that needs nothing else, with the words and tables of the terminal. It shows no picture.

Use: ``write_atomic(path, page(found))``.
"""

from __future__ import annotations

from allaprima.evaluation.report import block, document, escape
from allaprima.privacy.findings import Audit

MEANING = (
    "AUC: how often a training picture scores higher than another one; .5 is a coin’s. TPR at 1 % FPR: the share of training "
    "pictures recognised while 1 % of others are taken for such; a coin’s is .01. Advantage: the most by which the one share "
    "exceeds the other; it is a little above 0 even by chance. Controls are the same attack where the answer is known."
)
NEAR = (
    "The share of samples that all but repeat one training picture, beside held-out pictures’ own. The nearest 1 %: how "
    "far from the nearest training picture, as a share of the distance to its other neighbours: 0 is the same picture."
)
NAMED = "Exposure: log₂ of the number of training pictures, less log₂ of the rank; 1 bit is in the middle (Carlini et al. 2019)."


def page(found: Audit) -> str:
    """The whole document."""
    first, *others = [escape(words) for words in found.words()]
    missing = [f"{escape(name)}: {escape(error.problem)}." for name, error in found.left_out.items()]
    told = "".join(f"<p>{words}</p>" for words in others)
    parts = [
        block("What it gives away", told, f"<strong>{first}</strong>"),
        block("Attacks", _table(found.rows()) + _list("Not tried", missing), MEANING),
        block("Copies", _table(found.copy_rows()), NEAR),
        *([block("Canaries", _table(found.canary_rows()), NAMED)] if found.canaries else []),
        block("What it rests on", "", f"{escape(found.setting())}."),
    ]
    named = "<p class='private' role='note'>Names training pictures: keep it private.</p>" if found.canaries else ""
    return document(found.run.resolve().name, "privacy audit", "".join(parts), named)


def _table(rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>\n" for row in rows[1:])
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(text: str) -> str:
    """Controls, which a terminal indents, are indented here too."""
    return escape(text).replace("  ", "&emsp;", 1) if text.startswith("  ") else escape(text)


def _list(title: str, lines: list[str]) -> str:
    return f"<h3>{title}</h3><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else ""
