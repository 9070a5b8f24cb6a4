"""Attacks by other nets than the generator: a VAE's encoder, which its bundle holds, and the discriminator, which none does.

The discriminator was taught to score training pictures higher than all else: where it has learned them by heart, its score
tells them from new ones (LOGAN, Hayes et al. 2019, the white-box attack). It stays in the run's folder, with the checkpoints.
An autoencoder gives back pictures that it was trained on with a smaller error (Hilprecht et al. 2019, the reconstruction attack).

Use: ``scores = discriminator_scores(run, dataset, device, places)``, float32 ``[N]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima.core.device import Device
from allaprima.data.conditions import Asked
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, follows
from allaprima.evaluation.features import chunks
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.methods import Method
from allaprima.models.conditions import parts_of
from allaprima.training import checkpoint
from allaprima.training.run import Run, open_run

LEAST_ERROR = 1e-12


@torch.no_grad()
def discriminator_scores(folder: Path, dataset: Dataset, device: Device, places: np.ndarray) -> torch.Tensor:
    """Of the newest whole checkpoint, each picture with its own condition. Raises NotMeasuredError where there is none."""
    if not (folder / "run.json").is_file():
        raise NotMeasuredError(
            "A bundle never holds the discriminator", "to audit that as well, give the folder of the run"
        )
    run = open_run(folder, dataset)
    method: Any = _restored(run)
    named = ("adversary", "opponent", "critic")  # of a GAN, a VAE's finish, a private GAN
    adversary = next((found for name in named if (found := getattr(method, name, None)) is not None), None)
    if adversary is None:
        name = run.config.method.component_name()
        raise NotMeasuredError(
            f"The method '{name}' of this run has no discriminator", "nothing: there is none to attack"
        )
    adversary.eval().to(device.torch)
    asked = Asked(dataset, run.condition).rows(places) if parts_of(run.condition) else torch.zeros(len(places)).long()
    scores = []
    for rows, samples in _pieces(dataset, places):
        y = adversary.condition(asked[rows].to(device.torch))
        scores.append(adversary.discriminator(samples.to(device.torch), y).float().cpu())
    return torch.cat(scores)


def reconstruction_scores(painter: Any, dataset: Dataset, places: np.ndarray) -> torch.Tensor:
    """−log of the mean squared error of each picture that went through the encoder and back."""
    if painter.encoder is None:
        raise NotMeasuredError("This generator has no encoder", "nothing: there is none to attack")
    scores = []
    for rows, samples in _pieces(dataset, places):
        asked = asked_at(painter, dataset, places[rows]) if follows(painter) else painter.asked(len(samples))
        again = painter.decode(painter.posterior(samples, asked=asked)[0], asked)
        scores.append(-(again - samples).square().flatten(1).mean(1).clamp_min(LEAST_ERROR).log())
    return torch.cat(scores)


def _restored(run: Run) -> Method:
    """The run's method as its newest whole checkpoint left it. What an interrupted save left behind is not touched."""
    for folder in reversed(checkpoint.listed(run.checkpoints)):
        if checkpoint.is_whole(folder):
            tensors, _ = checkpoint.load(folder)
            break
    else:
        raise NotMeasuredError(
            "The run's folder holds no whole checkpoint, so no discriminator", "audit the folder that it was trained in"
        )
    shape = run.dataset.domain.shape
    with torch.random.fork_rng(devices=[]):
        method: Method = run.config.with_recommended(shape).method.build(shape, run.condition)
    own = {key.removeprefix("method."): value for key, value in tensors.items() if key.startswith("method.")}
    try:
        method.load_state_dict(own)
    except RuntimeError:
        raise NotMeasuredError(
            "The checkpoint holds other nets than this version of allaprima trains",
            "audit it with the version that trained it",
        ) from None
    return method


def _pieces(dataset: Dataset, places: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows, and their pictures: float32 ``[n,C,H,W]`` in [-1, 1]."""
    for piece in chunks(len(places), int(np.prod(dataset.images.shape[1:]))):
        rows = slice(piece.start, piece.stop)
        yield rows, dataset.domain.to_tensor(dataset.images[places[rows]])
