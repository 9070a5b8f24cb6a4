"""Sounds: any file → a mono waveform, any waveform → a small picture of what was heard.

The picture is a log-mel spectrogram of the second that matters, loudest = 1, 60 dB below = -1: how loud a recording is, and
how much quiet lies around a word, says nothing. It ends at 3.8 kHz, which every recording has, a telephone's too.

Use: ``heard = log_mel(decode("three.wav"), frames=64, bands=40)``.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allaprima.core.errors import UserError

RATE = 16_000  # Hz
LONGEST_SECONDS = 10.0  # of a file; the rest is not read
WINDOW, HOP = 512, 256  # samples: 32 and 16 ms
LOWEST, HIGHEST = 80.0, 3800.0  # Hz
RANGE_DB = 60.0
QUIET_DB = 35.0  # below the loudest moment: what lies before and behind it is cut off
MARGIN = 3  # frames that stay of it
SILENCE = 1e-3  # a waveform that never exceeds it is nothing but the recorder's noise
SOUNDS = "wav, flac, ogg or mp3"


def decode(source: str | Path | bytes) -> np.ndarray:
    """A file's path or its bytes (wav, flac, ogg, mp3) → float32 ``[T]`` in [-1, 1], mono, at ``RATE``.

    At most its first ``LONGEST_SECONDS``. Raises UserError for what is no sound, and where soundfile is not installed.
    """
    soundfile = _soundfile()
    name = "the sound" if isinstance(source, bytes) else f"'{source}'"
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            rate = file.samplerate
            read = file.read(int(LONGEST_SECONDS * rate), dtype="float32", always_2d=True)
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # soundfile's own errors are RuntimeErrors
        missing = not isinstance(source, bytes) and not Path(source).is_file()
        why = "does not exist" if missing else f"is no sound that can be read ({error})"
        raise UserError(f"{name} {why}", f"give a {SOUNDS} file") from None
    mono = np.nan_to_num(read.mean(axis=1), posinf=1.0, neginf=-1.0)
    if not len(mono):
        raise UserError(f"{name} is empty", "give a recording of a tenth of a second or more")
    return _resampled(mono, rate).clip(-1, 1).astype(np.float32)


def log_mel(waveform: np.ndarray | torch.Tensor, frames: int, bands: int) -> torch.Tensor:
    """float ``[T]`` at ``RATE``, T ≥ 0 → float32 ``[frames, bands]`` in [-1, 1]; a frame is 16 ms."""
    x = torch.as_tensor(np.asarray(waveform), dtype=torch.float32).nan_to_num(posinf=1.0, neginf=-1.0)
    x = x[: int(LONGEST_SECONDS * RATE)]
    if not len(x) or float(x.abs().max()) < SILENCE:
        return torch.full((frames, bands), -1.0)
    x = x / x.abs().max()
    # [T] → power spectrum [WINDOW/2 + 1, frames] → mel bands [frames, bands]
    padded = torch.nn.functional.pad(x, (WINDOW, WINDOW))
    power = (
        torch.stft(padded, WINDOW, HOP, window=torch.hann_window(WINDOW), center=False, return_complex=True)
        .abs()
        .square()
    )
    mel = (_filters(bands) @ power).T
    begin, end = _heard(mel.sum(1), frames)
    decibel = 10 * (mel[begin:end] / mel.max().clamp_min(1e-12)).clamp_min(1e-12).log10()
    picture = torch.full((frames, bands), -1.0)
    start = (frames - (end - begin)) // 2
    picture[start : start + end - begin] = decibel.clamp(-RANGE_DB, 0) / (RANGE_DB / 2) + 1
    return picture


def _heard(energy: torch.Tensor, most: int) -> tuple[int, int]:
    """From where to where there is something to hear; of more than ``most`` frames the loudest stretch."""
    loud = (energy >= energy.max() * 10 ** (-QUIET_DB / 10)).nonzero().flatten()
    begin, end = max(0, int(loud[0]) - MARGIN), min(len(energy), int(loud[-1]) + 1 + MARGIN)
    if end - begin <= most:
        return begin, end
    sums = energy[begin:end].double().unfold(0, most, 1).sum(1)
    begin += int(sums.argmax())
    return begin, begin + most


@lru_cache(maxsize=8)
def _filters(bands: int) -> torch.Tensor:
    """Triangles in mel, ``[bands, WINDOW/2 + 1]``, with m = 2595 log₁₀(1 + f/700) (O'Shaughnessy 1987)."""
    low, high = (2595 * math.log10(1 + frequency / 700) for frequency in (LOWEST, HIGHEST))
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    frequencies = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.minimum(rising, falling).clip(0)
    nearest = np.abs(frequencies - edges[1:-1, None]).argmin(1)
    weights[np.arange(bands), nearest] = np.maximum(
        weights[np.arange(bands), nearest], 1e-3
    )  # narrow ones are never empty
    return torch.from_numpy(weights).float()


def _resampled(waveform: np.ndarray, rate: int) -> np.ndarray:
    if rate == RATE:
        return waveform
    try:
        from scipy.signal import resample_poly
    except ImportError:
        raise _missing("scipy") from None
    common = math.gcd(RATE, rate)
    found: np.ndarray = resample_poly(waveform, RATE // common, rate // common)
    return found


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the package is there and its library is not
        raise _missing("soundfile") from None
    return soundfile


def _missing(package: str) -> UserError:
    return UserError(f"Sounds need {package}, which is not installed", "pip install 'allaprima[sound]'")
