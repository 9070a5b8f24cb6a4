"""Keeps a trained feature net with its dataset, in ``features/<name>-<key>/`` of the dataset's folder.

That holds ``weights.safetensors`` and ``features.json``. A damaged one counts as absent, and a folder that cannot be
written is no reason to stop: the net is trained again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from allaprima import vault
from allaprima.core.errors import UserError
from allaprima.core.files import new_folder, sweep_partial

FORMAT = "allaprima-features"
DESCRIPTION = "features.json"
WEIGHTS = "weights.safetensors"


def folder_for(dataset: Path, name: str, key: dict[str, Any]) -> Path:
    """Where features made with ``key`` (format version, settings, the dataset's fingerprint) are kept."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return dataset / "features" / f"{name}-{digest[:12]}"


def read(folder: Path, key: dict[str, Any]) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
    """Description and tensors, or None when they are missing, torn, changed, or made with another ``key``."""
    try:
        description = json.loads(vault.read_bytes(folder / DESCRIPTION))
        if description["format"] != FORMAT or description["sha256"] != vault.sha256_file(folder / WEIGHTS):
            return None
        if any(description.get(name) != value for name, value in key.items()):
            return None  # a folder that was copied here from another dataset
        return description, safetensors.torch.load(vault.read_bytes(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def write(folder: Path, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bool:
    """Put them there as a whole. Returns whether it worked: a full disk is not the end of an evaluation."""
    with contextlib.suppress(UserError, OSError):
        sweep_partial(folder.parent)
        if folder.exists():  # read() refused it
            shutil.rmtree(folder)
        with new_folder(folder) as beside:
            vault.write_synced(
                beside / WEIGHTS, safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()})
            )
            full = {"format": FORMAT, **description, "sha256": vault.sha256_file(beside / WEIGHTS)}
            vault.write_synced(beside / DESCRIPTION, (json.dumps(full, indent=2) + "\n").encode())
        return True
    return False
