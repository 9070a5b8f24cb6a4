"""DINOv2 ViT-L/14 (Oquab et al. 2023, "DINOv2: Learning robust visual features without supervision").

Meta's weights, 1.2 GB (Apache-2.0). A picture of 224 px takes 160 GFLOP: two seconds on one Zen 4 core.
"""

from __future__ import annotations

from allaprima.models.pretrained import Weights
from allaprima.models.pretrained._vit import VisionTransformer, build, from_dinov2
from allaprima.models.pretrained._weights import PinnedFile, find, read

SIDE, SMALLEST, MULTIPLE = 224, 14, 14
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
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


def load(weights: Weights, size: int = SIDE) -> VisionTransformer:
    """The net, for pictures of ``size`` px, a multiple of 14. Raises UserError when the weights cannot be had."""
    return build(from_dinov2(read(find("dinov2", FILES, weights))), size // MULTIPLE, epsilon=1e-6, quick=False)
