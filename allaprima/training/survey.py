"""What a private method takes of the training pictures: once in a run's life, and kept.

To take it a second time would tell more than was promised; so it stands in the run's folder, and whatever begins anew there,
after a kill or because training ran away, finds it again.

Use: ``survey.take(run, learner)`` before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import safetensors.torch
import torch

from allaprima import vault
from allaprima.data.batch import Batch
from allaprima.training.learner import Learner
from allaprima.training.run import Run

FILE = "survey.safetensors"
AT_ONCE = 512


def is_private(run: Run) -> bool:
    """Whether the run may show its method nothing of the pictures but the survey."""
    return bool(getattr(run.config.method, "PRIVATE", False))


def take(run: Run, learner: Learner) -> None:
    """The method's buffers as the survey left them; nothing for a method that takes none."""
    if not is_private(run):
        return
    method: Any = learner.method
    if not hasattr(method, "survey"):
        return
    path = run.folder / FILE
    with learner.group.leader_first():
        if not path.is_file():
            method.survey(_batches(run, learner.device.torch))
            kept = {
                name: value.cpu().contiguous() for name, value in method.state_dict().items() if name in _own(method)
            }
            vault.write_atomic(path, safetensors.torch.save(kept))
    kept = safetensors.torch.load(vault.read_bytes(path))
    for name, buffer in method.named_buffers(recurse=False):
        if name in kept:
            buffer.copy_(kept[name])


def _own(method: torch.nn.Module) -> set[str]:
    return {name for name, _ in method.named_buffers(recurse=False)}


def _batches(run: Run, device: torch.device) -> Iterator[Batch]:
    """Each training picture once, with its class."""
    dataset, places = run.dataset, run.dataset.indices("train")
    for begin in range(0, len(places), AT_ONCE):
        part = places[begin : begin + AT_ONCE]
        samples = dataset.domain.to_tensor(dataset.images[part]).to(device)
        labels = torch.as_tensor(dataset.labels[part]).clamp_min(0).to(device)
        if run.condition.component_name() == "none":
            labels = torch.zeros_like(labels)
        yield Batch(samples, torch.as_tensor(part), {"label": labels})
