"""How a search spends its minutes: how many trials, of how many images each, with which nets, on the machine as measured.

Every trial takes the same time: the images of each batch size follow from its measured speed, so that a batch that the
machine likes is rewarded as it is in a run with minutes. What the planner of runs leaves to the budget it chooses for a
trial's. The plan is made once and then kept: trials of different lengths or nets could not be compared. Two more runs follow
the trials, the best and the defaults again.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.data.dataset import Dataset
from allaprima.training import planner
from allaprima.training.config import RunConfig
from allaprima.training.run import Run
from allaprima.training.speed import Speedometer
from allaprima.training.tuning.trials import space_of

TICKS = 5  # judged moments of a trial
FEWEST_SAMPLES, MOST_SAMPLES = 512, 2048
JUDGED_SHARE = 0.15  # images painted to judge a trial, of those learned
AGAIN = 2  # runs after the trials
AGAIN_SECONDS = 8.0  # of each beside its steps: a run with minutes measures the machine first
TRIALS_PER_ROOT_MINUTE, FEWEST_TRIALS, MOST_TRIALS = 1.6, 5, 60
SHARE_OF_STEPS = 0.85  # of a trial's seconds; the rest paints, judges and saves
START_SECONDS = 1.0
FEWEST_BATCHES = 20  # a trial of fewer teaches nothing
BATCH = "training.batch_size"


@dataclass(frozen=True)
class Bounds:
    """What a person has said: ``minutes`` of the search, number of ``trials``, ``images`` of each; None: nothing."""

    minutes: float | None
    trials: int | None
    images: int | None


@dataclass(frozen=True)
class Plan:
    """``config`` as JSON leaves nothing open but the method's own ``auto``. ``images`` of a trial by batch size; ``speed``
    in images a second, None where the clock does not count.
    """

    config: dict[str, Any]
    trials: int
    images: dict[int, int]
    samples: int
    speed: float | None
    machine: str

    def to_json(self) -> dict[str, Any]:
        """What ``Plan.from_json`` rebuilds."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """The reverse; JSON has turned the batch sizes into words."""
        return cls(**{**values, "images": {int(batch): images for batch, images in values["images"].items()}})


def make_plan(config: RunConfig, dataset: Dataset, fixed: tuple[str, ...], bounds: Bounds, seconds_used: float) -> Plan:
    """Measure the machine where minutes count, of which ``seconds_used`` are gone; settings that are ``fixed`` stay.

    Raises UserError when the minutes are too few for a search.
    """
    device = Device.choose(config.training.precision, config.training.threads)
    pictures = len(dataset.indices("train"))
    measuring = (
        0.0 if bounds.minutes is None else min(planner.MOST_MEASURING, planner.MEASURING_SHARE * bounds.minutes * 60)
    )
    meter = Speedometer(Run(Path(), config, dataset), device, measuring)
    seconds = (
        math.inf if bounds.minutes is None else bounds.minutes * 60 - seconds_used - measuring - AGAIN * AGAIN_SECONDS
    )
    trials, speed = bounds.trials, None
    if bounds.images is not None:  # the same for all, for a person has said so
        chosen = planner.for_images(config, pictures, bounds.images).config
        images = dict.fromkeys(_batches(chosen, fixed), bounds.images)
        if bounds.minutes is not None:
            speed = _speed(meter, chosen)
            one = bounds.images / max(speed, 1e-9) / SHARE_OF_STEPS + START_SECONDS
            trials = min(trials or 10**6, int(seconds / one) - AGAIN)
    else:
        assert bounds.minutes is not None, "something bounds a search"
        trials = trials or round(TRIALS_PER_ROOT_MINUTE * math.sqrt(bounds.minutes))
        trials = bounds.trials or min(MOST_TRIALS, max(FEWEST_TRIALS, trials))
        each = max(0.0, (seconds / (trials + AGAIN) - START_SECONDS) * SHARE_OF_STEPS)
        flat = device.torch.type != "cpu"
        chosen = planner.for_minutes(config, pictures, each, meter.measure, meter.time_left, flat).config
        speeds = {size: _speed(meter, planner.with_batch(chosen, size)) for size in _batches(chosen, fixed)}
        speed = speeds[chosen.training.batch_size]
        # a batch that does not fit into memory has no speed, and is no choice
        images = {size: _round(each * rate) for size, rate in speeds.items() if rate or rate == speed}
    assert trials is not None, "something bounds a search"
    default = chosen.training.batch_size
    if trials < 2 or (images[default] < FEWEST_BATCHES * default and bounds.images is None):
        raise UserError(
            f"{bounds.minutes:g} minutes are too few for a search here: this machine learns {speed or 0:,.0f} images a second",
            "give more --minutes, or ask for fewer or shorter trials with --trials and --images",
        )
    settled = chosen.model_dump(mode="json")
    return Plan(settled, trials, images, samples_for(images[default]), speed, device.describe())


def _batches(config: RunConfig, fixed: tuple[str, ...]) -> list[int]:
    """Sizes that a trial may have."""
    span = space_of(config, fixed, 1.0)[0].get(BATCH)
    return [int(size) for size in getattr(span, "values", (config.training.batch_size,))]


def _speed(meter: Speedometer, config: RunConfig) -> float:
    """Images a second; 0 where the memory is too small."""
    found = meter.measure(config)
    return found.images_per_second if found else 0.0


def samples_for(images: int) -> int:
    """How many are painted at a tick: figures of fewer are noise, and the search would follow it."""
    return int(min(MOST_SAMPLES, max(FEWEST_SAMPLES, JUDGED_SHARE * images / TICKS)))


def epochs_of(dataset: Dataset, images: int) -> float:
    """How often a trial shows each training picture."""
    return images / max(1, len(dataset.indices("train")))


def _round(images: float) -> int:
    """Three digits that count: easier to read, and no less true."""
    if images < 1000:
        return max(0, int(images))
    scale = 10 ** (math.floor(math.log10(images)) - 2)
    return int(images // scale * scale)
