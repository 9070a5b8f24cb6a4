"""What an outsider with the generator alone can do: paint many samples, and see whether one comes near a picture.

    score(x) = log d(x, nearest reference) − log d(x, nearest sample)

A generator that has learned a picture by heart paints near it: the Monte-Carlo attack (Hilprecht et al. 2019), with the
distance calibrated by how rare such a picture is anyway (GAN-Leaks, Chen et al. 2020, section 4.4). They calibrate with another
generator, which an auditor would first have to train; here real pictures stand in for its samples, ones that neither the
generator nor the features have learned from, so that a bias of either cancels. They are fewer than samples: a constant, which
changes no order.

Use: ``scores = VIEWS["pixels"](pictures, samples, references)``, float32 ``[N]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from allaprima.core.progress import progress
from allaprima.core.seeds import torch_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.asking import asked_at, is_asked_by_picture
from allaprima.evaluation.features import Features, chunks
from allaprima.evaluation.material import Painter
from allaprima.evaluation.nearest import nearest, nearest_pixels
from allaprima.privacy.membership import COIN, NOTHING_SEEN, POSITIVE, Told, tell_apart
from allaprima.privacy.sides import Seen, see

COPIED, COPIES_EACH = 50, 20
MOST_NEW = 4_000  # pictures of the innocent generator
NOISE = 0.05  # of values in [-1, 1]
LEAST = 1e-3  # of the usual distance: nearer counts as the same, and has a logarithm


@dataclass(frozen=True)
class Controls:
    """The attack where the answer is known. ``positive``: a generator that copies; ``negative``: random halves of others, as
    if one were members; ``innocent``: a perfect generator that has learned no member: it paints training pictures that are none,
    or, where these are few, held-out ones. It shows what the attack sees because the splits differ in kind.
    """

    positive: Told
    negative: Told
    innocent: Told

    @property
    def works(self) -> bool:
        """Whether the attack finds what there is to find."""
        return self.positive.auc >= POSITIVE

    @property
    def biased(self) -> bool:
        """Whether it sees what is not there, by more than chance and by enough to matter."""
        most = NOTHING_SEEN - COIN
        controls = (self.negative, self.innocent)
        return any(told.auc_interval[0] > COIN + most or told.auc_interval[1] < COIN - most for told in controls)


def _by(distance: Callable[[Seen, Seen], torch.Tensor]) -> Callable[[Seen, Seen, Seen], torch.Tensor]:
    def score(pictures: Seen, samples: Seen, references: Seen) -> torch.Tensor:
        usual = distance(pictures, references)
        least = LEAST * float(usual.median()) + 1e-12
        return usual.clamp_min(least).log() - distance(pictures, samples).clamp_min(least).log()

    return score


VIEWS = {
    "features": _by(lambda these, those: nearest(these.features, those.features).distance),
    "pixels": _by(lambda these, those: nearest_pixels(these.small, those.small).distance),
}


def painted(painter: Painter, dataset: Dataset, features: Features, count: int, seed: int, places: np.ndarray) -> Seen:
    """``count`` samples. A painter that follows texts or sounds is asked for those of the pictures at ``places`` in turn:
    of members and others alike, or the asking would tell them apart.
    """
    size = len(chunks(count, painter.domain.shape.channels * int(np.prod(painter.domain.shape.spatial)))[0])
    wishes: dict[str, Any] = {}
    if is_asked_by_picture(painter):
        wishes = {"asked": asked_at(painter, dataset, np.resize(places, count))}
    parts = []
    with progress("painting", count) as advance:
        for array, _ in painter.stream(count, seed, batch_size=size, **wishes):
            parts.append(see(painter.domain.to_tensor(array), features))
            advance(len(array))
    return Seen.joined(parts)


def copies(dataset: Dataset, places: np.ndarray, features: Features, seed: int) -> Seen:
    """What a generator that has learned ``COPIED`` pictures by heart paints: each shifted by a pixel at most, with noise."""

    def parts() -> Iterator[Seen]:
        random = torch_stream(seed, "audit/copies")
        samples = dataset.domain.to_tensor(dataset.images[places[:COPIED]])
        for _ in range(COPIES_EACH):
            down, right = torch.randint(-1, 2, (2,), generator=random).tolist()
            noisy = samples.roll((down, right), (-2, -1)) + NOISE * torch.randn(samples.shape, generator=random)
            # through uint8, as samples go
            yield see(dataset.domain.to_tensor(dataset.domain.to_array(noisy.clamp(-1, 1))), features)

    return Seen.joined(list(parts()))


def control(
    view: str, members: Seen, others: Seen, references: Seen, samples: Seen, copied: Seen, rest: Seen, seed: int
) -> Controls:
    """``copied``: of the first ``COPIED`` members; ``rest``: training pictures that are no members; all in random order."""
    score, half, known = VIEWS[view], len(others) // 2, len(references) // 2
    scores = score(others, samples, references)
    positive = [score(part, copied, references) for part in (members[:COPIED], others)]
    new, kept = (rest[:MOST_NEW], references) if len(rest) >= known else (references[:known], references[known:])
    innocent = [score(part, new, kept) for part in (members, others)]
    return Controls(
        tell_apart(positive[0], positive[1], seed, f"{view}/positive"),
        tell_apart(scores[:half], scores[half:], seed, f"{view}/negative"),
        tell_apart(innocent[0], innocent[1], seed, f"{view}/innocent"),
    )
