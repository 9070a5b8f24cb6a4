"""The demonstration: the built-in set, a GAN, everything measured. ``allaprima demo``, 2 CPU cores, under 8 minutes.

What stands already is used again: a prepared set, a finished run, a report.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from allaprima.core.config import load
from allaprima.training.config import RunConfig

PICTURES = 6_000
SIZE = 64
MINUTES = 5.0
SAMPLES = 1_000


def config(minutes: float = MINUTES) -> RunConfig:
    """A GAN on ``studies`` at 64 px by class, for ``minutes`` of 2 cores."""
    return load(RunConfig, {"budget": {"minutes": minutes}})


def run(
    folder: Path, minutes: float = MINUTES, count: int = PICTURES, say: Callable[[str], None] = print
) -> Path | None:
    """Prepare, train, sample, evaluate under ``folder``; returns the run's folder, or None after a stop was asked for."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.core.device import Device
    from allaprima.data.prepare import PrepareConfig, prepare
    from allaprima.evaluation.evaluate import evaluate
    from allaprima.training import command
    from allaprima.training.publish import sample_grid, write_grid

    target, made = folder / "datasets" / "studies", folder / "runs" / "demo"
    say("1/4  the built-in pictures")
    dataset = prepare("studies", target, PrepareConfig(size=(SIZE, SIZE), count=count))
    say("2/4  training")
    outcome = command.train(str(target), made, str(SIZE), [f"budget={{minutes: {minutes}}}"], say)
    if outcome.ending in ("stopped", "before"):
        return None
    bundle = Bundle.load(made)
    say("3/4  samples")
    write_grid(sample_grid(bundle, dataset), made / "samples.png")
    say("4/4  measuring")
    report = made / "report" / "report.html"
    if outcome.ending != "standing" or not report.is_file():
        evaluate(made, dataset, bundle, Device.choose(), count=SAMPLES)
    say(f"\nsamples   {made / 'samples.png'}\nreport    {report}\ngenerator {made / 'bundle'}")
    return made
