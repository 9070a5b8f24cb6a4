"""A step of training as one CUDA graph: recorded once, then played back, so that a GPU never waits for Python.

The nets are small: launched one by one, their thousands of kernels cost the processor several times what they cost the GPU.
What changes from step to step stands in scalars on the device, the dials, that the recording reads anew; a change that leads
Python another way (a phase that joins, augmentation that begins) is another ``course`` and has a recording of its own.

Use: ``recorder.run(course, batch, streams, step)``, which is ``step(batch)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import torch

from allaprima.core.errors import UserError
from allaprima.data.batch import Batch

WARM_UP_STEPS = 3  # run as they are: memory is laid out, the fastest convolutions are found
MOST_RECORDINGS = 2  # each holds the memory of a whole step

Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Recording:
    """A graph, where it reads its batch, and where it leaves its losses."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: Losses

    def play(self, batch: Batch) -> Losses:
        """The step for ``batch``."""
        pairs = [(self.batch.samples, batch.samples), (self.batch.ids, batch.ids)]
        pairs += [(kept, batch.conditions[name]) for name, kept in self.batch.conditions.items()]
        for kept, given in pairs:
            kept.copy_(given)
        self.graph.replay()
        return self.losses


class Recorder:
    """The recordings of one learner on ``device``."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)
        self._dials: dict[str, torch.Tensor] = {}
        self._recordings: dict[Hashable, Recording] = {}
        self._steps: Counter[Hashable] = Counter()

    def dial(self, name: str, value: float) -> torch.Tensor:
        """``value`` as a scalar on the device, the same tensor at every step."""
        if name not in self._dials:
            self._dials[name] = torch.zeros((), device=self.device)
        return self._dials[name].fill_(value)

    def forget(self) -> None:
        """What a step works on has been replaced, or is missing again: begin anew, with steps as they are."""
        self._recordings.clear()
        self._steps.clear()

    def run(
        self, course: Hashable, batch: Batch, streams: Iterable[torch.Generator], step: Callable[[Batch], Losses]
    ) -> Losses:
        """``step(batch)``; played back from its fourth time on.

        ``streams``: the generators that it draws from, seeded for this step. Raises UserError for a step that cannot be
        recorded.
        """
        if course not in self._recordings:
            self._steps[course] += 1
            if self._steps[course] <= WARM_UP_STEPS:
                return self._beside(lambda: step(batch))
            while len(self._recordings) >= MOST_RECORDINGS:
                self._recordings.pop(next(iter(self._recordings)))
            self._recordings[course] = self._record(batch, streams, step)
        return self._recordings[course].play(batch)

    def _beside(self, step: Callable[[], Losses]) -> Losses:
        """On the stream that will record: what the first steps set up is then bound to it."""
        here = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            losses = step()
        here.wait_stream(self._stream)
        return losses

    def _record(self, batch: Batch, streams: Iterable[torch.Generator], step: Callable[[Batch], Losses]) -> Recording:
        conditions = {name: values.clone() for name, values in batch.conditions.items()}
        kept = Batch(batch.samples.clone(), batch.ids.clone(), conditions)
        graph = torch.cuda.CUDAGraph()
        for stream in streams:
            graph.register_generator_state(stream)
        here = torch.cuda.current_stream(self.device)
        try:
            # the thread that reads ahead may go on meanwhile
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                losses = step(kept)
        except RuntimeError as error:
            cause = error.__context__ or error  # the end of a capture that failed may fail too
            if isinstance(cause, torch.OutOfMemoryError):
                raise cause from None
            raise UserError(
                f"A step of this method cannot be recorded as a CUDA graph: {str(cause).splitlines()[0]}",
                "add --set training.cuda_graphs=false",
            ) from error
        finally:
            torch.cuda.set_stream(here)
        return Recording(graph, kept, losses)
