"""Batches of a prepared dataset, in an order that is a function of seed and step alone.

Every picture once an epoch, in a fresh order each epoch; a batch may straddle epochs, so its size never changes. A run
that resumes at step k asks for step k and gets what it would have got.

Use: ``Loader(dataset, "train", batch_size=64, seed=0).batch(step)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from allaprima.core.errors import UserError, suggest
from allaprima.core.seeds import numpy_stream
from allaprima.data.batch import Batch
from allaprima.data.conditions import Asked
from allaprima.data.dataset import Dataset
from allaprima.data.split import BY_NUMBER
from allaprima.models.conditions import CONDITIONS, parts_of

PREFETCH_BYTES = 1 << 20  # a smaller batch is gathered faster than it is handed between threads


class Loader:
    """The pictures of one split, without end.

    ``condition`` (a Config of ``models/conditions``) says what the batches' one condition is, by default ``label``, int64
    ``[N]``, where there are classes; ``drop`` how often it is left out (data.conditions). ``part`` (k, n) gives every n-th
    picture of each batch from the k-th on, for the k-th of n processes; n divides ``batch_size``. Raises UserError when the
    split is empty.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str = "train",
        batch_size: int = 64,
        seed: int = 0,
        device: torch.device | str = "cpu",
        condition: Any = None,
        drop: float = 0.0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        if split not in BY_NUMBER:
            raise UserError(f"Unknown split '{split}'", suggest(split, BY_NUMBER))
        self.dataset, self.split, self.batch_size, self.seed = dataset, split, batch_size, seed
        self.device, self.part = torch.device(device), part
        self._gather = _Gather(dataset, self.device, condition, drop, seed, part)
        self._places = dataset.indices(split)
        if not len(self._places):
            raise UserError(f"'{dataset.folder}' has no {split} pictures", _remedy(split))
        self._order = lru_cache(maxsize=2)(self._permutation)
        bytes_per_batch = batch_size // part[1] * int(np.prod(dataset.images.shape[1:]))
        # a GPU's queue is filled by this very thread: there even small batches are gathered beside it
        ahead = bytes_per_batch >= PREFETCH_BYTES or self.device.type == "cuda"
        self._ahead = ThreadPoolExecutor(1, "loader") if ahead else None
        # copies go beside the computation, not into its queue
        self._copies = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        self._next: tuple[int, Future[Batch]] | None = None

    @property
    def num_images(self) -> int:
        """Pictures of the split: one epoch."""
        return len(self._places)

    def batch(self, step: int) -> Batch:
        """The batch of ``step`` (0, 1, …), or this part of it: always the same number of pictures."""
        if self._ahead is None:
            return self._make(step)
        waiting, self._next = self._next, None
        ready = waiting[1].result() if waiting and waiting[0] == step else self._make(step)
        self._next = (step + 1, self._ahead.submit(self._make, step + 1))
        if self._copies is not None:
            for tensor in (ready.samples, ready.ids, *ready.conditions.values()):
                tensor.record_stream(torch.cuda.current_stream(self.device))  # its memory is not given away too soon
        return ready

    def ids(self, step: int) -> np.ndarray:
        """Places in the dataset of the pictures of ``step``: int64 ``[batch_size]``, or this part of them."""
        number, count = self.part
        seen = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)[number::count]
        epochs, within = np.divmod(seen, len(self._places))
        chosen = np.empty(len(seen), np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = self._order(int(epoch))[within[here]]
        return self._places[chosen]

    def close(self) -> None:
        """Stop the thread that reads ahead, if there is one."""
        if self._ahead is not None:
            self._ahead.shutdown(wait=True, cancel_futures=True)
            self._ahead, self._next = None, None

    def _make(self, step: int) -> Batch:
        if self._copies is None:
            return self._gather(self.ids(step), step)
        with torch.cuda.stream(self._copies):
            batch = self._gather(self.ids(step), step)
        self._copies.synchronize()  # this thread alone waits, one batch ahead
        return batch

    def _permutation(self, epoch: int) -> np.ndarray:
        return numpy_stream(self.seed, f"order/{self.split}", epoch).permutation(len(self._places))


def in_order(
    dataset: Dataset,
    split: str,
    batch_size: int,
    device: torch.device | str = "cpu",
    condition: Any = None,
    limit: int | None = None,
) -> Iterator[Batch]:
    """Every picture of a split once, in the order of the dataset; the last batch may be smaller."""
    places = dataset.indices(split)[:limit]
    gather = _Gather(dataset, torch.device(device), condition)
    for start in range(0, len(places), batch_size):
        yield gather(places[start : start + batch_size])


class _Gather:
    """Places → Batch on the device. What crosses to a GPU is uint8, a quarter of the floats it becomes there."""

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        condition: Any,
        drop: float = 0.0,
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        if condition is None and dataset.classes:
            condition = CONDITIONS.get("label").Config(classes=dataset.classes)
        asked = condition is not None and parts_of(condition)
        self._dataset, self._device = dataset, device
        self._asked = Asked(dataset, condition, drop, seed, part) if asked else None

    def __call__(self, places: np.ndarray, step: int | None = None) -> Batch:
        stored = torch.from_numpy(self._dataset.images[places])  # fancy indexing copies: the memory map stays read-only
        conditions = {}
        if self._asked is not None:
            conditions[self._asked.name] = self._to_device(self._asked.rows(places, step))
        samples = self._dataset.domain.to_tensor(self._to_device(stored))
        return Batch(samples.contiguous(), self._to_device(torch.from_numpy(places.copy())), conditions)

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)


def _remedy(split: str) -> str:
    return "prepare more pictures" if split == "train" else f"prepare it again with --{split} 0.1"
