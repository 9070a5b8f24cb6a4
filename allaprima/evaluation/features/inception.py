"""FID as published: the pooled features of TensorFlow's Inception-v3 of 2015.

Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium"; with a kernel
distance in place of the Fréchet distance it is KID (Bińkowski et al. 2018). The net knows photographs of things
(ImageNet): on other pictures the figures are comparable between papers, not necessarily telling.

The weights, 96 MB, are Google's (Apache-2.0), converted to PyTorch for pytorch-fid and torch-fidelity. A picture takes
11 GFLOP: some 13 a second on one Zen 4 core.

Use: ``features = load_or_train(dataset, Device.choose(), weights=Weights(download=True))``; nothing is trained.
"""

from __future__ import annotations

import torch

from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights
from allaprima.evaluation.features._inception import DIM, Inception, folded
from allaprima.evaluation.features._pictures import NetFeatures, bilinear_2015, refuse_other_pictures
from allaprima.evaluation.features._weights import PinnedFile, find, read

NAME = "inception (2015, FID)"
SIDE = 299
PUBLISHED_NAMES = {"Fréchet distance": "FID", "kernel distance": "KID"}
NOTE = "published FID compares 50,000 samples with the whole training split; with fewer it comes out higher"
FILES = tuple(  # one file that two projects publish
    PinnedFile(
        name=url.rpartition("/")[2],
        url=url,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        num_bytes=95_628_359,
    )
    for url in (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    )
)


def look(rgb: torch.Tensor) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,299,299]`` in [-1, 127/128]: the graph takes 128 away and divides by 128."""
    return (bilinear_2015(rgb, SIDE) - 128) / 128


def load_or_train(dataset: Dataset, device: Device, seconds: float = 0.0, weights: Weights = Weights()) -> NetFeatures:
    """The features as published, for pictures of ``dataset``; ``seconds`` is the catalogue's and changes nothing.

    Raises UserError when the weights cannot be had, and when the samples are no pictures.
    """
    refuse_other_pictures("inception", dataset)
    published = read(find("inception", FILES, weights))
    with torch.device("meta"):
        net = Inception()
    net.load_state_dict(dict(folded(published)), assign=True)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub omits it
    return NetFeatures(NAME, net, look, DIM, device, PUBLISHED_NAMES, NOTE)
