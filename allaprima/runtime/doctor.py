"""Measures every engine on one bundle, on this machine. Use: ``findings = examine(bundle); best(findings)``.

All are opened first and then take turns, a few frames each: what else the machine does in the meantime is shared among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.runtime.engine import CHECKED, TOLERANCE, difference_of, probe, reference
from allaprima.runtime.engines import ENGINES, Painter
from allaprima.runtime.memory import Choice

ROUNDS, FRAMES = 12, 10  # turns, and frames of a turn
SECONDS = 3.0  # of each painter's turns together; a slow one has fewer frames
TOGETHER = 8  # frames in one batch
WARM_UP = 3
WORTH = 0.95  # of PyTorch's time: another engine takes longer to open, and has to be worth it


@dataclass(frozen=True)
class Finding:
    """Milliseconds of a frame, seconds to open; ``together_ms`` of a frame among eight. ``problem``: why there are none.

    ``difference``: mean absolute, from the float32 reference, in [0, 1] of the value range.
    """

    engine: str
    painter: str = ""
    problem: str = ""
    open_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    together_ms: float = 0.0
    difference: float = 0.0

    @property
    def right(self) -> bool:
        return not self.problem and self.difference <= TOLERANCE


@dataclass
class _Candidate:
    engine: str
    painter: Painter
    open_s: float
    difference: float


def examine(bundle: Bundle, say: Callable[[str], None] = lambda _: None, skip: Collection[str] = ()) -> list[Finding]:
    """Every engine's painters, in the catalogue's order; one that cannot be opened has its problem in place of figures."""
    wanted = reference(bundle)
    candidates: list[_Candidate] = []
    refused: list[Finding] = []
    for name in ENGINES.names():
        if name in skip:
            continue
        say(f"opening {name}")
        try:
            candidates += _opened(bundle, name, wanted)
        except UserError as error:
            refused.append(Finding(name, problem=f"{error.problem}; {error.remedy}"))
        except Exception as error:  # a compiler or a driver may fail in its own ways; the others still can be measured
            refused.append(
                Finding(name, problem=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            )
    say("measuring")
    times = _take_turns(bundle, candidates)
    return [
        Finding(
            one.engine,
            one.painter.name,
            open_s=one.open_s,
            p50_ms=float(np.percentile(alone, 50)),
            p99_ms=float(np.percentile(alone, 99)),
            together_ms=float(np.median(together)),
            difference=one.difference,
        )
        for one, (alone, together) in zip(candidates, times, strict=True)
    ] + refused


def best(findings: list[Finding]) -> Choice | None:
    """The quickest that is right; PyTorch unless another is clearly quicker. None when none is right."""
    right = sorted((one for one in findings if one.right), key=lambda one: one.p50_ms)
    if not right:
        return None
    plain = next((one for one in right if one.engine == "torch"), right[0])
    chosen = right[0] if right[0].p50_ms < WORTH * plain.p50_ms else plain
    return Choice(engine=chosen.engine, painter=chosen.painter, frame_ms=round(chosen.p50_ms, 3))


def _opened(bundle: Bundle, name: str, wanted: np.ndarray) -> Iterator[_Candidate]:
    start = time.perf_counter()
    z, y = probe(bundle)
    for painter in ENGINES.get(name).painters(bundle):
        for _ in range(WARM_UP):
            painter(z[:1], y[:1])
        opened = time.perf_counter() - start
        yield _Candidate(name, painter, opened, difference_of(painter, bundle, wanted))
        start = time.perf_counter()


def _take_turns(bundle: Bundle, candidates: list[_Candidate]) -> list[tuple[list[float], list[float]]]:
    """For each, the milliseconds of its frames alone, and of its frames among ``TOGETHER``."""
    z, y = probe(bundle)
    taken: list[tuple[list[float], list[float]]] = [([], []) for _ in candidates]
    for _ in range(ROUNDS):
        for one, (alone, together) in zip(candidates, taken, strict=True):
            if sum(alone) > SECONDS * 1000:
                continue
            for i in range(FRAMES):
                row = slice(i % CHECKED, i % CHECKED + 1)
                alone.append(_ms(one.painter, z[row], y[row]))
            together.append(_ms(one.painter, z[:TOGETHER], y[:TOGETHER]) / TOGETHER)
    return taken


def _ms(painter: Painter, *given: object) -> float:
    start = time.perf_counter()
    painter(*given)  # type: ignore[arg-type]  # a latent and a condition
    return (time.perf_counter() - start) * 1000
