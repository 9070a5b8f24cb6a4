"""Checkpoints of random numbers in the layouts of the published nets, for tests that must not fetch the real ones.

A tensor is a function of its name and shape alone, so a reference implementation given the same layout computes on the
same numbers; its results are recorded in the tests.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from allaprima.core.seeds import numpy_stream

Tensors = dict[str, torch.Tensor]


def random_like(shapes: Mapping[str, Sequence[int]]) -> Tensors:
    """Numbers that keep activations of about the same size from layer to layer."""
    return {name: _random(name, tuple(shape)) for name, shape in shapes.items()}


def _random(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    draw = numpy_stream(0, name)
    if name.endswith("running_var"):
        values = draw.uniform(0.5, 2, shape)
    elif name.endswith("weight") and len(shape) == 1:
        values = draw.uniform(0.7, 1.5, shape)
    elif len(shape) < 2:
        values = draw.normal(0, 0.2, shape)
    else:
        values = draw.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
    return torch.from_numpy(np.asarray(values, np.float32))


def layout_digest(tensors: Tensors) -> str:
    """One number for all names and shapes."""
    lines = [f"{name} {tuple(value.shape)}" for name, value in sorted(tensors.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def picture(height: int, width: int) -> torch.Tensor:
    """uint8 ``[1,3,height,width]``: noise."""
    values = numpy_stream(0, "picture").integers(0, 256, (1, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(values)


def standard(side: int) -> torch.Tensor:
    """float32 ``[1,3,side,side]``: normal noise, as a standardised picture."""
    return torch.from_numpy(numpy_stream(0, "standard").standard_normal((1, 3, side, side)).astype(np.float32))


def inception_checkpoint() -> Tensors:
    """The layout of ``pt_inception-2015-12-05``: convolutions with their batch norms, and the classifier."""
    from allaprima.models.pretrained._inception import Inception

    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    with torch.device("meta"):
        for name, value in Inception().named_parameters():
            layer, _, kind = name.rpartition(".")
            if kind == "weight":
                shapes[f"{layer}.conv.weight"] = tuple(value.shape)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{layer}.bn.{part}"] = (len(value),)
    return random_like(shapes)


def dinov2_checkpoint(depth: int = 2, width: int = 128, inner: int = 256, patch: int = 14, grid: int = 4) -> Tensors:
    """The layout of the Hugging Face hub's ``facebook/dinov2-…``."""
    layer = {
        **{f"norm{n}.{part}": (width,) for n in (1, 2) for part in ("weight", "bias")},
        **{f"layer_scale{n}.lambda1": (width,) for n in (1, 2)},
        **_linear("attention.attention.query", width, width),
        **_linear("attention.attention.key", width, width),
        **_linear("attention.attention.value", width, width),
        **_linear("attention.output.dense", width, width),
        **_linear("mlp.fc1", width, inner),
        **_linear("mlp.fc2", inner, width),
    }
    return random_like(
        {
            "embeddings.cls_token": (1, 1, width),
            "embeddings.mask_token": (1, width),
            "embeddings.position_embeddings": (1, 1 + grid**2, width),
            "embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
            "embeddings.patch_embeddings.projection.bias": (width,),
            **{f"encoder.layer.{n}.{name}": shape for n in range(depth) for name, shape in layer.items()},
            "layernorm.weight": (width,),
            "layernorm.bias": (width,),
        }
    )


def clip_checkpoint(
    depth: int = 2, width: int = 128, inner: int = 256, patch: int = 32, grid: int = 4, dim: int = 48
) -> Tensors:
    """The layout of the Hugging Face hub's ``openai/clip-vit-…``, with a little of its text tower."""
    layer = {
        **{f"layer_norm{n}.{part}": (width,) for n in (1, 2) for part in ("weight", "bias")},
        **{
            name: shape
            for part in ("q_proj", "k_proj", "v_proj", "out_proj")
            for name, shape in _linear(f"self_attn.{part}", width, width).items()
        },
        **_linear("mlp.fc1", width, inner),
        **_linear("mlp.fc2", inner, width),
    }
    norms = [
        f"vision_model.{name}.{part}" for name in ("pre_layrnorm", "post_layernorm") for part in ("weight", "bias")
    ]
    return random_like(
        {
            "logit_scale": (),
            "text_model.embeddings.token_embedding.weight": (10, 64),
            "vision_model.embeddings.class_embedding": (width,),
            "vision_model.embeddings.patch_embedding.weight": (width, 3, patch, patch),
            "vision_model.embeddings.position_embedding.weight": (1 + grid**2, width),
            **{f"vision_model.encoder.layers.{n}.{name}": shape for n in range(depth) for name, shape in layer.items()},
            **dict.fromkeys(norms, (width,)),
            "visual_projection.weight": (dim, width),
        }
    )


def _linear(name: str, width_in: int, width_out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}
