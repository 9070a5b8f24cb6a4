"""A run that begins from what another has learned (``--from``): its nets' settings and weights, and a gentler start.

The generator (encoder too) takes the moving averages of a bundle. From a run that still has checkpoints the discriminator
comes as well, a GAN's with its lowest layers frozen (FreezeD, Mo et al. 2020, "Freeze the discriminator"); a bundle never
holds one, so a GAN's fresh one learns alone for a little while first. All that is taken is copied into the new run's
folder before the run exists:

    start.safetensors   initial weights, named as the method names them
    start.json          their hash, the settings that came along, where they came from (no paths)

so that the run can be resumed, or return to its beginning, without the old one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from allaprima import vault
from allaprima.bundle import files
from allaprima.bundle.format import Description
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, sweep_partial, write_json
from allaprima.core.seeds import derive
from allaprima.data.dataset import Dataset
from allaprima.methods import METHODS
from allaprima.training import checkpoint
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner
from allaprima.training.run import condition_of, read_config
from allaprima.training.weights_fit import Fit

TENSORS, NOTE = "start.safetensors", "start.json"
RATE = 0.5  # of the recommended learning rate
FROZEN_LAYERS = 2
HEAD_START = 0.03  # of the run, for a discriminator that has learned nothing yet
GO_ON = "leave out --from to go on with it, or choose another folder for a new run"


@dataclass(frozen=True)
class Origin:
    """What stands to be taken: a bundle's nets, and the checkpoint's other weights if there are any."""

    description: Description
    nets: dict[str, nn.Module]
    others: dict[str, torch.Tensor]
    discriminator: Any = None  # its Config
    opponent: Any = None  # the Config of a VAE's discriminator

    @property
    def method(self) -> str:
        """The method that it was learned by."""
        known = self.description.provenance.get("method")
        fallback = "gan" if self.description.encoder is None else "vae"
        return known if known in METHODS.names() else fallback

    def changes(self, method: str, rate_is_free: bool) -> list[str]:
        """The settings that come along, as ``key=value``, for a run by ``method``."""
        config: Any = METHODS.get(method).Config
        made, known = self.description, config.model_fields
        found: dict[str, Any] = {"latent_dim": made.latent_dim}
        found["generator" if "generator" in known else "decoder"] = made.generator.model_dump(mode="json")
        if made.condition_dim:
            condition: Any = made.condition
            found["condition_dim"] = made.condition_dim // condition.width(1)
        if made.encoder is not None:
            found["encoder"] = made.encoder.model_dump(mode="json")
        if made.prior is not None:
            found["prior"] = made.prior.model_dump(mode="json")
        if self.others and self.discriminator is not None:
            found |= {"discriminator": self.discriminator.model_dump(mode="json"), "freeze": FROZEN_LAYERS}
        else:
            found["head_start"] = HEAD_START
        lines = [f"method.{key}={json.dumps(value)}" for key, value in found.items() if key in known]
        if self.others and self.opponent is not None and "opponent" in known:
            lines.append(f"method.opponent.discriminator={json.dumps(self.opponent.model_dump(mode='json'))}")
        if rate_is_free:
            lines.append(f"training.lr={RATE * getattr(config, 'recommended', {}).get('lr', 1e-3)}")
        return lines

    def provenance(self) -> dict[str, Any]:
        """What the card tells of it: fingerprints, no paths."""
        made, weights = self.description.provenance, self.description.weights
        assert weights is not None, "a bundle on disk has weights"
        kept = ("method", "dataset_fingerprint", "images_seen", "seed", "program")
        return {"weights_sha256": weights.sha256, **{key: made[key] for key in kept if key in made}}


@dataclass(frozen=True)
class Start:
    """What a new run begins with, ready to be written, and what the person should know of it."""

    tensors: dict[str, torch.Tensor]
    changes: list[str]
    provenance: dict[str, Any]
    said: list[str]


def open_origin(path: Path) -> Origin:
    """A bundle, or a run with its newest whole checkpoint. Raises UserError when neither is there or it is damaged."""
    description, nets, _ = files.read(path)
    others: dict[str, torch.Tensor] = {}
    if (path / "run.json").is_file():
        for folder in reversed(
            checkpoint.listed(path / "checkpoints")
        ):  # not ``newest``, which sweeps: it is not our run
            if checkpoint.is_whole(folder):
                tensors, _ = checkpoint.load(folder)
                own = tuple(f"method.{name}." for name in nets)
                others = {
                    key.removeprefix("method."): value
                    for key, value in tensors.items()
                    if key.startswith("method.") and not key.startswith(own)
                }
                break
    method = read_config(path).method if others else None
    opponent = getattr(getattr(method, "opponent", None), "discriminator", None)
    return Origin(description, nets, others, getattr(method, "discriminator", None), opponent)


def prepare(origin: Origin, config: RunConfig, dataset: Dataset, changes: list[str]) -> Start:
    """The initial weights of a run with ``config`` on ``dataset``. Raises UserError when they cannot fit; writes nothing."""
    _check_pictures(origin, dataset)
    condition = condition_of(config, dataset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, "weights"))  # what stays fresh is what the learner would have drawn
        method = config.method.build(dataset.domain.shape, condition)
    fit = Fit(origin.description, condition, method)
    for name, net in origin.nets.items():
        fit.take(name, net.state_dict())
    if not any(key.startswith("generator.") for key in fit.tensors):
        raise UserError("Nothing of the generator fits the new run", "leave out --from")
    with_opponent = bool(origin.others) and fit.take_opponent(origin.others)
    asked: Any = config.method
    if origin.others and not with_opponent and asked.model_dump().get("freeze"):
        raise UserError(
            "The discriminator of the old run does not fit this one, so its layers cannot be frozen",
            "add --set method.freeze=0 --set method.head_start=0.03 to begin with a fresh one, or name the old run's bundle",
        )
    if hasattr(method, "adversary"):
        head_start = asked.model_dump().get("head_start", 0)
        fit.said.append(
            f"the discriminator comes along, its lowest {asked.freeze} layers frozen"
            if with_opponent
            else f"the discriminator begins afresh and learns alone for the first {head_start:.0%} of the run"
        )
    elif with_opponent:
        fit.said.append("the discriminator comes along")
    return Start(fit.tensors, changes, origin.provenance(), fit.said)


def _check_pictures(origin: Origin, dataset: Dataset) -> None:
    was, now = origin.description.domain.build().shape, dataset.domain.shape  # type: ignore[attr-defined]  # a domain's Config
    if was.channels != now.channels:
        kinds = {1: "grey", 3: "rgb", 4: "rgba"}
        raise UserError(
            f"--from paints {kinds[was.channels]} pictures, the dataset holds {kinds[now.channels]} ones",
            f"prepare the dataset again with --colour {kinds[was.channels]}, or leave out --from",
        )
    if was.spatial != now.spatial:
        height, width = was.spatial[0], was.spatial[-1]
        size = f"{width}" if height == width else f"{width}x{height}"
        raise UserError(
            f"--from paints {width}×{height} pixels, the dataset holds {now.spatial[-1]}×{now.spatial[0]}",
            f"prepare the dataset again with --size {size}, or leave out --from",
        )


def write(folder: Path, start: Start) -> None:
    """``start.safetensors``, then ``start.json``, both whole; before ``run.json``, so that no run begins without them."""
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep_partial(folder)
    vault.write_atomic(
        folder / TENSORS, safetensors.torch.save({key: t.contiguous() for key, t in start.tensors.items()})
    )
    note = {"sha256": vault.sha256_file(folder / TENSORS), "changes": start.changes, "begun_from": start.provenance}
    write_json(folder / NOTE, note)


def begin(learner: Learner, folder: Path) -> None:
    """Put the initial weights of the run in ``folder`` into a fresh learner; nothing happens where there are none.

    Raises UserError when they are missing or damaged.
    """
    if not (folder / NOTE).is_file():
        return
    path = folder / TENSORS
    try:
        whole = vault.sha256_file(path) == _note(folder)["sha256"]
        tensors = safetensors.torch.load(vault.read_bytes(path)) if whole else {}
    except (OSError, ValueError, SafetensorError):
        whole = False
    if not whole:
        raise UserError(f"'{path}' is missing or damaged: the run cannot begin", "begin a new run in another folder")
    learner.method.load_state_dict(tensors, strict=False)
    learner.constrain()  # weights of an older version may not be
    for name, net in learner.method.exported().items():
        learner.ema.nets[name].load_state_dict(net.state_dict())


def changes_of(folder: Path) -> list[str]:
    """The settings that came along when the run in ``folder`` was begun; none for a run from scratch."""
    return list(_note(folder)["changes"]) if (folder / NOTE).is_file() else []


def provenance_of(folder: Path) -> dict[str, Any]:
    """``{"begun_from": …}`` for the card; empty for a run from scratch."""
    return {"begun_from": _note(folder)["begun_from"]} if (folder / NOTE).is_file() else {}


def check_standing(folder: Path, path: Path) -> None:
    """Raises UserError when the run in ``folder`` was not begun from ``path``. What ``path`` was may be gone by now."""
    begun = provenance_of(folder).get("begun_from")
    if begun is None:
        raise UserError(f"'{folder}' was begun from scratch, not from '{path}'", GO_ON)
    try:
        now = open_origin(path).provenance()["weights_sha256"]
    except UserError:
        return
    if now != begun["weights_sha256"]:
        raise UserError(f"'{folder}' was begun from another generator than '{path}' holds now", GO_ON)


def _note(folder: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        if {"sha256", "changes", "begun_from"} <= note.keys():
            return note
    except (OSError, ValueError, AttributeError):
        pass
    raise UserError(f"'{folder / NOTE}' is damaged", "begin a new run in another folder")
