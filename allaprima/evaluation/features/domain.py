"""Features of a small net trained on the dataset itself: the default, which needs no download.

It has seen the training split only. With labels it has learned to tell the classes apart and each picture from the
others; without, the latter alone. Distances on it compare runs on the same dataset, and nothing else: they are not FID
or KID, which are defined on another net.

Use: ``features = load_or_train(dataset, Device.choose()); features.extract(samples)``.
"""

from __future__ import annotations

import contextlib
import hashlib

import numpy as np
import torch

from allaprima.core.config import Config as BaseConfig
from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.seeds import derive, numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Weights, _cache, choose, chunks, refuse_file
from allaprima.evaluation.features._learning import learn
from allaprima.evaluation.features._net import Backbone, smaller, to_device
from allaprima.evaluation.small import small_pictures

VERSION = 1
NO_LIMIT = 1e9  # seconds
WHOLE = 0.95  # of the planned pictures: with fewer, the training was cut short


class Config(BaseConfig):
    """``size`` px is the longer side inside; ``num_images`` counts pictures seen (two views each)."""

    size: int = 64
    width: int = 32
    num_images: int = 20_000
    most_pictures: int = 16_384
    batch_size: int = 128
    seed: int = 0


class DomainFeatures:
    """See the module. No paper knows these features, so its figures have no published names."""

    published_names: dict[str, str] = {}
    published_note = ""
    slow = False

    def __init__(self, net: Backbone, name: str, size: int, device: Device) -> None:
        self.net = to_device(net, device).eval().requires_grad_(False)
        self.name = name
        self.dim = net.dim
        digest = hashlib.sha256()
        for tensor in self.net.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        self.identity = f"{name}, {digest.hexdigest()[:16]}"
        self._size = size
        self._device = device

    @torch.no_grad()
    def extract(self, samples: torch.Tensor) -> torch.Tensor:
        """float ``[N,C,H,W]`` in [-1, 1], of any size → float32 ``[N,dim]`` on the CPU."""
        parts = []
        for piece in chunks(len(samples), samples[0].numel() if len(samples) else 1):
            part = smaller(samples[piece.start : piece.stop].to(self._device.torch).float(), self._size)
            with self._device.autocast():
                parts.append(self.net(part.contiguous(memory_format=torch.channels_last)).float().cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.dim)


def load_or_train(
    dataset: Dataset, device: Device, seconds: float = NO_LIMIT, weights: Weights = Weights(), config: Config = Config()
) -> DomainFeatures:
    """The features kept with ``dataset``, or new ones, which are then kept there if that is possible.

    ``seconds`` bounds the training, for a run that has minutes only. What was cut short by it is kept apart, for the next
    such run: whoever asks without a bound never gets it. Another ``config``, such as ``Config(seed=1)``, gives another judge
    of the same pictures, kept beside the first. Raises UserError when there are fewer than 2 training pictures, and when
    ``weights`` names a file.
    """
    refuse_file("domain", weights)
    places = dataset.indices("train")
    if len(places) < 2:
        raise UserError(f"'{dataset.folder}' has {len(places)} training pictures", "prepare a set of at least 2")
    num_classes = _num_classes(dataset, places)
    name = f"domain: {num_classes} classes" if num_classes else "domain: self-supervised"
    key = {"version": VERSION, "settings": config.model_dump(), "dataset": dataset.manifest.fingerprint}
    short_key = {**key, "cut short": True}
    for wanted in [key, short_key] if seconds < NO_LIMIT else [key]:
        kept = _cache.read(_cache.folder_for(dataset.folder, "domain", wanted), wanted)
        net = _new_net(dataset, config)
        if kept is not None:
            # other tensors than ours under a matching hash: train again
            with contextlib.suppress(RuntimeError):
                net.load_state_dict(kept[1])
                return DomainFeatures(net, name, config.size, device)
    net = _new_net(dataset, config)
    seen = _train(net, dataset, places, bool(num_classes), device, seconds, config)
    own = key if seen >= WHOLE * config.num_images else short_key
    tensors = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    folder = _cache.folder_for(dataset.folder, "domain", own)
    _cache.write(folder, {**own, "name": name, "num_images_seen": seen}, tensors)
    return DomainFeatures(net, name, config.size, device)


def _num_classes(dataset: Dataset, places: np.ndarray) -> int:
    """How many classes the training pictures show; 0 unless there are two."""
    present = np.unique(np.asarray(dataset.labels[places]))
    present = present[present >= 0]
    return len(present) if len(present) >= 2 else 0


def _new_net(dataset: Dataset, config: Config) -> Backbone:
    shape = dataset.domain.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, "feature-net"))
        return Backbone(shape.channels, min(max(shape.spatial), config.size) > 32, config.width)


def _train(
    net: Backbone,
    dataset: Dataset,
    places: np.ndarray,
    labelled: bool,
    device: Device,
    seconds: float,
    config: Config,
) -> int:
    most = min(config.most_pictures, int(1e9 / np.prod(dataset.domain.shape.spatial)))  # reading 512 px takes its time
    places = choose(places, most, numpy_stream(config.seed, "feature-pictures"))
    pictures = small_pictures(dataset, places, config.size)
    labels = torch.from_numpy(np.asarray(dataset.labels[places]).astype(np.int64)) if labelled else None
    to_device(net, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, "feature-heads"))
        seen = learn(
            net,
            pictures,
            labels,
            device,
            num_images=config.num_images,
            batch_size=config.batch_size,
            seconds=seconds,
            seed=config.seed,
        )
    _standardise(net, pictures[:4096], device)
    return seen


@torch.no_grad()
def _standardise(net: Backbone, pictures: torch.Tensor, device: Device) -> None:
    raw = []
    for part in pictures.split(256):
        samples = part.to(device.torch).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        with device.autocast():
            raw.append(net.raw(samples).float())
    found = torch.cat(raw)
    net.mean.copy_(found.mean(0))
    # A direction that never varies would turn rounding into signal.
    std = found.std(0)
    net.std.copy_(std.clamp_min(1e-2 * float(std.mean()) + 1e-6))
