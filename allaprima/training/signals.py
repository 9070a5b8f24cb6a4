"""Ctrl-C and SIGTERM: finish the step, save, leave with exit code 0. A second one leaves at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StoppedEarlyError(Exception):
    """A stop was asked for at a moment that has nothing to save."""


class StopRequest:
    """A context: inside it, the first signal sets ``asked``; while ``can_wait`` is off it raises StoppedEarlyError instead."""

    def __init__(self) -> None:
        self.asked = False
        self.can_wait = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if not self.can_wait:
            raise StoppedEarlyError
