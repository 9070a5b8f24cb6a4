"""A run's folder: who it belongs to, its configuration, where everything lies.

run.json        format, version, dataset and its fingerprint
run.yaml        the whole configuration, nothing left to choose
checkpoints/ samples/ stats.jsonl tensorboard/ bundle/ report/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from allaprima import vault
from allaprima.core.config import load, to_yaml
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, write_atomic, write_json
from allaprima.core.retention import remind_of_run
from allaprima.data import conditions as asked
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.models import conditions
from allaprima.models.conditions import CONDITIONS
from allaprima.training.config import RunConfig

FORMAT = "allaprima-run"
VERSION = 1
FEWEST_PICTURES = 2  # of a split: a distance between sets needs two


@dataclass(frozen=True)
class Run:
    """An open run. ``config`` holds no ``auto`` where a dataset decides."""

    folder: Path
    config: RunConfig
    dataset: Dataset

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @cached_property
    def condition(self) -> Any:
        """The Config of the run's condition, which knows the classes and words."""
        return condition_of(self.config, self.dataset)

    def loader(self, split: str, batch_size: int, device: torch.device, part: tuple[int, int] = (0, 1)) -> Loader:
        """A split's pictures with what is asked of them."""
        dropped = self.config.conditioning.drop if split == "train" else 0.0
        return Loader(self.dataset, split, batch_size, self.config.seed, device, self.condition, dropped, part)


def condition_of(config: RunConfig, dataset: Dataset) -> Any:
    """The Config of the condition that a run on this dataset has, which knows its training pictures' classes and words.

    Raises UserError when the dataset cannot give it.
    """
    names = names_of(config, dataset)
    parts = [_part(name, config, dataset, names) for name in names]
    if not parts:
        return CONDITIONS.get("none").Config()
    return parts[0] if len(parts) == 1 else CONDITIONS.get("several").Config(parts=parts)


def names_of(config: RunConfig, dataset: Dataset) -> list[str]:
    """The conditions' names; ``auto`` decided."""
    if config.condition == "auto":
        return ["label"] if len(dataset.classes) >= 2 else []
    return conditions.parse(config.condition)


def _part(name: str, config: RunConfig, dataset: Dataset, among: list[str]) -> Any:
    asked.check(dataset, name)
    module, wanted = CONDITIONS.get(name), config.conditioning
    if name == "label":
        return module.Config(classes=dataset.classes, optional=len(among) > 1)
    settings = {"text": {"encoder": wanted.text_encoder}, "attributes": {"names": wanted.attributes}}.get(name, {})
    train = dataset.indices("train")
    # a sound's spectrum is the same whatever others there are
    values = asked.raw(dataset, name, train) if name != "sound" else []
    return module.Config(**settings).fitted(values)


def exists(folder: Path) -> bool:
    """Whether ``folder`` is a run of ours. Raises UserError when it holds something else, or a newer format."""
    marker = folder / "run.json"
    if not marker.is_file():
        here = list(folder.iterdir()) if folder.is_dir() else []
        # these alone are ours: a kill came before run.json was written
        ours_alone = ("run.yaml", "start.safetensors", "start.json", vault.FILE)
        strangers = [path.name for path in here if not path.name.startswith(".") and path.name not in ours_alone]
        if strangers or folder.is_file():
            found = f" (it holds '{sorted(strangers)[0]}')" if strangers else ""
            raise UserError(
                f"'{folder}' exists and is no run of Alla Prima{found}", "choose another folder for the run"
            )
        return False
    try:
        values = json.loads(marker.read_text(encoding="utf-8"))
        ours, version = (
            values["format"] == FORMAT and {"dataset", "fingerprint"} <= values.keys(),
            int(values["version"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        ours, version = False, 0
    if not ours:
        raise UserError(f"'{folder}' was written by another program", "choose another folder for the run")
    if version > VERSION:
        raise UserError(f"'{folder}' was written by a newer allaprima", "upgrade: pip install -U allaprima")
    return True


def create(folder: Path, config: RunConfig, dataset: Dataset) -> Run:
    """A new run: what the dataset decides is decided now, and written down."""
    check(config, dataset)
    run = Run(folder, resolve(config, dataset), dataset)
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock(folder, dataset)
    write(run)
    return run


def lock(folder: Path, dataset: Dataset, how: str | None = None, origin: Path | None = None) -> None:
    """Lock a new run's folder: ``how`` its key is kept, ``none`` for no lock; by default as the dataset, or what it begins from.

    What is locked already stays so. Raises UserError where a key cannot be had.
    """
    if how == "none" or (folder / vault.FILE).is_file():
        return
    if how is not None:
        vault.check_place(folder, how)
        vault.create(folder, how)
        return
    for other in [dataset.folder, *([] if origin is None else [origin])]:
        locked = vault.locked_by(other)
        if locked is not None:
            vault.create_like(folder, locked)
            return


def check(config: RunConfig, dataset: Dataset) -> None:
    """Raises UserError when nets, condition or dataset do not go together; nothing is written."""
    for split in ("train", "validation"):
        count = len(dataset.indices(split))
        if count < FEWEST_PICTURES:
            raise UserError(
                f"'{dataset.folder}' has {count} {split} pictures, and at least {FEWEST_PICTURES} are needed",
                "prepare more pictures, or prepare them again with --validation 0.1",
            )
    config.method.build(dataset.domain.shape, condition_of(config, dataset))


def write(run: Run) -> None:
    """``run.yaml``, and ``run.json`` last: it makes the folder a run. What is written already stays as it is."""
    text = to_yaml(run.config)
    if not (run.folder / "run.yaml").is_file() or (run.folder / "run.yaml").read_text(encoding="utf-8") != text:
        write_atomic(run.folder / "run.yaml", text)
    if not (run.folder / "run.json").is_file():
        dataset = {"dataset": str(run.dataset.folder.resolve()), "fingerprint": run.dataset.manifest.fingerprint}
        write_json(run.folder / "run.json", {"format": FORMAT, "version": VERSION, **dataset})


def read_config(folder: Path) -> RunConfig:
    """The configuration of the run that stands in ``folder``. Raises UserError when it cannot be read."""
    return read_settings(folder / "run.yaml", "choose another folder for a new run")


def read_settings(path: Path, remedy: str) -> RunConfig:
    """A configuration from a YAML file. Raises UserError with ``remedy`` when it cannot be read."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no settings")
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"'{path}' cannot be read: {reason}", remedy) from None
    return load(RunConfig, values)


def open_run(folder: Path, dataset: Dataset | None = None) -> Run:
    """An existing run, with the dataset it was begun on. Raises UserError when that is gone or another one is given."""
    marker = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    remind_of_run(folder)
    if dataset is None:
        dataset = Dataset.open(marker["dataset"])
    if dataset.manifest.fingerprint != marker["fingerprint"]:
        old = Path(marker["dataset"])
        raise UserError(
            f"'{folder}' was begun on other pictures ('{old}'), not on '{dataset.folder}'{_sizes(folder, dataset)}",
            "give the dataset it was begun on, or choose another folder for a new run",
        )
    return Run(folder, read_config(folder), dataset)


def _sizes(folder: Path, dataset: Dataset) -> str:
    """In words, when the sizes differ too: the most frequent mistake."""
    try:
        was = json.loads(vault.read_bytes(folder / "bundle" / "bundle.json"))["domain"]
    except (OSError, ValueError, KeyError):
        return ""
    now = dataset.manifest.domain.model_dump(mode="json")
    if was == now:
        return ""
    return ": {width}×{height} pixels, {channels} channels then".format(
        **was
    ) + ", {width}×{height}, {channels} now".format(**now)


def resolve(config: RunConfig, dataset: Dataset) -> RunConfig:
    """``auto`` replaced by what the dataset says."""
    config = config.with_recommended(dataset.domain.shape)
    training = config.training
    if training.mirror == "auto":
        from allaprima.data.mirror import looks_mirrored

        # to look would tell something of the pictures, and the answer stands in run.yaml
        looked = not getattr(config.method, "PRIVATE", False) and looks_mirrored(dataset)
        training = training.model_copy(update={"mirror": "on" if looked else "off"})
    if training.mirror == "on" and "flip" not in training.augment:
        training = training.model_copy(update={"augment": [*training.augment, "flip"]})
    method = config.method
    if hasattr(method, "for_pictures"):
        method = method.for_pictures(len(dataset.indices("train")))
    condition = ",".join(names_of(config, dataset)) or "none"
    return config.model_copy(update={"method": method, "condition": condition, "training": training})
