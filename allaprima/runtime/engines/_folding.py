"""Batch normalisation has nothing to do at painting time that the layer before it could not do in its weights."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def folded(net: nn.Module) -> nn.Module:
    """A copy in which each ``up`` of a stage, a transposed convolution, has taken its ``norm`` in. The same function."""
    copied = copy.deepcopy(net).eval()
    for stage in copied.modules():
        up, norm = getattr(stage, "up", None), getattr(stage, "norm", None)
        if isinstance(up, TRANSPOSED) and isinstance(norm, BATCH_NORMS):
            stage.up = fuse_conv_bn_eval(up, norm, transpose=True)
            stage.norm = nn.Identity()
    return copied
