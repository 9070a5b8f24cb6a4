"""Several processes that learn as one: each takes a part of every batch, and gradients and running statistics are averaged.

    torchrun --nproc-per-node 2 -m allaprima train DATASET RUN --minutes 30

The batch stays what the settings say, whatever the number of processes: order, augmentation and noise are those of the whole
batch (see ``parts``), so the same images give the same figures to rounding. What is taken over a batch sees less: the best σ
of a VAE, and on CPUs the statistics of batch normalisation (on CUDA, SyncBatchNorm makes them those of the whole batch). One
process leads: it judges, writes and speaks; the others follow its decisions. A run can be gone on with by another number of
processes.

One GPU a process with NCCL, or CPU processes with Gloo.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as dist
from torch import nn

from allaprima.core.errors import UserError
from allaprima.training.parts import WHOLE, Part

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the leading process may train its judge, or look at a large set, while the others wait


@dataclass(frozen=True)
class Group:
    """The processes of one run; this one is ``part.number`` of ``part.count``. What it does is nothing for one alone."""

    part: Part = WHOLE

    @property
    def leads(self) -> bool:
        """Whether this process judges, writes and speaks."""
        return self.part.number == 0

    @property
    def alone(self) -> bool:
        return self.part.count == 1

    def mean_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Every tensor (of one floating type and device) becomes its mean over the processes: one exchange for all."""
        if self.alone or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._others_there():
            dist.all_reduce(flat)
        pieces = (flat / self.part.count).split([tensor.numel() for tensor in tensors])
        torch._foreach_copy_(list(tensors), [p.view(t.shape) for p, t in zip(pieces, tensors, strict=True)])

    def agree(self, flag: bool) -> bool:
        """Whether any process says so. All must ask."""
        if self.alone:
            return flag
        said = torch.tensor([int(flag)])
        with self._others_there():
            dist.all_reduce(said, op=dist.ReduceOp.MAX)
        return bool(said.item())

    def same(self, value: T) -> T:
        """The leading process's ``value``, for all of them. All must ask."""
        if self.alone:
            return value
        box = [value]
        with self._others_there():
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leading process does what stands inside before the others do."""
        if not self.leads:
            self.same(None)
        yield
        if self.leads:
            self.same(None)

    @contextlib.contextmanager
    def _others_there(self) -> Iterator[None]:
        """A process that ends for a reason of its own says it; the others then end too, and have nothing to add."""
        try:
            yield
        except RuntimeError as error:
            if self.leads:
                raise UserError(
                    "Another process of this run has ended", "look above for its reason; the same command goes on"
                ) from error
            raise SystemExit(2) from error

    def share_statistics(self, net: nn.Module) -> None:
        """Batch normalisation inside ``net`` becomes one over the whole batch, where that can be had."""
        if not self.alone and next(net.parameters()).device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(net)  # replaces what lies inside, in place


ALONE = Group()


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """The processes that ``torchrun`` has started, or this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size < 2 or "RANK" not in os.environ:
        yield ALONE
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if dist.is_initialized():  # a caller's own group
        yield Group(Part(dist.get_rank(), dist.get_world_size()))
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Group(Part(dist.get_rank(), dist.get_world_size()))
    finally:
        dist.destroy_process_group()
