"""The figure that training watches: kernel distance to the *validation* split. The test split is never touched.

Use: ``validator = Validator(dataset, device, features); validator.figure(samples)``.
"""

from __future__ import annotations

import math

import torch

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Features, choose, of_pictures
from allaprima.evaluation.metrics.kernel_distance import mmd2

MOST_PICTURES = 2048
FEWEST_PICTURES = 2


class Validator:
    """Kernel distance between samples and the validation pictures, whose features are taken once.

    Raises UserError when there are fewer than ``FEWEST_PICTURES`` validation pictures.
    """

    name = "kernel_distance"

    def __init__(self, dataset: Dataset, device: Device, features: Features) -> None:
        places = dataset.indices("validation")
        if len(places) < FEWEST_PICTURES:
            raise UserError(
                f"'{dataset.folder}' has {len(places)} validation picture{'s' * (len(places) != 1)}",
                "prepare it again with more pictures"
                if len(places)
                else "prepare it again with --validation 0.1 --force, to hold some out",
            )
        self.features = features
        self._device = device
        self._real = of_pictures(features, dataset, choose(places, MOST_PICTURES, numpy_stream(0, "validation")))

    def figure(self, samples: torch.Tensor) -> float:
        """float ``[N,C,H,W]`` in [-1, 1], N ≥ 2 → the distance, lower is better; infinite if a sample is not finite."""
        painted = self.features.extract(samples)
        if not painted.isfinite().all():
            return math.inf
        return mmd2(self._real, painted)
