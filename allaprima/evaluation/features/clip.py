"""Features of CLIP's image tower, ViT-B/32: what a picture is about, learned from captions rather than from ImageNet.

Radford et al. 2021, "Learning transferable visual models from natural language supervision". Kynkäänniemi et al. 2023,
"The role of ImageNet classes in Fréchet inception distance", check with this net whether a better FID means better
pictures. It is the small one: 9 GFLOP a picture, some 11 a second on one Zen 4 core. Papers differ in the tower and in
how they resize, so the figures carry no published name.

Use: ``features = load_or_train(dataset, Device.choose(), weights=Weights(download=True))``; nothing is trained.
"""

from __future__ import annotations

import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights
from allaprima.evaluation.features._pictures import NetFeatures, bicubic, refuse_other_pictures
from allaprima.models.pretrained import clip

NAME = "clip (OpenAI ViT-B/32)"


def look(rgb: torch.Tensor) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,224,224]``, standardised; a picture that is not square is squeezed, not cropped."""
    return bicubic(rgb, clip.SIDE, clip.MEAN, clip.STD)


def load_or_train(dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()) -> NetFeatures:
    """The image embeddings, projected, not normalised; ``seconds`` is the catalogue's and changes nothing.

    Raises UserError when the weights cannot be had, and when the samples are no pictures.
    """
    refuse_other_pictures("clip", dataset)
    net = clip.load(weights)
    return NetFeatures(NAME, net, look, net.dim, device, {}, "")
