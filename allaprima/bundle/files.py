"""A bundle on disk: ``bundle.json``, one safetensors file, ``card.md``, ``preview.webp``. No pickle, ever.

The weights are named after their hash and ``bundle.json`` is replaced last, atomically: a reader finds the old
bundle or the new one, never a mixture.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import nn

from allaprima import vault
from allaprima.bundle.format import DESCRIPTION, FORMAT, VERSION, Description, Weights
from allaprima.core.config import validate
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors, sweep_partial
from allaprima.core.retention import remind_of_run
from allaprima.marks import marked
from allaprima.models.conditions import classes_of

MEND = "copy the bundle folder again, or let `allaprima train` go on in the run"


def write(
    folder: Path, fields: Mapping[str, Any], nets: Mapping[str, nn.Module], card: str, preview: Image.Image
) -> None:
    """Replace the bundle in ``folder``, sealed where that is locked. ``fields`` are Description's, without ``weights``."""
    with plain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep_partial(folder)
    tensors = {
        f"{name}.{key}": value.detach().to("cpu", copy=True).contiguous()
        for name, net in nets.items()
        for key, value in net.state_dict().items()
    }
    data = safetensors.torch.save(tensors)
    digest = hashlib.sha256(data).hexdigest()
    weights = Weights(file=f"weights-{digest[:12]}.safetensors", sha256=digest)
    vault.write_atomic(folder / weights.file, data)
    description = validate(Description, {**fields, "weights": weights.model_dump()})
    vault.write_atomic(folder / "card.md", card)
    vault.write_atomic(folder / "preview.webp", _webp(preview))
    vault.write_atomic(folder / DESCRIPTION, description.model_dump_json(indent=2) + "\n")
    for old in folder.glob("weights-*.safetensors"):
        if old.name != weights.file:
            old.unlink()


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90)
    return marked(buffer.getvalue(), "image/webp")


def find(path: Path) -> Path:
    """The folder with ``bundle.json``: ``path`` itself, or ``path/bundle`` of a run. Raises UserError otherwise."""
    for folder in (path, path / "bundle"):
        if (folder / DESCRIPTION).is_file():
            remind_of_run(path if folder != path else path.parent)
            return folder
    if not path.exists():
        raise UserError(f"There is no '{path}'", "name a run folder or a bundle folder, such as runs/cats")
    if (path / "run.json").is_file():
        raise UserError(f"'{path}' has no generator yet", "let `allaprima train` reach its first checkpoint")
    raise UserError(f"'{path}' holds neither a run nor a bundle", "name the folder that `allaprima train` wrote")


def read(path: Path, device: str | torch.device = "cpu") -> tuple[Description, dict[str, nn.Module], Path]:
    """Description, nets in evaluation mode, folder. The hash of the weights is checked before they are used."""
    folder = find(path)
    description = _read_description(folder)
    if description.weights is None:
        raise UserError(f"'{folder}/{DESCRIPTION}' names no weights", "copy the whole bundle folder again")
    weights = folder / Path(description.weights.file).name  # the name only: it cannot lead out of the folder
    if not weights.is_file():
        raise UserError(f"'{weights}' is missing", "copy the whole bundle folder again")
    try:
        data = vault.read_bytes(weights)
    except ValueError as error:  # it was encrypted, and then changed
        raise UserError(str(error), MEND) from None
    if hashlib.sha256(data).hexdigest() != description.weights.sha256:
        raise UserError(f"'{weights}' is damaged: its hash differs", MEND)
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        raise UserError(f"'{weights}' is not a safetensors file: {error}", MEND) from None
    nets = build_nets(description)
    for name, net in nets.items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        try:
            net.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"The weights do not fit the {name}: {reason}", MEND) from None
        net.eval().requires_grad_(False).to(device)
    return description, nets, folder


def _read_description(folder: Path) -> Description:
    try:
        values = json.loads(vault.read_bytes(folder / DESCRIPTION))
    except (OSError, ValueError) as error:
        raise UserError(f"'{folder}/{DESCRIPTION}' cannot be read: {error}", "copy the bundle folder again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"'{folder}' is not an Alla Prima bundle", "name the folder that `allaprima train` wrote")
    if values.get("version", 0) > VERSION:
        raise UserError(f"'{folder}' was written by a newer allaprima", "upgrade: pip install -U allaprima")
    return validate(Description, values)


def build_nets(description: Description) -> dict[str, nn.Module]:
    """Freshly initialised nets of a description: generator, condition and, where there are such, encoder and prior."""
    made: Any = description
    shape = made.domain.build().shape
    nets = {
        "generator": made.generator.build(shape, made.latent_dim, made.condition_dim),
        "condition": made.condition.build(made.condition_dim),
    }
    if made.encoder is not None:
        nets["encoder"] = made.encoder.build(shape, made.latent_dim, made.condition_dim)
    if made.prior is not None:
        nets["prior"] = made.prior.build(made.latent_dim, made.condition_dim, len(classes_of(made.condition)))
    return nets
