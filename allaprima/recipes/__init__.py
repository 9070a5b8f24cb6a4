"""Whole configurations, one a file, found by its name.

Each module has ``config(minutes) -> RunConfig``; its docstring says command, hardware, minutes and the figure to expect.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from allaprima.core.catalog import Catalog

if TYPE_CHECKING:
    from allaprima.training.config import RunConfig

RECIPES = Catalog("recipe", __name__)


def config_of(name: str) -> RunConfig:
    """The configuration of a recipe, with its own minutes, or of a file ``….yaml``, such as a search's ``best.yaml``.

    Raises UserError, with the nearest name, when there is none, and for a file that holds no settings.
    """
    if name.endswith((".yaml", ".yml")):
        from allaprima.training.run import read_settings

        return read_settings(Path(name), "name another file with --recipe, or a recipe: " + ", ".join(RECIPES.names()))
    found: RunConfig = RECIPES.get(name).config()
    return found
