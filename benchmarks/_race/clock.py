"""A stopwatch for wall time and processor time that can be stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator


class Clock:
    """Runs from its making. ``wall`` and ``processor`` tell seconds; another pair of functions serves the tests."""

    def __init__(
        self, wall: Callable[[], float] = time.monotonic, processor: Callable[[], float] = time.process_time
    ) -> None:
        self._wall, self._processor = wall, processor
        self._begun = (wall(), processor())

    def seconds(self) -> float:
        """Wall seconds that counted so far."""
        return self._wall() - self._begun[0]

    def processor_seconds(self) -> float:
        """Seconds of processor time in the same span: on a quiet machine about ``seconds`` × cores."""
        return self._processor() - self._begun[1]

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside does not count."""
        wall, processor = self._wall(), self._processor()
        try:
            yield
        finally:
            self._begun = (
                self._begun[0] + self._wall() - wall,
                self._begun[1] + self._processor() - processor,
            )
