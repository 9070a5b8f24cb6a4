"""A classifier of small pictures, trained from scratch in seconds: the judge of what samples show.

The judge of a dataset has seen its *training* pictures only. Where the metrics train a classifier on something else
(samples; as many real pictures), it is the same net with the same settings, which follow from the number of pictures.

Pictures of the source ``stacked`` hold a digit in each colour channel, and a class for each of the thousand numbers; as is
the custom (Metz et al. 2017, "Unrolled generative adversarial networks"; Lin et al. 2018, "PacGAN"), their channels are
judged one by one, by a classifier of ten digits.

Use: ``places = Judge.of(dataset, Device.choose()).classify(pictures)``, uint8 ``[N,C,h,w]`` → int64 ``[N]``.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from allaprima.core.config import Config as BaseConfig
from allaprima.core.device import Device
from allaprima.core.progress import progress
from allaprima.core.schedules import warm_cosine
from allaprima.core.seeds import derive, numpy_stream, torch_stream
from allaprima.data.dataset import Dataset
from allaprima.data.sources.stacked import digits_of
from allaprima.evaluation.features import _cache, choose
from allaprima.evaluation.features._net import Block, to_device
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.evaluation.small import SIDE, small_pictures

VERSION = 1
PICTURES_AT_ONCE = 512
FEWEST_OF_A_CLASS = 2
WARM = 0.15  # of the training
SECONDS = 600.0  # for a training of 10 to 30 s: only a machine that is very slow, or very busy, gets less of it
FEWEST_IMAGES = 4096  # below, the classifier is not worth having, however slow the machine


class Config(BaseConfig):
    """``width`` is that of the last layer; ``most_bytes`` bounds the training pictures that are held in memory."""

    width: int = 128
    peak: float = 8e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    batch_size: int = 64
    most_bytes: int = 120_000_000
    seed: int = 0


CONFIG = Config()


def num_images_for(count: int) -> int:
    """How many pictures a classifier of ``count`` different ones sees: 20 epochs of 1,000, 5 of 10,000, 3 of 60,000."""
    return min(20 * count, max(50_000, 3 * count))


class Net(nn.Module):
    """``[N,C,h,w]`` → logits ``[N,K]``. The longer ``side`` is halved until about 4 px are left; widths double.

    Halving at once, in the stem, costs little of the accuracy and most of the time.
    """

    def __init__(self, channels: int, side: int, num_classes: int, width: int) -> None:
        super().__init__()
        halvings = max(2, round(math.log2(side / 4)))
        widths = [max(16, width >> (halvings - 1 - place)) for place in range(halvings)]
        self.stem = nn.Conv2d(channels, widths[0], 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(*(Block(*pair) for pair in itertools.pairwise(widths)))
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.stem(x)))
        return self.head(self.blocks(x).mean((2, 3)))


class Classifier:
    """A trained ``Net``. ``num_images_seen`` is how many pictures its training saw."""

    def __init__(self, net: Net, device: Device, num_images_seen: int) -> None:
        self.net = to_device(net, device).eval().requires_grad_(False)
        self.num_images_seen = num_images_seen
        self._device = device

    @torch.no_grad()
    def predict(self, pictures: torch.Tensor) -> torch.Tensor:
        """uint8 ``[N,C,h,w]`` of the size trained on → probabilities float32 ``[N,K]`` on the CPU."""
        parts = []
        for piece in pictures.split(PICTURES_AT_ONCE):
            with self._device.autocast():
                logits = self.net(samples_of(piece, self._device))
            parts.append(logits.float().softmax(1).cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.net.head.out_features)


def train_classifier(
    pictures: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    device: Device,
    seed: int = 0,
    num_images: int | None = None,
    seconds: float = SECONDS,
    title: str = "learning the classes",
    config: Config = CONFIG,
) -> Classifier:
    """Train on ``pictures`` (uint8 ``[N,C,h,w]``, N ≥ 2, sides of 8 px or more) and ``labels`` (int64 ``[N]``, 0 to K - 1).

    Sees ``num_images`` (by default ``num_images_for(N)``), or as many as ``seconds`` allow: only a machine too slow for
    the plan deviates from what the seed determines. Shows progress.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "classifier"))
        net = to_device(Net(pictures.shape[1], max(pictures.shape[2:]), num_classes, config.width), device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=config.weight_decay)
    count = len(pictures)
    batch_size = min(config.batch_size, max(8, count // 16), count)
    planned = max(1, (num_images or num_images_for(count)) // batch_size) * batch_size
    total, seen, start = planned, 0, time.monotonic()
    with progress(title, total) as advance:
        for rows in batches(count, batch_size, seed):
            for group in optimiser.param_groups:
                group["lr"] = warm_cosine(config.peak, seen / total, WARM)
            samples = shifted(samples_of(pictures[rows], device), torch_stream(seed, "classifier-shifts", seen))
            with device.autocast():
                logits = net(samples)
            smoothing = config.label_smoothing
            loss = F.cross_entropy(logits.float(), labels[rows].to(device.torch), label_smoothing=smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            seen += batch_size
            if seen % (16 * batch_size) == 0:  # fast enough? if not, the schedule shrinks to what the time allows
                affordable = int(seen * seconds / (time.monotonic() - start))
                total = min(planned, max(affordable, FEWEST_IMAGES, seen))
            advance(batch_size, total=total)
            if seen >= total:
                break
    return Classifier(net, device, seen)


class Judge:
    """A classifier over the classes of a dataset.

    ``digits`` int64 ``[K,3]``: what each class shows in each channel, where pictures are stacks of digits; else None.
    ``num_pictures`` is how many different pictures it has learned from.
    """

    def __init__(self, classifier: Classifier, digits: torch.Tensor | None, num_pictures: int) -> None:
        self.classifier = classifier
        self.digits = digits
        self.num_pictures = num_pictures

    @classmethod
    def of(cls, dataset: Dataset, device: Device, count: int | None = None, seconds: float = SECONDS) -> Judge:
        """Trained on the training pictures, or on ``count`` drawn at random; kept with the dataset if possible.

        Raises NotMeasuredError where there are no two classes of ``FEWEST_OF_A_CLASS`` training pictures or more.
        """
        places = _places(dataset, count)
        labels = torch.from_numpy(np.asarray(dataset.labels[places]).astype(np.int64))
        _check_classes(dataset, labels, "training pictures")
        key = {
            "version": VERSION,
            "settings": CONFIG.model_dump(),
            "dataset": dataset.manifest.fingerprint,
            "pictures": len(places),
            "num_images": num_images_for(len(places)),
        }
        folder = _cache.folder_for(dataset.folder, "judge", key)
        kept = _cache.read(folder, key)
        if kept is not None:
            try:
                return cls._restored(dataset, device, kept[1], kept[0]["num_images_seen"], len(places))
            except (RuntimeError, KeyError):  # other tensors than ours under a matching hash: train again
                pass
        judge = cls.trained_on(dataset, small_pictures(dataset, places), labels, device, seconds)
        if not judge.cut_short:  # one bad moment of the machine shall not spoil all evaluations to come
            tensors = {name: value.detach().cpu() for name, value in judge.classifier.net.state_dict().items()}
            _cache.write(folder, {**key, "num_images_seen": judge.classifier.num_images_seen}, tensors)
        return judge

    @classmethod
    def trained_on(
        cls,
        dataset: Dataset,
        pictures: torch.Tensor,
        labels: torch.Tensor,
        device: Device,
        seconds: float = SECONDS,
        what: str = "training pictures",
    ) -> Judge:
        """The same classifier, trained on any ``pictures`` uint8 ``[N,C,h,w]`` with ``labels``, places in the classes.

        Raises NotMeasuredError as ``of`` does; ``what`` names the pictures there.
        """
        _check_classes(dataset, labels, what)
        digits, num_classes, count = _digits(dataset), len(dataset.classes), len(pictures)
        if digits is not None:
            num_classes, labels, pictures = 10, digits[labels].flatten(), _channels(pictures)
        title, num_images = f"learning the classes from {what}", num_images_for(count)
        classifier = train_classifier(pictures, labels, num_classes, device, CONFIG.seed, num_images, seconds, title)
        return cls(classifier, digits, count)

    @classmethod
    def _restored(
        cls, dataset: Dataset, device: Device, tensors: dict[str, torch.Tensor], seen: int, count: int
    ) -> Judge:
        digits, shape = _digits(dataset), dataset.domain.shape
        channels, num_classes = (shape.channels, len(dataset.classes)) if digits is None else (1, 10)
        net = Net(channels, min(max(shape.spatial), SIDE), num_classes, CONFIG.width)
        net.load_state_dict(tensors)
        return cls(Classifier(net, device, seen), digits, count)

    @property
    def cut_short(self) -> bool:
        """Whether its training ended before the plan did, for want of time."""
        return self.classifier.num_images_seen < 0.9 * num_images_for(self.num_pictures)

    @property
    def experience(self) -> str:
        """In words how many pictures it has learned from, and if that was cut short."""
        share = self.classifier.num_images_seen / num_images_for(self.num_pictures)
        return f"{self.num_pictures:,}" + (f" (only {share:.0%} of the planned training)" if self.cut_short else "")

    def predict(self, pictures: torch.Tensor) -> torch.Tensor:
        """uint8 ``[N,C,h,w]`` → probabilities of the dataset's classes, float32 ``[N,K]``; of stacks, up to a factor."""
        if self.digits is None:
            return self.classifier.predict(pictures)
        # [3N,1,h,w] → [3N,10] → [N,3,10] → product over channels [N,K]
        each = self.classifier.predict(_channels(pictures)).unflatten(0, (-1, 3))
        one, two, three = (each[:, place, self.digits[:, place]] for place in range(3))
        return one * two * three

    def classify(self, pictures: torch.Tensor) -> torch.Tensor:
        """The likeliest class of each: int64 ``[N]``, places in the dataset's classes."""
        parts = [self.predict(piece).argmax(1) for piece in pictures.split(PICTURES_AT_ONCE)]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _places(dataset: Dataset, count: int | None) -> np.ndarray:
    """Labelled training pictures: all that memory allows, or ``count`` of them."""
    return most_places(dataset, np.asarray(dataset.labels) >= 0, count)


def most_places(dataset: Dataset, usable: np.ndarray, count: int | None = None) -> np.ndarray:
    """Training pictures that are ``usable`` (bool ``[N]``): all that memory allows, or ``count`` of them."""
    train = dataset.indices("train")
    known = train[usable[train]]
    shape = dataset.domain.shape
    ratio = min(1.0, SIDE / max(shape.spatial))
    most = int(CONFIG.most_bytes / (shape.channels * np.prod(shape.spatial) * ratio**2))
    return choose(known, min(most, count or most), numpy_stream(CONFIG.seed, "classifier-pictures"))


def _check_classes(dataset: Dataset, labels: torch.Tensor, what: str) -> None:
    if not dataset.classes:
        raise NotMeasuredError(
            f"'{dataset.folder}' has no classes",
            "put the pictures into class subfolders and prepare them again; then train with --set condition=label",
        )
    enough = int((labels.bincount(minlength=1) >= FEWEST_OF_A_CLASS).sum())
    if enough < 2:
        raise NotMeasuredError(
            f"{'Only one' if enough else 'No'} class has at least {FEWEST_OF_A_CLASS} of the {what}, "
            "and telling classes apart takes two such classes",
            "prepare at least two class subfolders with several pictures each; if there are, take more with --count",
        )


def _digits(dataset: Dataset) -> torch.Tensor | None:
    """int64 ``[K,3]`` for stacks of digits in colour, None otherwise."""
    found = digits_of(dataset.manifest.options, dataset.classes) if dataset.domain.shape.channels >= 3 else None
    return None if found is None else torch.tensor(found)


def _channels(pictures: torch.Tensor) -> torch.Tensor:
    """``[N,3 or 4,h,w]`` → ``[3N,1,h,w]``: red, green and blue of the first picture, then of the second, …"""
    return pictures[:, :3].flatten(0, 1).unsqueeze(1)


def samples_of(pictures: torch.Tensor, device: Device) -> torch.Tensor:
    # uint8 [N,C,h,w] → float32 [N,C,h,w] in [-1,1], channels last
    return pictures.to(device.torch).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def batches(count: int, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """Places of the pictures of each step, without end: every epoch another order, its ragged end left out."""
    for epoch in itertools.count():
        order = torch.randperm(count, generator=torch_stream(seed, "classifier-order", epoch))
        yield from order.split(batch_size)[: count // batch_size]


def shifted(samples: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture moved by up to a 32nd of its side, its edge repeated; never mirrored: a mirrored digit is none."""
    count, _, height, width = samples.shape
    reach = max(1, round(max(height, width) / 32))
    padded = F.pad(samples, (reach,) * 4, mode="replicate").permute(0, 2, 3, 1)
    across, down = torch.randint(2 * reach + 1, (2, count, 1, 1), generator=generator)
    rows, columns = down + torch.arange(height)[None, :, None], across + torch.arange(width)[None, None, :]
    places = (torch.arange(count)[:, None, None], rows, columns)
    return padded[tuple(place.to(samples.device) for place in places)].permute(0, 3, 1, 2)  # [N,C,h,w], channels last
