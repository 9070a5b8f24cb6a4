"""The features of FD-DINOv2: the class token of DINOv2 ViT-L/14, which agrees with people better than FID does.

Oquab et al. 2023, "DINOv2: Learning robust visual features without supervision"; Stein et al. 2023, "Exposing flaws of
generative model evaluation metrics and their unfair treatment of diffusion models", whose dgm-eval this follows: 224 px
by Pillow's bicubic, ImageNet's mean and deviation.

Use: ``features = load_or_train(dataset, Device.choose(), weights=Weights(download=True))``; nothing is trained.
"""

from __future__ import annotations

import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights
from allaprima.evaluation.features._pictures import NetFeatures, bicubic, refuse_other_pictures
from allaprima.models.pretrained import dinov2

NAME = "dinov2 (ViT-L/14)"
PUBLISHED_NAMES = {"Fréchet distance": "FD-DINOv2"}
NOTE = "published FD-DINOv2 compares 50,000 samples with the whole training split; with fewer it comes out higher"


def look(rgb: torch.Tensor) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,224,224]``, standardised."""
    return bicubic(rgb, dinov2.SIDE, dinov2.MEAN, dinov2.STD)


def load_or_train(dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()) -> NetFeatures:
    """The features as published, for pictures of ``dataset``; ``seconds`` is the catalogue's and changes nothing.

    Raises UserError when the weights cannot be had, and when the samples are no pictures.
    """
    refuse_other_pictures("dinov2", dataset)
    net = dinov2.load(weights)
    return NetFeatures(NAME, net, look, net.dim, device, PUBLISHED_NAMES, NOTE)
