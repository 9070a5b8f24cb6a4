"""The studio in Chinese: what the server may say to the page has words there too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "allaprima"
# what a page can be told of: not the command line's own problems, nor those of other programs (OSC, OpenAI's clients)
SPEAKERS = [
    "server/guard.py",
    "server/context.py",
    "server/gone.py",
    "server/routes/photo.py",
    "server/routes/model.py",
    "server/routes/page.py",
    "server/routes/sound.py",
    "runtime/session.py",
    "runtime/pacing.py",
    "runtime/films/_video.py",
    "runtime/films/sheet.py",
]
ELSEWHERE = {"for_binding", "is_loopback"}  # said when a server is started, in the terminal
CONSTANTS = {"server/gate.py": ("PROBLEM", "REMEDY", "TOO_MUCH")}


def words() -> tuple[set[str], list[re.Pattern[str]]]:
    text = (PACKAGE / "server/studio/words/zh.js").read_text(encoding="utf-8")
    whole = {found[1] for found in re.finditer(r"^  '((?:[^'\\]|\\.)*)': ", text, re.M)}
    whole |= {found[1] for found in re.finditer(r'^  "((?:[^"\\]|\\.)*)": ', text, re.M)}
    patterns = [re.compile(found[1]) for found in re.finditer(r"^  \[/(.*)/, '", text, re.M)]
    assert len(whole) > 120, "the file is read as it is written"
    assert len(patterns) > 30
    return whole, patterns


def said(node: ast.expr) -> str | None:
    """A text as it may come; None for what is no text of ours."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return None


def texts(path: str) -> set[str]:
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    apart = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in ELSEWHERE]
    left_out = {call for function in apart for call in ast.walk(function)}
    found: set[str] = set()
    for node in ast.walk(tree):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if name in ("UserError", "Refusal", "HTTPException") and node not in left_out:
            found |= {text for one in node.args if (text := said(one)) is not None}  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign):
            targets = [one for target in node.targets for one in getattr(target, "elts", [target])]
            values = getattr(node.value, "elts", [node.value])
            pairs = zip(targets, values, strict=False)
            wanted = CONSTANTS.get(path, ())
            found |= {str(said(value)) for target, value in pairs if getattr(target, "id", "") in wanted}
    return found


@pytest.mark.parametrize("path", [*SPEAKERS, *CONSTANTS])
def test_what_the_server_says_has_words(path: str) -> None:
    whole, patterns = words()
    wanted = texts(path)
    assert wanted, "it says nothing any more: take it out of the list"
    lacking = [text for text in wanted if text not in whole and not any(one.match(text) for one in patterns)]
    assert not lacking
