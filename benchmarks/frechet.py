"""How long does the Fréchet distance of two large sets of features take, and is it the library's?

Two sets of 10,000 × 2,048, about what Inception features look like: positive, and of a spectrum that falls off. Ours
against the formula of torchmetrics' ``FrechetInceptionDistance``, given the same means and covariances in float64; with
``--whole``, the two figures and their interval too, as an evaluation has them.

    python benchmarks/frechet.py [--pictures 10000] [--features 2048] [--whole]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.evaluation.metrics.frechet_distance import frechet_distance, on_sets


def features(count: int, dim: int, seed: int, mix: torch.Tensor) -> torch.Tensor:
    """float32 ``[count, dim]``: a random mixture of independent values, cut off at 0."""
    draw = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, dim + 1) ** -0.5
    return (torch.randn(count, dim, generator=draw) * spectrum @ mix + 0.4).relu()


def timed(call: Callable[[], object]) -> tuple[object, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def theirs(real: torch.Tensor, fake: torch.Tensor) -> float:
    from torchmetrics.image.fid import _compute_fid

    real, fake = real.double(), fake.double()
    return float(_compute_fid(real.mean(0), real.T.cov(), fake.mean(0), fake.T.cov()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000, help="in each set")
    parser.add_argument("--features", type=int, default=2048, help="of each picture")
    parser.add_argument("--whole", action="store_true", help="time the extrapolation and the interval too")
    asked = parser.parse_args()
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(asked.features, asked.features, generator=draw) / asked.features**0.5
    turned = mix + 0.1 * torch.randn(asked.features, asked.features, generator=draw) / asked.features**0.5
    real, fake = (features(asked.pictures, asked.features, 1, mix), features(asked.pictures, asked.features, 2, turned))
    value, seconds = timed(lambda: frechet_distance(real, fake))
    print(f"ours {value} in {seconds:.2f} s", flush=True)
    found: dict[str, object] = {"value": value, "seconds": round(seconds, 2)}
    if asked.whole:
        figures, whole = timed(
            lambda: [(figure.name, figure.value, figure.interval) for figure in on_sets(real, fake, 0)]
        )
        print(figures, f"in {whole:.2f} s", flush=True)
        found["whole_seconds"] = round(whole, 2)
    library, slow = timed(lambda: theirs(real, fake))
    assert isinstance(value, float)
    assert isinstance(library, float)
    print(f"torchmetrics {library} in {slow:.2f} s")
    found |= {"library_seconds": round(slow, 2), "relative_difference": abs(value / library - 1)}
    shape = {"threads": torch.get_num_threads(), "pictures": asked.pictures, "features": asked.features}
    print(json.dumps({"benchmark": "frechet", **shape, **found}))


if __name__ == "__main__":
    main()
