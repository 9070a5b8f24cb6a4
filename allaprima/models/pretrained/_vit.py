"""The vision transformer behind the ``dinov2`` and ``clip`` features, and the published checkpoints that fit it.

Dosovitskiy et al. 2021, "An image is worth 16×16 words", with what the two models add: DINOv2 scales each residual
branch (Touvron et al. 2021), CLIP normalises the tokens first and projects the result. All sizes are read off the
tensors; a head has 64 channels in every published model of both.

Use: ``net = build(from_clip(tensors), grid=7, epsilon=1e-5, quick=True)``.
"""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import nn

HEAD = 64
DINO_OFFSET = 0.1

Tensors = dict[str, torch.Tensor]


class QuickGELU(nn.Module):
    """x·σ(1.702 x), OpenAI's approximation of the GELU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class Layer(nn.Module):
    """Attention, then a perceptron, each on normalised tokens ``[N,T,width]`` and added to them."""

    def __init__(self, width: int, inner: int, epsilon: float, quick: bool, scaled: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=epsilon) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.act = QuickGELU() if quick else nn.GELU()
        self.scale1 = nn.Parameter(torch.ones(width)) if scaled else None
        self.scale2 = nn.Parameter(torch.ones(width)) if scaled else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, length, width = x.shape
        # [N,T,3·width] → three of [N,heads,T,64]
        q, k, v = self.qkv(self.norm1(x)).view(count, length, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        seen = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, length, width))
        x = x + (seen if self.scale1 is None else self.scale1 * seen)
        thought = self.fc2(self.act(self.fc1(self.norm2(x))))
        return x + (thought if self.scale2 is None else self.scale2 * thought)


class VisionTransformer(nn.Module):
    """float32 ``[N,3,grid·patch,grid·patch]`` → the class token, normalised and projected if there is a projection."""

    def __init__(self, tensors: Tensors, epsilon: float, quick: bool) -> None:
        super().__init__()
        width, _, patch, _ = tensors["patch.weight"].shape
        depth = 1 + max(int(key.split(".")[1]) for key in tensors if key.startswith("layers."))
        inner = len(tensors["layers.0.fc1.bias"])
        scaled = "layers.0.scale1" in tensors
        self.patch = nn.Conv2d(3, width, patch, patch, bias="patch.bias" in tensors)
        self.token = nn.Parameter(torch.empty(width))
        self.positions = nn.Parameter(torch.empty_like(tensors["positions"], device=self.token.device))
        self.first_norm = nn.LayerNorm(width, eps=epsilon) if "first_norm.weight" in tensors else nn.Identity()
        self.layers = nn.Sequential(*(Layer(width, inner, epsilon, quick, scaled) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.dim = width
        self.project: nn.Module = nn.Identity()
        if "project.weight" in tensors:
            self.dim = len(tensors["project.weight"])
            self.project = nn.Linear(width, self.dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.norm(self.layers(self._tokens(x))[:, 0]))

    def grids(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The patches' tokens after each quarter of the layers, as maps ``[N,width,grid,grid]``."""
        depth, found = len(self.layers), []
        wanted = [-(-depth * quarter // 4) for quarter in range(1, 5)]
        x, grid = self._tokens(x), x.shape[-1] // self.patch.stride[0]
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x)
            square = x[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))  # [N,grid²,width] → [N,width,grid,grid]
            found += [square] * wanted.count(number)
        return found

    def _tokens(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.patch(x).flatten(2).transpose(1, 2)  # [N,width,grid,grid] → [N,grid²,width]
        tokens = torch.cat([self.token.expand(len(x), 1, -1), patches], dim=1) + self.positions
        normalised: torch.Tensor = self.first_norm(tokens)
        return normalised


def build(tensors: Tensors, grid: int, epsilon: float, quick: bool) -> VisionTransformer:
    """The net that ``tensors`` belong to, seeing ``grid`` × ``grid`` patches. Its ``dim`` is the length of its vectors."""
    tensors = {**tensors, "positions": _positions(tensors["positions"], grid)}
    with torch.device("meta"):  # nothing is drawn that is then replaced
        net = VisionTransformer(tensors, epsilon, quick)
    net.load_state_dict(tensors, assign=True)
    return net


def _positions(learned: torch.Tensor, grid: int) -> torch.Tensor:
    """``[1+G²,width]`` → ``[1+grid²,width]``, as DINOv2 resamples them: bicubic, in steps of G/(grid + 0.1).

    The offset is a remedy of the authors' against rounding that moves every place; the published features have it.
    """
    width, known = learned.shape[1], round((len(learned) - 1) ** 0.5)
    if known == grid:
        return learned
    square = learned[1:].T.reshape(1, width, known, known)
    scale = (grid + DINO_OFFSET) / known
    found = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
    assert found.shape[-2:] == (grid, grid)
    return torch.cat([learned[:1], found.flatten(2)[0].T])


def from_dinov2(published: Tensors) -> Tensors:
    """A DINOv2 checkpoint, of its authors (``blocks.0.attn.qkv``) or of the Hugging Face hub (``encoder.layer.0``)."""
    if "pos_embed" in published:
        names = {
            r"cls_token": "token",
            r"pos_embed": "positions",
            r"patch_embed\.proj\.(\w+)": r"patch.\1",
            r"blocks\.(\d+)\.norm([12])\.(\w+)": r"layers.\1.norm\2.\3",
            r"blocks\.(\d+)\.attn\.qkv\.(\w+)": r"layers.\1.qkv.\2",
            r"blocks\.(\d+)\.attn\.proj\.(\w+)": r"layers.\1.out.\2",
            r"blocks\.(\d+)\.ls([12])\.gamma": r"layers.\1.scale\2",
            r"blocks\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"layers.\1.\2.\3",
            r"norm\.(\w+)": r"norm.\1",
        }
    else:
        names = {
            r"embeddings\.cls_token": "token",
            r"embeddings\.position_embeddings": "positions",
            r"embeddings\.patch_embeddings\.projection\.(\w+)": r"patch.\1",
            r"encoder\.layer\.(\d+)\.norm([12])\.(\w+)": r"layers.\1.norm\2.\3",
            r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(\w+)": r"layers.\1.\2.\3",
            r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)": r"layers.\1.out.\2",
            r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1": r"layers.\1.scale\2",
            r"encoder\.layer\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"layers.\1.\2.\3",
            r"layernorm\.(\w+)": r"norm.\1",
        }
    return _renamed(published, names, ("query", "key", "value"))


def from_clip(published: Tensors) -> Tensors:
    """The image tower of a CLIP checkpoint of the Hugging Face hub; its text tower is left out."""
    names = {
        r"vision_model\.embeddings\.class_embedding": "token",
        r"vision_model\.embeddings\.position_embedding\.weight": "positions",
        r"vision_model\.embeddings\.patch_embedding\.(\w+)": r"patch.\1",
        r"vision_model\.pre_layrnorm\.(\w+)": r"first_norm.\1",
        r"vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.(\w+)": r"layers.\1.norm\2.\3",
        r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv]_proj)\.(\w+)": r"layers.\1.\2.\3",
        r"vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)": r"layers.\1.out.\2",
        r"vision_model\.encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(\w+)": r"layers.\1.\2.\3",
        r"vision_model\.post_layernorm\.(\w+)": r"norm.\1",
        r"visual_projection\.weight": "project.weight",
    }
    return _renamed(published, names, ("q_proj", "k_proj", "v_proj"))


def _renamed(published: Tensors, names: dict[str, str], parts: tuple[str, str, str]) -> Tensors:
    """Our names for the tensors that have one; queries, keys and values joined; token and positions flat."""
    found: Tensors = {}
    for key, value in published.items():
        for pattern, replacement in names.items():
            if match := re.fullmatch(pattern, key):
                found[match.expand(replacement)] = value.float()
                break
    for key in [key for key in found if f".{parts[0]}." in key]:
        found[key.replace(parts[0], "qkv")] = torch.cat([found.pop(key.replace(parts[0], part)) for part in parts])
    found["token"] = found["token"].flatten()
    found["positions"] = found["positions"].flatten(0, -2)
    return found
