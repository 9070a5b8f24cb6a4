"""Nearly the same picture: saved again, resized, cropped by a hair, a little brighter.

Candidates are pictures whose perceptual hashes differ in at most ``BITS`` of 64. If two hashes do, then one of their
four 16-bit quarters differs in one bit at most (else each quarter would differ in two: eight): so looking up 4 × 17
keys finds them all, without comparing every pair. Each candidate is then verified on small copies of the pictures
themselves, after brightness, contrast, shift and zoom have been fitted away, in the first order (Lucas, Kanade 1981).

The lines were drawn on real sets: sprites that differ in one limb or in colour, emoji, digits and trousers must stay.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np

from allaprima.data.checks import Limits, Prints

BITS = 7
QUARTERS = (0, 16, 32, 48)
FLIPS = np.array([0, *(1 << bit for bit in range(16))], np.uint16)
PAIRS = 1 << 19  # looked at together
VERIFIED = 1 << 12  # fitted together
GRID = 16  # cells a side of the copies that are compared
COARSE = 4  # cells a side of the blocks whose colour is compared

ALIKE = 0.25  # residual of the coarse grey copies, as a share of their contrast, that is worth a closer look
RESIDUAL = 0.08  # root mean square over the grid, as a share of the contrast
WORST = 0.3  # the worst cell, as a share of the contrast: one limb or one clock hand moves a cell or two
TINT = 2.5  # levels: a block whose colour, not only its brightness, differs by more is another picture
GAIN = (0.8, 1.25)
SHIFT = 32.0  # levels of mean brightness


def among(prints: Prints, limits: Limits) -> dict[int, tuple[int, str]]:
    """Place of a near repeat → (the place of the better picture, reason)."""
    if len(prints.places) < 2:
        return {}
    found: list[tuple[int, int]] = []
    # beside the pictures, where there was room for more than these, and which is no disk where they are to be encrypted
    stored = getattr(prints.stored, "filename", None)
    beside = None if stored is None else Path(stored).parent
    with tempfile.TemporaryFile(dir=beside) as file:
        copies = _Copies(prints, file)
        for i, j in candidates(prints.hashes):
            copies.make(i, j)
            found += copies.verified(*copies.alike(i, j))
    gone: dict[int, int] = {}
    for better, worse in sorted(found, key=lambda pair: (pair[1], pair[0])):
        if worse not in gone and better not in gone:
            gone[worse] = better
    return {
        int(prints.places[worse]): (int(prints.places[better]), "nearly the same picture as")
        for worse, better in gone.items()
    }


def candidates(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """uint64 ``[N]`` → arrays (i, j), i < j, of all pairs within ``BITS`` bits, each once."""
    for number, shift in enumerate(QUARTERS):
        quarter = _quarter(hashes, shift)
        order = np.argsort(quarter, kind="stable")
        ranked = quarter[order]
        for flip in FLIPS:
            low = np.searchsorted(ranked, quarter ^ flip, "left")
            counts = np.searchsorted(ranked, quarter ^ flip, "right") - low
            for i, j in _expand(order, low, counts):
                apart = hashes[i] ^ hashes[j]
                new = (i < j) & (np.bitwise_count(apart) <= BITS)
                for earlier in QUARTERS[:number]:  # found there already
                    new &= np.bitwise_count(_quarter(apart, earlier)) > 1
                if new.any():
                    yield i[new], j[new]


def _quarter(hashes: np.ndarray, shift: int) -> np.ndarray:
    return ((hashes >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.uint16)


def _expand(order: np.ndarray, low: np.ndarray, counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pairs (i, order[low[i] … low[i] + counts[i] - 1]), about ``PAIRS`` at a time."""
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(PAIRS, ends[-1] + PAIRS, PAIRS))
    for start, stop in pairwise(np.unique([0, *np.minimum(cuts + 1, len(order))])):
        some = counts[start:stop]
        i = np.repeat(np.arange(start, stop), some)
        within = np.arange(len(i)) - np.repeat(np.cumsum(some) - some, some)
        yield i, order[low[i] + within]


class _Copies:
    """Small copies of the pictures that somebody asks about, on white, and smaller grey ones of mean 0 and length 1.

    They live in ``file``, which the system pages in and out: a million pictures need no memory.
    """

    def __init__(self, prints: Prints, file: IO[bytes]) -> None:
        count, channels = len(prints.places), 3 if prints.stored.shape[3] >= 3 else 1
        self.prints = prints
        self.grids = np.memmap(file, np.uint8, "w+", shape=(count, GRID, GRID, channels))
        self.signatures = np.zeros((count, (GRID // 2) ** 2), np.float16)
        self.known = np.zeros(count, bool)
        self.down, self.across = (_areas(side) for side in prints.stored.shape[1:3])

    def make(self, *asked: np.ndarray) -> None:
        """Copies of those among ``asked`` that have none yet."""
        wanted = np.zeros(len(self.known), bool)
        for places in asked:
            wanted[places] = True
        missing = np.flatnonzero(wanted & ~self.known)
        for start in range(0, len(missing), 256):
            some = missing[start : start + 256]
            rows = self.prints.stored[self.prints.places[some]].astype(np.float32)
            if rows.shape[3] == 4:
                alpha = rows[..., 3:] / 255
                rows = rows[..., :3] * alpha + 255 * (1 - alpha)
            # [n, H, W, C] → [n, GRID, GRID, C]
            small = np.einsum("gh,nhwc,kw->ngkc", self.down, rows, self.across, optimize=True)
            self.grids[some] = small.round()
            half = GRID // 2
            coarse = small.mean(axis=3).reshape(len(some), half, 2, half, 2).mean(axis=(2, 4)).reshape(len(some), -1)
            coarse -= coarse.mean(axis=1, keepdims=True)
            self.signatures[some] = coarse / (np.linalg.norm(coarse, axis=1, keepdims=True) + 1e-3)
        self.known |= wanted

    def alike(self, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs whose correlation ρ leaves √(1 - ρ²) < ALIKE of the contrast unexplained."""
        rho = np.empty(len(i), np.float32)
        for start in range(0, len(i), VERIFIED):
            part = slice(start, start + VERIFIED)
            ours, others = self.signatures[i[part]].astype(np.float32), self.signatures[j[part]].astype(np.float32)
            rho[part] = np.einsum("nk,nk->n", ours, others)
        near = rho > (1 - ALIKE**2) ** 0.5
        return i[near], j[near]

    def verified(self, i: np.ndarray, j: np.ndarray) -> Iterator[tuple[int, int]]:
        """The pairs that are nearly equal on the grid."""
        for start in range(0, len(i), VERIFIED):
            some, others = i[start : start + VERIFIED], j[start : start + VERIFIED]
            same = nearly_equal(self.grids[some].astype(np.float32), self.grids[others].astype(np.float32))
            yield from zip(some[same].tolist(), others[same].tolist(), strict=True)


def _areas(length: int) -> np.ndarray:
    """``[GRID, length]``: the share of each pixel that lies in each cell; rows sum to 1."""
    edges = np.linspace(0, length, GRID + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    overlap = overlap.clip(0)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


def nearly_equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 ``[n, GRID, GRID, C]`` twice, in levels → bool ``[n]``."""
    # b ≈ gain·a + offset + shift·∇a + zoom·(position·∇a): six unknowns a pair, by least squares
    rise, run = np.gradient(a, axis=(1, 2))
    y, x = (np.mgrid[0:GRID, 0:GRID] / (GRID - 1) * 2 - 1)[..., None]
    terms = np.stack([a, np.ones_like(a), run, rise, run * x, rise * y], axis=-1).reshape(len(a), -1, 6)
    terms_t = terms.transpose(0, 2, 1)
    ridge = np.diag([1e-6, 1e-6, 2.5, 2.5, 2.5, 2.5])  # keeps shift and zoom small where they explain nothing
    solved = np.linalg.solve(terms_t @ terms + ridge, terms_t @ b.reshape(len(b), -1, 1))
    rest = b - (terms @ solved).reshape(b.shape)
    contrast = np.minimum(a.std(axis=(1, 2, 3)), b.std(axis=(1, 2, 3))) + 1e-3
    gain = solved[:, 0, 0]
    shift = abs(a.mean(axis=(1, 2, 3)) - b.mean(axis=(1, 2, 3)))
    tint = rest - rest.mean(axis=3, keepdims=True)
    side = GRID // COARSE
    tint = tint.reshape(len(a), COARSE, side, COARSE, side, -1).mean(axis=(2, 4))
    return (
        (np.sqrt((rest**2).mean(axis=(1, 2, 3))) < RESIDUAL * contrast)
        & (abs(rest).max(axis=(1, 2, 3)) < WORST * contrast)
        & (abs(tint).max(axis=(1, 2, 3)) < TINT)
        & (gain > GAIN[0])
        & (gain < GAIN[1])
        & (shift < SHIFT)
    )
