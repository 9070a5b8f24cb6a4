"""FID as published: the pooled features of TensorFlow's Inception-v3 of 2015.

Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium"; with a kernel
distance in place of the Fréchet distance it is KID (Bińkowski et al. 2018). The net knows photographs of things
(ImageNet): on other pictures the figures are comparable between papers, not necessarily telling.

Use: ``features = load_or_train(dataset, Device.choose(), weights=Weights(download=True))``; nothing is trained.
"""

from __future__ import annotations

import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights
from allaprima.evaluation.features._pictures import NetFeatures, bilinear_2015, refuse_other_pictures
from allaprima.models.pretrained import inception

NAME = "inception (2015, FID)"
PUBLISHED_NAMES = {"Fréchet distance": "FID", "kernel distance": "KID"}
NOTE = "published FID compares 50,000 samples with the whole training split; with fewer it comes out higher"


def look(rgb: torch.Tensor) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,299,299]`` in [-1, 127/128]: the graph takes 128 away and divides by 128."""
    return (bilinear_2015(rgb, inception.SIDE) - 128) / 128


def load_or_train(dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()) -> NetFeatures:
    """The features as published, for pictures of ``dataset``; ``seconds`` is the catalogue's and changes nothing.

    Raises UserError when the weights cannot be had, and when the samples are no pictures.
    """
    refuse_other_pictures("inception", dataset)
    net = inception.load(weights)
    return NetFeatures(NAME, net, look, net.dim, device, PUBLISHED_NAMES, NOTE)
