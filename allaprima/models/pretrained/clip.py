"""CLIP's image tower, ViT-B/32 (Radford et al. 2021, "Learning transferable visual models from natural language supervision").

OpenAI's weights, 605 MB (MIT), as the Hugging Face hub has them. A picture of 224 px takes 9 GFLOP: some 11 a second on one
Zen 4 core.
"""

from __future__ import annotations

from allaprima.models.pretrained import Weights
from allaprima.models.pretrained._vit import VisionTransformer, build, from_clip
from allaprima.models.pretrained._weights import PinnedFile, find, read

SIDE, SMALLEST, MULTIPLE = 224, 32, 32
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
FILES = (
    PinnedFile(
        name="clip-vit-base-patch32.bin",
        url="https://huggingface.co/openai/clip-vit-base-patch32/resolve/3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268/pytorch_model.bin",
        sha256="a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",
        num_bytes=605_247_071,
        repository="openai/clip-vit-base-patch32",
    ),
)


def load(weights: Weights, size: int = SIDE) -> VisionTransformer:
    """The net, for pictures of ``size`` px, a multiple of 32. Raises UserError when the weights cannot be had."""
    return build(from_clip(read(find("clip", FILES, weights))), size // MULTIPLE, epsilon=1e-5, quick=True)
