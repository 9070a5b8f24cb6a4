"""What crosses from data to methods: a batch of samples with their conditions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Batch:
    """``samples`` float32 ``[N, C, *spatial]`` in [-1, 1]; ``conditions`` name → tensor ``[N, …]``; ``ids`` int64 ``[N]``.

    ``ids`` are the pictures' places in the prepared dataset.
    """

    samples: torch.Tensor
    ids: torch.Tensor
    conditions: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)
