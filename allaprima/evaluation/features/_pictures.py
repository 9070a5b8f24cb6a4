"""How a published net is shown a picture: as 8-bit RGB, resized as its paper did. And the features that come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset

NET_BATCH = 32  # of 299 px: some 600 MB inside the net


class NetFeatures:
    """What ``net`` (float32 ``[N,3,h,w]`` → ``[N,dim]``) gives for pictures that ``look`` has made its input.

    ``look`` takes float32 ``[N,3,H,W]`` of whole numbers in 0..255. All is computed in full float32, as the published
    figures are: bfloat16 and TF32 would shift them.
    """

    slow = True

    def __init__(
        self,
        name: str,
        net: nn.Module,
        look: Callable[[torch.Tensor], torch.Tensor],
        dim: int,
        device: Device,
        published_names: dict[str, str],
        published_note: str,
    ) -> None:
        self.name = self.identity = name  # the name stands for one file: its hash was checked
        self.dim = dim
        self.published_names = published_names
        self.published_note = published_note
        self.net = net.to(device.torch).eval().requires_grad_(False)
        self._look = look
        self._device = device.torch
        # Apple's MPS lacks the antialiased bicubic resize.
        self._looks_on = torch.device("cpu") if device.torch.type == "mps" else device.torch

    @torch.no_grad()
    def extract(self, samples: torch.Tensor) -> torch.Tensor:
        """float ``[N,C,H,W]`` in [-1, 1], C 1, 3 or 4, of any size → float32 ``[N,dim]`` on the CPU."""
        found = torch.empty(len(samples), self.dim)
        with _full_precision():
            for start in range(0, len(samples), NET_BATCH):
                seen = self._look(to_rgb(samples[start : start + NET_BATCH].to(self._looks_on)))
                found[start : start + NET_BATCH] = self.net(seen.to(self._device)).cpu()
        return found


def refuse_other_pictures(feature: str, dataset: Dataset) -> None:
    """Raises UserError unless the dataset's samples are pictures of 1, 3 or 4 channels."""
    shape = dataset.domain.shape
    if len(shape.spatial) != 2 or shape.channels not in (1, 3, 4):
        raise UserError(
            f"'{feature}' features see grey, RGB and RGBA pictures, not {shape.channels} channels of "
            f"{' × '.join(map(str, shape.spatial))}",
            "choose --features domain, which is trained on the dataset itself",
        )


def to_rgb(samples: torch.Tensor) -> torch.Tensor:
    """``[N,1|3|4,H,W]`` in [-1, 1], premultiplied if RGBA → float32 ``[N,3,H,W]``, whole numbers in 0..255.

    Grey is repeated; what is transparent shows white paper, as when ``from_picture`` flattens a picture.
    """
    unit = samples.float().add(1).div(2)
    if unit.shape[1] == 4:
        unit = unit[:, :3] + 1 - unit[:, 3:]
    return unit.clamp(0, 1).mul(255).round().expand(-1, 3, -1, -1)


def bicubic(rgb: torch.Tensor, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """0..255 ``[N,3,H,W]`` → ``[N,3,size,size]``: Pillow's bicubic resize, then in units of ``std`` about ``mean``.

    Both sides become ``size`` without cropping. As in Pillow, rows come before columns and each pass
    ends in 8 bits. (Pillow 13 takes columns first where a tall picture becomes lower but wider.)
    """
    for shape in ((rgb.shape[2], size), (size, size)):
        rgb = F.interpolate(rgb, shape, mode="bicubic", antialias=True).round().clamp(0, 255)
    return (rgb / 255 - rgb.new_tensor(mean).view(1, -1, 1, 1)) / rgb.new_tensor(std).view(1, -1, 1, 1)


def bilinear_2015(rgb: torch.Tensor, size: int) -> torch.Tensor:
    """``[N,3,H,W]`` → ``[N,3,size,size]`` as TensorFlow 1 resized: pixel i of the result lies at i·H/size of the picture.

    Pixels are thus points at their upper left corners, and shrinking takes no mean. FID is defined with it; the
    half-pixel centres of later libraries give other figures.
    """
    for axis in (2, 3):
        length = rgb.shape[axis]
        place = torch.arange(size, device=rgb.device, dtype=torch.float32) * (length / size)
        low = place.floor().long().clamp(max=length - 1)
        high = (low + 1).clamp(max=length - 1)
        share = (place - low).view(-1, 1) if axis == 2 else place - low
        first, second = rgb.index_select(axis, low), rgb.index_select(axis, high)
        rgb = first + (second - first) * share
    return rgb


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """No TF32 on a GPU while it lasts."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
