"""The features of FD-DINOv2: the class token of DINOv2 ViT-L/14, which agrees with people better than FID does.

Oquab et al. 2023, "DINOv2: Learning robust visual features without supervision"; Stein et al. 2023, "Exposing flaws of
generative model evaluation metrics and their unfair treatment of diffusion models", whose dgm-eval this follows: 224 px
by Pillow's bicubic, ImageNet's mean and deviation.

The weights, 1.2 GB, are Meta's (Apache-2.0). A picture takes 160 GFLOP: two seconds on one Zen 4 core, so ask for
few samples there.

Use: ``features = load_or_train(dataset, Device.choose(), weights=Weights(download=True))``; nothing is trained.
"""

from __future__ import annotations

import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights
from allaprima.evaluation.features._pictures import NetFeatures, bicubic, refuse_other_pictures
from allaprima.evaluation.features._vit import build, from_dinov2
from allaprima.evaluation.features._weights import PinnedFile, find, read

NAME = "dinov2 (ViT-L/14)"
SIDE, GRID = 224, 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PUBLISHED_NAMES = {"Fréchet distance": "FD-DINOv2"}
NOTE = "published FD-DINOv2 compares 50,000 samples with the whole training split; with fewer it comes out higher"
FILES = (
    PinnedFile(
        name="dinov2-large.safetensors",
        url="https://huggingface.co/facebook/dinov2-large/resolve/47b73eefe95e8d44ec3623f8890bd894b6ea2d6c/model.safetensors",
        sha256="399fba97a95f22c36834418bc69373364a99af3a1153da1c0fb31db567c92e23",
        num_bytes=1_217_522_888,
        repository="facebook/dinov2-large",
    ),
    PinnedFile(
        name="dinov2_vitl14_pretrain.pth",
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        num_bytes=1_217_586_395,
    ),
)


def look(rgb: torch.Tensor) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,224,224]``, standardised."""
    return bicubic(rgb, SIDE, MEAN, STD)


def load_or_train(dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()) -> NetFeatures:
    """The features as published, for pictures of ``dataset``; ``seconds`` is the catalogue's and changes nothing.

    Raises UserError when the weights cannot be had, and when the samples are no pictures.
    """
    refuse_other_pictures("dinov2", dataset)
    net = build(from_dinov2(read(find("dinov2", FILES, weights))), GRID, epsilon=1e-6, quick=False)
    return NetFeatures(NAME, net, look, net.dim, device, PUBLISHED_NAMES, NOTE)
