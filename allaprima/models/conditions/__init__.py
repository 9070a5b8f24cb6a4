"""What a picture is asked to be: nothing, a class, attributes, a text, a sound, or several of these at once.

A condition's ``Config`` holds what it must remember (class names, a vocabulary):

    fitted(values)   the Config that knows what the training pictures have: one value, or None, for each
    prepare(raw)     a person's or a dataset's values → a tensor, the same in training and in serving. int64 ``[N]`` for
                     classes, else float32 ``[N, size]``; None is what is left out, a row that no value gives
    width(dim)       how wide the embedding is when ``dim`` is asked for: a multiple of it
    build(width)     the net that embeds such a tensor: → float32 ``[N, width]``

Use: ``config = CONDITIONS.get("text").Config().fitted(captions); y = config.build(64)(config.prepare(["a blue bird"]))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError, suggest

CONDITIONS = Catalog("condition", __name__)

ALIASES = {"class": "label", "classes": "label", "audio": "sound"}
NOTHING = ("", "none")


def parts_of(config: Any) -> dict[str, Any]:
    """The conditions by name that a generator follows: those of ``several``, itself, or none."""
    if hasattr(config, "parts"):
        return {part.component_name(): part for part in config.parts}
    name = config.component_name()
    return {} if name == "none" else {name: config}


def classes_of(config: Any) -> list[str]:
    """The classes of a generator that follows classes alone; empty for any other."""
    return list(config.classes) if config.component_name() == "label" else []


def left_out(config: Any, prepared: torch.Tensor) -> torch.Tensor:
    """bool ``[N]``: whether a row leaves something out that could have been said."""
    if hasattr(config, "parts"):
        pieces = zip(config.parts, config.apart(prepared), strict=True)
        return torch.stack([left_out(part, piece) for part, piece in pieces]).any(0)
    if not prepared.is_floating_point():
        return prepared < 0
    return (prepared == 0).all(1)


def parse(text: str) -> list[str]:
    """``text,class`` → ``["text", "label"]``; nothing for ``none``. Raises UserError for what is no condition."""
    words = [word.strip().lower() for word in text.split(",")]
    names = [ALIASES.get(word, word) for word in words if word not in NOTHING]
    known = [name for name in CONDITIONS.names() if name not in ("none", "several")]
    for name in names:
        if name not in known:
            raise UserError(f"Unknown condition '{name}'", suggest(name, [*known, "class", "none"]))
    return list(dict.fromkeys(names))


def check(config: Any, asked: Mapping[str, Any]) -> None:
    """Raises UserError where something is asked that the generator does not follow."""
    parts = parts_of(config)
    for name, wish in asked.items():
        if wish is not None and name not in parts:
            raise UserError(
                f"This generator does not follow a {name}",
                f"it follows: {', '.join(parts)}" if parts else "it was trained without conditions: leave it out",
            )


def prepare(config: Any, asked: Mapping[str, Any], count: int) -> torch.Tensor:
    """What is ``asked`` of ``count`` pictures, by the condition's name, as the generator's nets take it.

    A list or a tuple holds one value for each picture, anything else is for them all. Raises UserError for what this generator
    does not follow, and for lists of another length.
    """
    check(config, asked)
    parts, values = parts_of(config), {}
    for name, wish in asked.items():
        if wish is None:
            continue
        values[name] = list(wish) if isinstance(wish, list | tuple) else [wish] * count
        if len(values[name]) != count:
            raise UserError(
                f"{len(values[name])} {name}s for {count} pictures", f"give one {name}, or one for each picture"
            )
    nothing: Sequence[Any] = [None] * count
    if hasattr(config, "parts"):
        rows = zip(*(values.get(name, nothing) for name in parts), strict=True)
        prepared: torch.Tensor = config.prepare([dict(zip(parts, row, strict=True)) for row in rows])
    else:
        prepared = config.prepare(values.get(config.component_name(), nothing))
    return prepared
