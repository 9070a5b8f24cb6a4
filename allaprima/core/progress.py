"""Progress that is seen: a bar in a terminal, a line now and then in a log file.

Use: ``with progress("preparing", total=1000) as advance: advance(1)``.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress(title: str, total: int, unit: str = "pictures", done: int = 0) -> Iterator[Callable[..., None]]:
    """Yields ``advance(count, note="", total=None)``. ``total`` and ``done`` are counts of ``unit``; ``note`` stands at the end.

    A ``total`` given to ``advance`` replaces the first one.
    """
    if sys.stderr.isatty():
        with _bar(title, total, unit, done) as advance:
            yield advance
    else:
        with _lines(title, total, unit, done) as advance:
            yield advance


@contextlib.contextmanager
def _bar(title: str, total: int, unit: str, done: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(title, total=total, completed=done, unit=unit, rate="", note="")
        new = 0

        def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
            nonlocal new
            new += count
            rate = f"{new / max(time.monotonic() - start, 1e-9):,.0f}/s"
            bar.update(task, advance=count, total=total, rate=rate)
            if note:
                bar.update(task, note=note)

        yield advance


@contextlib.contextmanager
def _lines(title: str, total: int, unit: str, done: int) -> Iterator[Callable[..., None]]:
    start = last = time.monotonic()
    new, expected = 0, total

    def write(note: str) -> None:
        seconds = time.monotonic() - start
        rate = new / max(seconds, 1e-9)
        left = f", {(expected - done - new) / rate:,.0f} s left" if new and done + new < expected else ""
        text = f"{title}: {done + new:,}/{expected:,} {unit}, {rate:,.0f}/s{left}{'  ' + note if note else ''}"
        print(text, file=sys.stderr, flush=True)

    def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
        nonlocal new, last, expected
        new += count
        expected = total or expected
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            write(note)

    yield advance
    write("")
