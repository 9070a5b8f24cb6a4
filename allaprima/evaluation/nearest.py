"""The nearest training picture of each sample, in feature space and pixel by pixel, and how far off it is for its place.

Distances are larger where pictures are rare or rich in detail, whoever painted them. So each comes with that of the
crowd: the training pictures, which are in random order, are cut into up to 32 parts, and the crowd is as far off as the
median of the parts' nearest, which is about the 22nd nearest of all. A copy lies far nearer than the crowd (``ratio``
near 0); a blurred or plain picture does not: the measure of Carlini et al. 2023, "Extracting training data from
diffusion models", section 4.2, who take the mean of the 50 nearest.

Use: ``found = material.neighbours.features; found.fake.distance, found.fake_ratio``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

from allaprima.evaluation.small import shrink

MOST_PARTS = 32
FEWEST_IN_A_PART = 8
ROWS_AT_ONCE = 2048
COLUMNS_AT_ONCE = 2048
PIXEL_SIDE = 16
# A crowd much denser than is usual: pictures that are all but the same, such as blank ones. Nearness tells nothing there.
DENSE = 0.02


@dataclass(frozen=True)
class Nearest:
    """For each picture: ``distance`` to the nearest of the others, its ``place`` among them (int64), and the
    ``crowd``'s distance; all ``[N]``."""

    distance: torch.Tensor
    place: torch.Tensor
    crowd: torch.Tensor

    def ratio(self, usual: float) -> torch.Tensor:
        """Distance as a share of the crowd's, in [0, 1]: 0 is the same picture, near 1 is one among many alike.

        1 where the crowd is all but at no distance, which is ``usual`` for others: it tells nothing there.
        """
        return torch.where(self.crowd <= DENSE * usual, 1.0, self.distance / self.crowd.clamp_min(1e-12)).clamp_max(1.0)


@dataclass(frozen=True)
class Space:
    """The nearest training picture of each sample and of each held-out picture, by one kind of distance."""

    fake: Nearest
    real: Nearest

    @property
    def fake_ratio(self) -> torch.Tensor:
        """``[N]``, see ``Nearest.ratio``."""
        return self.fake.ratio(float(self.real.crowd.median()))

    @property
    def real_ratio(self) -> torch.Tensor:
        """``[N]``, see ``Nearest.ratio``."""
        return self.real.ratio(float(self.real.crowd.median()))


@dataclass(frozen=True)
class Neighbours:
    """Both kinds of distance: of features, and pixel by pixel."""

    features: Space
    pixels: Space

    @classmethod
    def of(
        cls,
        fake: torch.Tensor,
        real: torch.Tensor,
        train: torch.Tensor,
        fake_small: torch.Tensor,
        real_small: torch.Tensor,
        train_small: torch.Tensor,
    ) -> Neighbours:
        """From features ``[·,D]`` and pictures uint8 ``[·,C,h,w]``; those of training pictures in random order."""
        small = torch.cat([to_pixel_side(fake_small), to_pixel_side(real_small)])
        by_features = nearest(torch.cat([fake, real]), train)
        by_pixels = nearest_pixels(small, to_pixel_side(train_small))
        return cls(_split(by_features, len(fake)), _split(by_pixels, len(fake)))


def nearest(vectors: torch.Tensor, among: torch.Tensor) -> Nearest:
    """Of ``[N,D]``, each its Euclidean nearest among ``[M,D]``, which are in random order; N, M ≥ 1."""
    centre = among.mean(0)  # differences of large numbers would be rounded
    return _search(vectors, among, lambda part: (part.float() - centre, None))


def nearest_pixels(pictures: torch.Tensor, among: torch.Tensor) -> Nearest:
    """The same of small pictures, uint8 ``[N,C,h,w]`` and ``[M,C,h,w]``, each as it is and mirrored.

    The distance is the root mean square difference of a value, in units of 1/255.
    """

    def parts(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        # x = even + odd; mirrored, even − odd. A product with x or its mirror image is even·even' ± odd·odd'.
        whole = pictures.float().sub_(128).div_((pictures[0].numel() or 1) ** 0.5)
        half = (whole.shape[3] + 1) // 2
        turned = whole.flip(3)
        even, odd = ((whole + turned)[..., :half] / 2**0.5, (whole - turned)[..., :half] / 2**0.5)
        if whole.shape[3] % 2:
            even[..., -1] /= 2**0.5  # the middle column is its own mirror image
        return even.flatten(1), odd.flatten(1)

    return _search(pictures, among, parts)


def to_pixel_side(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 ``[N,C,H,W]`` → uint8 ``[N,C,h,w]``, longer side at most ``PIXEL_SIDE``."""
    if max(pictures.shape[-2:]) <= PIXEL_SIDE:
        return pictures
    return torch.cat([shrink(part.float().div(127.5).sub(1), PIXEL_SIDE) for part in pictures.split(ROWS_AT_ONCE)])


def _split(found: Nearest, count: int) -> Space:
    return Space(
        Nearest(found.distance[:count], found.place[:count], found.crowd[:count]),
        Nearest(found.distance[count:], found.place[count:], found.crowd[count:]),
    )


Parts = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]


def _search(vectors: torch.Tensor, among: torch.Tensor, parts: Parts) -> Nearest:
    """``parts`` gives what is compared of each: even and odd ``[n,d]``; the odd may have either sign, or be None."""
    count = len(vectors)
    best, place = torch.full((count,), torch.inf), torch.zeros(count, dtype=torch.int64)
    crowds = []
    bounds = _bounds(len(among))
    queries = [parts(rows) for rows in vectors.split(ROWS_AT_ONCE)]
    for start, stop in bounds:
        least = torch.full((count,), torch.inf)
        for first in range(start, stop, COLUMNS_AT_ONCE):
            even, odd = parts(among[first : min(first + COLUMNS_AT_ONCE, stop)])
            squares = even.square().sum(1) + (0 if odd is None else odd.square().sum(1))
            found = [_least(query, even, odd, squares) for query in queries]
            values, columns = torch.cat([v for v, _ in found]), torch.cat([c for _, c in found])
            place = torch.where(values < best, columns + first, place)
            best = torch.minimum(best, values)
            least = torch.minimum(least, values)
        crowds.append(least.clamp_min(0).sqrt())
    crowd = torch.stack(crowds).median(0).values
    exact = [_exact(query, parts(among[rows])) for query, rows in zip(queries, place.split(ROWS_AT_ONCE), strict=True)]
    return Nearest(torch.cat(exact), place, crowd)


def _bounds(count: int) -> list[tuple[int, int]]:
    """Where each part begins and ends."""
    num_parts = min(MOST_PARTS, max(1, count // FEWEST_IN_A_PART))
    ends = [count * part // num_parts for part in range(num_parts + 1)]
    return list(pairwise(ends))


def _least(
    query: tuple[torch.Tensor, torch.Tensor | None], even: torch.Tensor, odd: torch.Tensor | None, squares: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least squared distance of each row to the columns, rounded, and which column: ``[n]``, int64 ``[n]``."""
    own = query[0].square().sum(1)
    values = torch.addmm(squares, query[0], even.T, alpha=-2)
    if odd is not None and query[1] is not None:
        own = own + query[1].square().sum(1)
        values.sub_((query[1] @ odd.T).abs_(), alpha=2)
    least, columns = values.min(1)
    return least + own, columns


def _exact(
    one: tuple[torch.Tensor, torch.Tensor | None], other: tuple[torch.Tensor, torch.Tensor | None]
) -> torch.Tensor:
    """Distance of pairs ``[n]``, nothing lost by rounding: 0 for the same."""
    square = (one[0] - other[0]).square().sum(1)
    if one[1] is not None and other[1] is not None:
        odd = [(one[1] - sign * other[1]).square().sum(1) for sign in (1, -1)]
        square = square + torch.minimum(*odd)
    return square.sqrt()
