"""What is asked of a search, and whether the search that stands in a folder was asked the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from allaprima.core.config import Config, differences, parse_value
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.training.config import RunConfig
from allaprima.training.tuning.planning import Plan
from allaprima.training.tuning.trials import Space, plain

FORMAT = "allaprima-tune"
VERSION = 1
SETTINGS = "settings.json"


class Asked(Config):
    """What is asked. ``fixed``: keys that the person has set, which stay as they are; ``images`` of each trial.

    With ``trials`` and ``images`` alone the clock does not count, and the search can be repeated number by number.
    """

    config: RunConfig
    fixed: tuple[str, ...] = ()
    minutes: float | None = Field(None, gt=0, le=1_000_000)
    trials: int | None = Field(None, ge=2, le=100_000)
    images: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _bounded(self) -> Asked:
        if self.minutes is None and (self.trials is None or self.images is None):
            raise UserError("Nothing says when the search ends", "give --minutes 60, or both --trials and --images")
        if any(key.partition(".")[0] == "budget" for key in self.fixed):
            raise UserError(
                "A search divides its own budget among its trials",
                "leave out --set budget…; --minutes is for the whole search, --images for each trial",
            )
        return self


def fixed_keys(changes: Sequence[str]) -> tuple[str, ...]:
    """The settings that ``--set`` words name: ``training={lr: 1e-4}`` names ``training.lr``."""
    found: list[str] = []
    for change in changes:
        key, _, text = change.partition("=")
        value = parse_value(text)
        found += [f"{key.strip()}.{inner}" for inner in value] if isinstance(value, dict) else [key.strip()]
    return tuple(found)


def settings_of(dataset: Dataset, asked: Asked, base: RunConfig, space: Space) -> dict[str, Any]:
    """What must stay the same for a search to go on. Minutes and trials may grow."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "dataset_fingerprint": dataset.manifest.fingerprint,
        "config": base.model_dump(mode="json", exclude={"budget"}),
        "searched": plain(space),
        "images": asked.images,
    }


def standing_in(folder: Path) -> dict[str, Any] | None:
    """What the search that stands in ``folder`` was begun with; None for a new one. Raises UserError for anything else."""
    path = folder / SETTINGS
    if not path.is_file():
        strangers = [one.name for one in folder.iterdir() if not one.name.startswith(".")] if folder.is_dir() else []
        if strangers or folder.is_file():
            raise UserError(f"'{folder}' exists and holds no search", "choose a new folder; nothing there is touched")
        return None
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        if found["format"] != FORMAT:
            raise UserError(f"'{folder}' exists and holds no search", "choose a new folder; nothing there is touched")
        if found["version"] > VERSION:
            raise UserError(f"'{folder}' was written by a newer allaprima", "upgrade: pip install -U allaprima")
        Plan.from_json(found["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{path}' cannot be read: {error}", "choose another folder for a new search") from None
    return found


def check_same(folder: Path, standing: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raises UserError, naming what differs, where the search in ``folder`` was begun with other settings."""
    then = {key: value for key, value in standing.items() if key != "plan"}
    now = json.loads(json.dumps(settings))
    if then != now:
        raise UserError(
            f"'{folder}' holds a search that was begun with other settings: {'; '.join(differences(then, now))}",
            "give the settings it was begun with to go on, or another folder for a new search",
        )
