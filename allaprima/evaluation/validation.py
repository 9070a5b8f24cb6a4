"""The figures that training watches, on the *validation* split. The test split is never touched.

Use: ``validator = Validator(dataset, device, features); validator.figures(samples)["kernel_distance"]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.seeds import numpy_stream
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import Features, choose, of_pictures
from allaprima.evaluation.metrics import NotMeasuredError
from allaprima.evaluation.metrics._autoencoder import encode
from allaprima.evaluation.metrics.frechet_distance import frechet_distance
from allaprima.evaluation.metrics.kernel_distance import mmd2
from allaprima.evaluation.metrics.likelihood import bits_per_dim, fit_variance, log_weights
from allaprima.evaluation.metrics.prdc import K, prdc
from allaprima.evaluation.metrics.reconstruction import psnr, reconstructed, unit

MOST_PICTURES = 1024
FEWEST_PICTURES = 2
NUM_ENCODED = 32
FEWEST_HALF, HALVINGS = 16, 24
Watched = Literal["kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage"]
BETTER: dict[Watched, Literal["lower", "higher"]] = {
    "kernel_distance": "lower",
    "frechet_distance": "lower",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
}


def spread(features: torch.Tensor) -> float:
    """The root of the total variance of vectors ``[N, F]``: √½ times their root mean squared distance from each other."""
    return float(features.var(0).sum().sqrt())


class Validator:
    """Figures of samples against the validation pictures, whose features are taken once.

    The kernel distance has no bias, so that it can be compared whatever the number of samples; the others move with it, and
    compare moments of one run only as long as that number stays the same. ``watch`` is the one that is given in any case.
    Raises UserError when there are fewer than ``FEWEST_PICTURES`` validation pictures.
    """

    def __init__(self, dataset: Dataset, device: Device, features: Features, watch: str = "kernel_distance") -> None:
        places = dataset.indices("validation")
        if len(places) < FEWEST_PICTURES:
            raise UserError(
                f"'{dataset.folder}' has {len(places)} validation picture{'s' * (len(places) != 1)}",
                "prepare it again with more pictures"
                if len(places)
                else "prepare it again with --validation 0.1 --force, to hold some out",
            )
        self.features, self.watch = features, watch
        self._dataset, self._device = dataset, device
        self._real = of_pictures(features, dataset, choose(places, MOST_PICTURES, numpy_stream(0, "validation")))

    def figures(self, samples: torch.Tensor) -> dict[str, float]:
        """``figures_of`` pictures that are all in memory: float ``[N,C,H,W]``, N ≥ 2."""
        return self.figures_of([samples])

    def figures_of(self, pieces: Iterable[torch.Tensor]) -> dict[str, float]:
        """Pieces of float ``[·,C,H,W]`` in [-1, 1], two pictures or more in all → figures by name, see ``BETTER``.

        ``diversity`` is the samples' spread as a share of the real pictures', where those have any. The Fréchet distance is
        left out where there are too few pictures for a covariance of full rank, unless it is the one to watch. Where a sample
        is not finite, that one is infinite and there are no others.
        """
        painted = torch.cat([self._seen(piece) for piece in pieces])
        if not painted.isfinite().all():
            return {self.watch: math.inf}
        fewest = min(len(self._real), len(painted))
        found = {"kernel_distance": mmd2(self._real, painted)}
        if (real := spread(self._real)) > 0:  # pictures that are all the same have no variety to lose
            found["diversity"] = spread(painted) / real
        if fewest > self.features.dim or self.watch == "frechet_distance":
            found["frechet_distance"] = float(frechet_distance(self._real, painted))
        scores = prdc(self._real, painted, min(K, fewest - 1))
        return found | {name: float(score.mean()) for name, score in scores.items()}

    def grain(self) -> float:
        """By how much the watched figure of one generator differs from set to set of as many validation pictures: a standard
        deviation, 0 where it is not known.

        Of the kernel distance, from halves of the pictures: its variance goes with 1/n, and halves differ on both sides.
        """
        count = len(self._real)
        if self.watch != "kernel_distance" or count < 2 * FEWEST_HALF:
            return 0.0
        draws = numpy_stream(0, "validation/halves")
        orders = [torch.from_numpy(draws.permutation(count)) for _ in range(HALVINGS)]
        found = [mmd2(self._real[order[: count // 2]], self._real[order[count // 2 :]]) for order in orders]
        return float(torch.tensor(found).std()) / 2

    def _seen(self, samples: torch.Tensor) -> torch.Tensor:
        """Features through uint8, as real pictures went; NaN where a sample is not finite, which uint8 would hide."""
        domain = self._dataset.domain
        found = self.features.extract(domain.to_tensor(domain.to_array(samples)))
        found[~samples.isfinite().flatten(1).all(1)] = math.nan
        return found

    def of_autoencoder(self, painter: Any) -> dict[str, float]:
        """``psnr_db`` and ``elbo_bits_per_dim`` of a few validation pictures, as the metrics have them, with one draw each.

        Empty for a generator without an encoder, and where no picture has a class.
        """
        if painter.encoder is None:
            return {}
        held_out, train = (
            choose(self._dataset.indices(split), NUM_ENCODED, numpy_stream(0, f"encoded/{split}"))
            for split in ("validation", "train")
        )
        try:
            pictures = encode(painter, self._dataset, held_out, NUM_ENCODED)
            variance = fit_variance(painter, encode(painter, self._dataset, train, NUM_ENCODED), seed=0)
        except NotMeasuredError:
            return {}
        nats = log_weights(painter, pictures, variance, draws=1, seed=0).mean(1)
        return {
            "psnr_db": float(psnr(reconstructed(painter, pictures), unit(pictures.samples)).mean()),
            "elbo_bits_per_dim": float(bits_per_dim(nats, pictures.samples[0].numel()).mean()),
        }
