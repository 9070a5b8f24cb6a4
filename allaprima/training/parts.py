"""A batch in parts: on several processes, or one after another where memory is short, with the draws of the whole batch.

Part ``i`` of ``k`` holds the samples i, i + k, i + 2k, … So the first quarter of each part is the first quarter of the
batch, whatever the quarter is used for; and a draw of m numbers in a part is every k-th of a draw of k m numbers. What
is computed sample by sample is therefore the same whether a batch is learned at once or in parts.

Use: ``with part.draws(): losses = method.step(phase, part.of(batch), moment)``.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from allaprima.data.batch import Batch

SHAPED = (torch.rand, torch.randn, torch.randint)


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count``."""

    number: int = 0
    count: int = 1

    def of(self, batch: Batch) -> Batch:
        """Every ``count``-th sample of ``batch`` from ``number`` on; the batch itself where it is one part."""
        if self.count == 1:
            return batch
        own = slice(self.number, None, self.count)
        conditions = {name: values[own] for name, values in batch.conditions.items()}
        return Batch(batch.samples[own], batch.ids[own], conditions)

    def within(self, other: Part) -> Part:
        """This part of ``other``, as a part of what ``other`` is a part of."""
        return Part(other.number + self.number * other.count, self.count * other.count)

    def draws(self) -> contextlib.AbstractContextManager[Any]:
        """Inside it, what is drawn from a generator is this part of what the whole batch would draw."""
        return contextlib.nullcontext() if self.count == 1 else _Draws(self)


WHOLE = Part()


class _Draws(TorchFunctionMode):
    """Catches ``torch.rand``, ``randn`` and ``randint`` with a generator: their first dimension counts samples.

    A single number (shape ``()``) is the same for all parts. Other ways to draw raise TypeError: their part is not known.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func not in SHAPED:
            raise TypeError(
                f"{func} draws from a generator in a way that a part of a batch cannot follow: use torch.rand"
            )
        size = _size(func, args, kwargs)
        if not size:
            return func(*args, **kwargs)
        bounds = args if "size" in kwargs else args[:-1] if func is torch.randint else ()
        kwargs = {**kwargs, "size": (size[0] * self.part.count, *size[1:])}
        return func(*bounds, **kwargs)[self.part.number :: self.part.count].contiguous()


def _size(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """The shape that is asked for: by name, as ``randint``'s last argument, as one tuple or as numbers."""
    if "size" in kwargs:
        return tuple(kwargs["size"])
    if func is torch.randint or (len(args) == 1 and not isinstance(args[0], int)):
        return tuple(args[-1])
    return args
