"""Checkpoints: whole or absent, verified by hash, at least two kept. Safetensors and JSON, no pickle.

    checkpoints/000000064000/   the number of images seen
        state.safetensors       nets, moving averages, optimiser moments
        state.json              counters, plan, early stopping
        manifest.json           SHA-256 of both

A folder is filled beside, synced, renamed, its parent synced. The newest that verifies is the one to go on from.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from allaprima import vault
from allaprima.core.files import new_folder, sweep_partial

TENSORS, STATE, MANIFEST = "state.safetensors", "state.json", "manifest.json"
VERSION = 1


class DamagedCheckpointError(Exception):
    """A checkpoint that does not verify."""


def save(
    folder: Path,
    images_seen: int,
    tensors: dict[str, torch.Tensor],
    state: dict[str, Any],
    keep: int,
    pinned: int | None = None,
) -> Path:
    """Write the checkpoint of ``images_seen`` and delete all but the newest ``keep`` and that of ``pinned`` images.

    Raises UserError on a full disk.
    """
    target = folder / f"{images_seen:012d}"
    if target.exists():  # the same moment again, after a resume: equal by construction unless the disk hurt it
        if is_whole(target):
            return target
        shutil.rmtree(target)
    with new_folder(target) as beside:
        # written by ourselves: safetensors hides the operating system's reason when a disk is full
        vault.write_synced(
            beside / TENSORS, safetensors.torch.save({key: t.contiguous() for key, t in tensors.items()})
        )
        vault.write_synced(beside / STATE, json.dumps(state).encode())
        hashes = {name: vault.sha256_file(beside / name) for name in (TENSORS, STATE)}
        vault.write_synced(beside / MANIFEST, json.dumps({"version": VERSION, "sha256": hashes}).encode())
    for old in listed(folder)[:-keep]:
        if pinned is None or int(old.name) != pinned:
            shutil.rmtree(old)
    return target


def listed(folder: Path) -> list[Path]:
    """Checkpoints, oldest first, by images seen and never by time: clocks may go backwards."""
    return sorted(path for path in folder.glob("[0-9]" * 12) if path.is_dir())


def is_whole(path: Path) -> bool:
    """Whether every file is there with its hash."""
    try:
        verify(path)
    except DamagedCheckpointError:
        return False
    return True


def verify(path: Path) -> None:
    """Raises DamagedCheckpointError with the reason."""
    try:
        manifest = json.loads(vault.read_bytes(path / MANIFEST))
        hashes = manifest["sha256"]
        for name in (TENSORS, STATE):
            if vault.sha256_file(path / name) != hashes[name]:
                raise DamagedCheckpointError(f"the hash of '{path / name}' differs")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(f"'{path}' cannot be read: {error}") from error


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and state of one checkpoint, verified first. Raises DamagedCheckpointError."""
    verify(path)
    try:
        return _tensors(path / TENSORS), json.loads(vault.read_bytes(path / STATE))
    except (OSError, ValueError, SafetensorError) as error:
        raise DamagedCheckpointError(f"'{path}' cannot be read: {error}") from error


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if vault.is_sealed(path):
        return safetensors.torch.load(vault.read_bytes(path))
    return safetensors.torch.load_file(path)  # mapped: twice the memory is not needed


def forget_after(folder: Path, images_seen: int) -> None:
    """Delete the checkpoints of more than ``images_seen`` images: what led to them went wrong."""
    for path in listed(folder):
        if int(path.name) > images_seen:
            shutil.rmtree(path)


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that verifies, and what was wrong with newer ones. Sweeps what an interrupted save left."""
    sweep_partial(folder)
    problems = []
    for path in reversed(listed(folder)):
        try:
            verify(path)
        except DamagedCheckpointError as error:
            problems.append(str(error))
        else:
            return path, problems
    return None, problems


def flatten_optimizer(name: str, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The moments of an optimiser as named tensors: ``optimizer.<name>.<parameter number>.<moment>``."""
    return {
        f"optimizer.{name}.{number}.{key}": torch.as_tensor(value)
        for number, moments in optimizer.state_dict()["state"].items()
        for key, value in moments.items()
        if value is not None
    }


def restore_optimizer(name: str, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """The reverse of ``flatten_optimizer``, in place."""
    prefix = f"optimizer.{name}."
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            number, moment = key.removeprefix(prefix).split(".", 1)
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                # Fused optimisers walk through memory: a moment must lie as its parameter does (channels last).
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
