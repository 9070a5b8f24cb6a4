"""TensorFlow's Inception-v3 of 2015 (Szegedy et al. 2016), the net of the FID: Google's weights, 96 MB (Apache-2.0).

They were converted to PyTorch for pytorch-fid and torch-fidelity. A picture takes 11 GFLOP: some 13 a second on one Zen 4 core.
"""

from __future__ import annotations

import torch

from allaprima.models.pretrained import Weights
from allaprima.models.pretrained._inception import Inception, folded
from allaprima.models.pretrained._weights import PinnedFile, find, read

SIDE, SMALLEST, MULTIPLE = 299, 75, 1
MEAN, STD = (128 / 255,) * 3, (128 / 255,) * 3  # the graph takes 128 away and divides by 128
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


def load(weights: Weights, size: int = SIDE) -> Inception:
    """The net, for any ``size``. Raises UserError when the weights cannot be had."""
    published = read(find("inception", FILES, weights))
    with torch.device("meta"):
        net = Inception()
    net.load_state_dict(dict(folded(published)), assign=True)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub omits it
