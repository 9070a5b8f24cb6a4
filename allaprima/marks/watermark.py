"""A mark in the pixels themselves, for what takes files apart: it says one thing, that a machine made the picture.

A tile of noise in the middle frequencies is added to the brightness, over and over, more where the picture is busy and hides it
(JAWS: Kalker, Depovere, Haitsma, Maes 1999, "A video watermarking system for broadcast monitoring"). A reader lays all tiles of
a picture onto one another and correlates by phase, at every shift, so that a part that was cut out tells it too. It outlives
JPEG and cutting; not another size, not a turn, and not somebody who wants it gone: the tile is known to all. Small pictures have
too few pixels to hold it (``benchmarks/watermark.py`` says from where on).

Use: ``pixels = embedded(pixels)``; ``score(pixels) >= CERTAIN``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

TILE = 64
SMALLEST = 128  # px a side from which on it is found again in most pictures (benchmarks/watermark.py)
LOWEST, HIGHEST = 0.05, 0.30  # cycles a pixel: below it would be seen, above JPEG takes it away
STRENGTH = 0.8  # grey levels of 255 where nothing hides it
MOST = 3.0  # times that, where much does
HIDING = 0.15  # of the local contrast
RADIUS = 3  # px that a contrast is taken over
CERTAIN = 6.5  # standard deviations: among the 4,096 shifts of an unmarked picture once in some millions
LUMA = np.array([0.299, 0.587, 0.114])
SEED = 45438  # fixed for ever: a reader must know the tile


def embedded(pixels: np.ndarray) -> np.ndarray:
    """uint8 ``[H, W, C]``, C 1, 3 or 4 (the last opacity) → the same with the mark."""
    height, width, channels = pixels.shape
    colours = pixels[..., : 3 if channels == 4 else channels]
    bright = _brightness(pixels)
    strength = STRENGTH * np.clip(1 + HIDING * _contrast(bright), 1, MOST)
    rows, columns = -(-height // TILE), -(-width // TILE)
    added = strength * np.tile(_tile(), (rows, columns))[:height, :width]
    made = pixels.copy()
    made[..., : colours.shape[-1]] = np.clip(np.rint(colours + added[..., None]), 0, 255).astype(np.uint8)
    return made


def score(pixels: np.ndarray) -> float:
    """How far the best shift stands out of all, in standard deviations; ``CERTAIN`` and more: the mark is there."""
    bright = _brightness(pixels)
    fine = bright - _mean(bright, RADIUS)
    fine /= _contrast(bright) + 2
    padded = np.pad(fine, [(0, -side % TILE) for side in fine.shape])
    laid = padded.reshape(padded.shape[0] // TILE, TILE, padded.shape[1] // TILE, TILE).sum((0, 2))
    if not laid.any():
        return 0.0
    found = np.fft.fft2(laid)
    alike = np.fft.ifft2(found / (np.abs(found) + 1e-9) * np.conj(_spectrum())).real
    return float((alike.max() - alike.mean()) / (alike.std() + 1e-12))


def _brightness(pixels: np.ndarray) -> np.ndarray:
    values = pixels.astype(np.float64)
    return values[..., 0] if pixels.shape[-1] == 1 else values[..., :3] @ LUMA


def _contrast(bright: np.ndarray) -> np.ndarray:
    """The standard deviation around each pixel."""
    mean = _mean(bright, RADIUS)
    return np.sqrt(np.maximum(_mean(bright**2, RADIUS) - mean**2, 0))


def _mean(values: np.ndarray, radius: int) -> np.ndarray:
    """Over squares of 2 ``radius`` + 1 pixels to a side; borders are repeated."""
    side = 2 * radius + 1
    for axis in (0, 1):
        width = [(radius + 1, radius) if one == axis else (0, 0) for one in (0, 1)]
        sums = np.cumsum(np.pad(values, width, "edge"), axis)
        last, first = [slice(None)] * 2, [slice(None)] * 2
        last[axis], first[axis] = slice(side, None), slice(None, -side)
        values = (sums[tuple(last)] - sums[tuple(first)]) / side
    return values


@cache
def _spectrum() -> np.ndarray:
    """Of the tile: magnitude one within the band, phases from the seed."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE), indexing="ij"))
    noise = np.fft.fft2(np.random.Generator(np.random.PCG64(SEED)).standard_normal((TILE, TILE)))
    return np.where((frequency >= LOWEST) & (frequency <= HIGHEST), noise / np.abs(noise), 0)


@cache
def _tile() -> np.ndarray:
    tile = np.fft.ifft2(_spectrum()).real
    return tile / tile.std()
