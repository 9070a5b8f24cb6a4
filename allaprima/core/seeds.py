"""Every random stream of the program, named. A stream is a function of (seed, name, index), never of what ran before.

So a run that is stopped and resumed draws exactly what an uninterrupted one draws, without saving any generator.

Use: ``torch.randn(4, 8, generator=torch_stream(seed, "latents", step))``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, name: str, *index: int) -> int:
    """A 63-bit seed for the stream ``name`` at ``index``; independent streams for different arguments."""
    text = f"{seed}/{name}/" + "/".join(str(int(i)) for i in index)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """A NumPy generator for the stream."""
    return np.random.Generator(np.random.Philox(derive(seed, name, *index)))


def torch_stream(seed: int, name: str, *index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for the stream, on ``device``."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, name, *index))
