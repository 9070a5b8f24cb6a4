"""What the figures of autoencoders share: pictures with the classes that they were trained as, and their posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, is_asked_by_picture
from allaprima.evaluation.metrics import NotMeasuredError

MOST_VALUES = 2**25  # of all pictures together: 128 MB as float32


@dataclass(frozen=True)
class Encoded:
    """N pictures at their 256 levels, float32 ``[N,C,H,W]`` in [-1, 1] (colour premultiplied by alpha), and q(z|x).

    ``labels``: each one's own class, prepared, int64 ``[N]``; or whatever else is asked of it, float32 ``[N, size]``. ``mean``
    and ``log_variance``: float32 ``[N, latent_dim]``.
    """

    samples: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor

    def __len__(self) -> int:
        return len(self.samples)


def encode(painter: Any, dataset: Dataset, places: np.ndarray, most: int) -> Encoded:
    """The first ``most`` pictures of ``places`` that have a class which the painter knows, or all kinds if it knows none.

    A picture without a class is left out: with a class that was guessed from the picture, its likelihood would be too
    good. Fewer are taken of large pictures, for the memory's sake. Raises NotMeasuredError when fewer than 2 are left.
    """
    most = max(2, min(most, MOST_VALUES // int(np.prod(dataset.images.shape[1:]))))
    labels: Any = None
    by_picture = is_asked_by_picture(painter)
    if painter.classes and not by_picture:
        names = [dataset.classes[label] if label >= 0 else None for label in np.asarray(dataset.labels[places])]
        known = [place for place, name in enumerate(names) if name in painter.classes][:most]
        places, labels = places[known], [names[place] for place in known]
    places = places[:most]
    if len(places) < 2:
        raise NotMeasuredError(
            f"{len(places)} pictures have a class that this generator knows",
            "measure it on the dataset that it was trained on, with its labels",
        )
    # uint8 [N,H,W,C] → float32 [N,C,H,W] in [-1,1]; premultiplied colours lie between levels, so they are rounded
    samples = dataset.domain.to_tensor(dataset.images[places]).add(1).mul(127.5).round().div(127.5).sub(1)
    prepared = asked_at(painter, dataset, places) if by_picture else painter.asked(len(places), label=labels)
    assert prepared is not None, "there are places"
    # a painter that is no bundle need not know what is prepared
    wishes = {"asked": prepared} if by_picture else {"label": prepared.tolist() if painter.classes else None}
    mean, log_variance = painter.posterior(samples, **wishes)
    return Encoded(samples, prepared, mean, log_variance)
