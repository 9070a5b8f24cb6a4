"""A dual encoder: pictures and texts in one space, trained on real pairs alone; the judge of whether they belong together.

InfoNCE both ways (CLIP, Radford et al. 2021, figure 3) on a small convolutional net and a text's words, letters and neighbouring
words. No generator is trained against it, and it shares nothing with what a generator's own nets make of texts.

Use: ``dual = DualEncoder.trained_on(small, texts, device); dual.pictures(small) @ dual.texts(texts).T``.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from allaprima.core.device import Device
from allaprima.core.progress import progress
from allaprima.core.schedules import warm_cosine
from allaprima.core.seeds import derive, torch_stream
from allaprima.evaluation.features._net import to_device
from allaprima.evaluation.judge import Net, batches, num_images_for, samples_of, shifted
from allaprima.models.text_encoders.words import words_of

BUCKETS = 4096  # of hashed words
WIDTH = 128
BATCH_SIZE = 128
PEAK, WARM, WEIGHT_DECAY = 4e-3, 0.1, 0.05
TEMPERATURE = 0.07
AT_ONCE = 512


def bag(texts: Sequence[str]) -> torch.Tensor:
    """Words and pairs of neighbours, hashed and counted, at length 1: float32 ``[N, BUCKETS]`` (Weinberger et al. 2009)."""
    rows = torch.zeros(len(texts), BUCKETS)
    for row, text in zip(rows, texts, strict=True):
        words = words_of(text)
        for piece in [*words, *(" ".join(pair) for pair in itertools.pairwise(words))]:
            row[zlib.crc32(piece.encode()) % BUCKETS] += 1
    return F.normalize(rows, dim=1)


class DualEncoder:
    """Unit vectors of pictures and of texts; the nearer, the likelier a pair."""

    def __init__(self, picture: nn.Module, text: nn.Module, device: Device) -> None:
        self._picture, self._text, self._device = picture.eval(), text.eval(), device

    @classmethod
    def trained_on(cls, pictures: torch.Tensor, texts: Sequence[str], device: Device, seed: int = 0) -> DualEncoder:
        """From uint8 ``[N,C,h,w]`` and their texts. Shows progress."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "dual"))
            picture = to_device(Net(pictures.shape[1], max(pictures.shape[2:]), WIDTH, WIDTH), device)
            text = nn.Sequential(nn.Linear(BUCKETS, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH)).to(device.torch)
        parameters = [*picture.parameters(), *text.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=0.0, weight_decay=WEIGHT_DECAY)
        size = min(BATCH_SIZE, len(pictures))
        bags, total, seen = bag(texts), 2 * num_images_for(len(pictures)), 0
        with progress("learning which text belongs to which picture", total) as advance:
            for rows in batches(len(pictures), size, seed):
                for group in optimiser.param_groups:
                    group["lr"] = warm_cosine(PEAK, seen / total, WARM)
                x = shifted(samples_of(pictures[rows], device), torch_stream(seed, "dual-shifts", seen))
                with device.autocast():
                    one, other = picture(x), text(bags[rows].to(device.torch))
                loss = _contrast(one.float(), other.float(), bags[rows].to(device.torch))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                seen += size
                advance(size)
                if seen >= total:
                    break
        return cls(picture, text, device)

    @torch.no_grad()
    def pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """uint8 ``[N,C,h,w]`` → float32 ``[N, WIDTH]`` of length 1."""
        parts = [self._picture(samples_of(piece, self._device)).float().cpu() for piece in pictures.split(AT_ONCE)]
        return F.normalize(torch.cat(parts), dim=1)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """float32 ``[N, WIDTH]`` of length 1."""
        return F.normalize(self._text(bag(texts).to(self._device.torch)).float().cpu(), dim=1)


def _contrast(one: torch.Tensor, other: torch.Tensor, bags: torch.Tensor) -> torch.Tensor:
    logits = F.normalize(one, dim=1) @ F.normalize(other, dim=1).T / TEMPERATURE
    # pictures of the same text are no wrong answers for each other
    twins = (bags @ bags.T > 1 - 1e-6) & ~torch.eye(len(bags), dtype=torch.bool, device=bags.device)
    logits = logits.masked_fill(twins, -torch.inf)
    return -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean()) / 2
