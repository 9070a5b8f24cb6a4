"""The pixels themselves, small: what a picture looks like from afar, where light and colour are.

Use: ``features = load_or_train(dataset, Device.choose())``; nothing is trained.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights, chunks, refuse_file

SIDE = 8


class PixelFeatures:
    """``[N,C,H,W]`` → the means of 8 × 8 fields: ``[N, 64·C]``."""

    name = identity = "pixels: 8×8"
    slow = False
    published_names: dict[str, str] = {}
    published_note = ""

    def __init__(self, channels: int) -> None:
        self.dim = channels * SIDE * SIDE

    def extract(self, samples: torch.Tensor) -> torch.Tensor:
        """float ``[N,C,H,W]`` in [-1, 1] → float32 ``[N,dim]`` on the CPU."""
        parts = [
            F.adaptive_avg_pool2d(samples[piece.start : piece.stop].float(), SIDE).flatten(1).cpu()
            for piece in chunks(len(samples), samples[0].numel() if len(samples) else 1)
        ]
        return torch.cat(parts) if parts else torch.empty(0, self.dim)


def load_or_train(
    dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()
) -> PixelFeatures:
    """The features for pictures of ``dataset``; ``device`` and ``seconds`` are the catalogue's and change nothing.

    Raises UserError when ``weights`` names a file.
    """
    refuse_file("pixels", weights)
    return PixelFeatures(dataset.domain.shape.channels)
