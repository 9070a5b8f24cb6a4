"""What a budget buys: widths, batch, warm-up, looks and checkpoints that nobody has chosen are chosen here, once, and kept.

For minutes, a few candidates are measured on this machine and compared by the method's scaling (``core.scaling``). For
images, the choice is a function of the images and the pictures alone: the same run everywhere, whatever the clock says.

Use: ``found = for_minutes(config, pictures=53_941, seconds=550, measure=..., time_left=...)``; ``found.config`` leaves
nothing open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from allaprima.core.config import Plannable
from allaprima.core.scaling import Scaling
from allaprima.training.allowance import FEWEST_SAMPLES, SHARE
from allaprima.training.config import RunConfig, TrainingConfig

MEASURING_SHARE, MOST_MEASURING = 0.03, 15.0  # of a budget; seconds
BATCHES = (32, 64, 128, 256, 512)
GAIN = 1.5  # a batch of twice the size is worth it where it shows the nets this many times the images
FEWEST_STEPS = 20_000  # and leaves this many steps
SMALLEST_BATCH = 8
WARM_UP_SHARE, MOST_WARM_UP = 0.1, 4_000  # of the images; images
MOST_LOOKS, LOOKS, LOOKS_AT = 40, 10, 180_000  # ten looks at 180,000 images, with the cube root of the images
SECONDS_BETWEEN_LOOKS = 20.0
LOOK_IMAGES = FEWEST_SAMPLES + 640  # what a look costs at least, in images learned: samples, grid, figures, statistics
CHECKPOINT_SHARE, CHECKPOINT_SECONDS = 0.05, (20.0, 300.0)
TRUNK_GRIDS = 4  # the widest layer is this many times the narrowest, unless that is less than the nets' own limit


@dataclass(frozen=True)
class Measured:
    """How a candidate does on this machine; ``memory_bytes`` None where it is not known."""

    images_per_second: float
    memory_bytes: int | None = None


Measure = Callable[[RunConfig], Measured | None]
"""The candidate on this machine; None where it does not fit into memory."""


@dataclass(frozen=True)
class Choice:
    """A configuration with nothing left open, the images that it is meant for, and what was measured for it."""

    config: RunConfig
    images: int
    measured: Measured | None = None


def for_minutes(
    config: RunConfig, pictures: int, seconds: float, measure: Measure, time_left: Callable[[], float], flat: bool
) -> Choice:
    """The choice for so many ``seconds`` of learning with a training set of ``pictures``.

    Candidates are measured one after the other, the cheapest first, while they get further and ``time_left`` (seconds)
    is positive. ``flat``: whether wider nets may be as fast, as on a GPU that small ones leave idle.
    """
    search = _Search(config, pictures, seconds, measure, time_left, flat)
    best = search.first()
    while (better := next(search.better(best), None)) is not None:
        best = better
    speed = best.measured.images_per_second if best.measured else 0.0
    images = max(best.config.training.batch_size, int(speed * seconds))
    return replace(best, config=_scheduled(best.config, images, seconds), images=images)


def for_images(config: RunConfig, pictures: int, images: int) -> Choice:
    """The choice for a number of images: no clock, no machine."""
    scaling = scaling_of(config)
    chosen = config
    if scaling is not None and is_open(config):
        width = scaling.narrowest
        for narrower, wider in pairwise(_widths(scaling, pictures)):
            if not scaling.pays(wider, narrower, images):
                break
            width = wider
        chosen = with_width(config, width)
    return Choice(_scheduled(_settled_width(chosen), images, None), images)


def scaling_of(config: RunConfig) -> Scaling | None:
    """How the method scales, if its author has told."""
    return getattr(config.method, "scaling", None)


def nets_of(config: RunConfig) -> dict[str, Plannable]:
    """The method's nets whose width can be planned, by the setting's name."""
    fields = {key: getattr(config.method, key) for key in type(config.method).model_fields}
    return {key: net for key, net in fields.items() if isinstance(net, Plannable) and "width" in net.planned}


def usual_batch(config: RunConfig) -> int:
    """What the method recommends where speed does not ask for more."""
    return int(getattr(config.method, "recommended", {}).get("batch_size", TrainingConfig().batch_size))


def is_open(config: RunConfig) -> bool:
    """Whether the planner may choose the width: where a person has chosen one net's, the others follow it."""
    nets = nets_of(config).values()
    return bool(nets) and all("width" in net.left_open for net in nets)


def width_of(config: RunConfig) -> int | None:
    """Of the first net that has one."""
    return next((net.width for net in nets_of(config).values()), None)  # type: ignore[attr-defined]  # planned


def with_width(config: RunConfig, width: int) -> RunConfig:
    """Every net without a width of its own gets this one, and the limit of its coarse grids that belongs to it."""
    changed = {}
    for key, net in nets_of(config).items():
        own = width if "width" in net.left_open else net.width  # type: ignore[attr-defined]  # planned
        values: dict[str, Any] = {"width": own}
        if "max_width" in net.left_open:
            values["max_width"] = max(net.max_width, TRUNK_GRIDS * own)  # type: ignore[attr-defined]  # planned
        changed[key] = net.model_copy(update=values)
    return config.model_copy(update={"method": config.method.model_copy(update=changed)}) if changed else config


def with_training(config: RunConfig, **values: Any) -> RunConfig:
    """Those of ``values`` that nobody has chosen."""
    left_open = config.training.left_open
    chosen = {key: value for key, value in values.items() if key in left_open}
    return config.model_copy(update={"training": config.training.model_copy(update=chosen)})


def is_settled(config: RunConfig) -> bool:
    """Whether nothing is left to choose."""
    return not config.training.left_open and not any(net.left_open for net in nets_of(config).values())


def as_in(config: RunConfig, standing: RunConfig) -> RunConfig:
    """What ``config`` leaves open as it was chosen for the run that stands."""
    chosen = {key: getattr(standing.training, key) for key in standing.training.planned}
    twins, changed = nets_of(standing), {}
    for key, net in nets_of(config).items():
        twin = twins.get(key)
        if type(twin) is type(net):
            changed[key] = net.model_copy(update={name: getattr(twin, name) for name in net.left_open})
    method = config.method.model_copy(update=changed)
    return with_training(config.model_copy(update={"method": method}), **chosen)


@dataclass(frozen=True)
class _Search:
    config: RunConfig
    pictures: int
    seconds: float
    measure: Measure
    time_left: Callable[[], float]
    flat: bool

    def first(self) -> Choice:
        """The narrowest nets, or those that a person has chosen; in smaller batches where memory is short."""
        scaling = scaling_of(self.config)
        config = with_width(self.config, scaling.narrowest) if scaling and is_open(self.config) else self.config
        config = with_training(_settled_width(config), batch_size=usual_batch(config))
        batch = config.training.batch_size
        while (measured := self.measure(config)) is None:
            batch //= 2
            if batch < SMALLEST_BATCH or "batch_size" not in self.config.training.left_open:
                return Choice(config, 0)  # the first step will say what is short
            config = with_batch(config, batch)
        return Choice(config, 0, measured)

    def better(self, than: Choice) -> Iterator[Choice]:
        """What gets further than ``than``: the next width, or the next batch."""
        if than.measured is None:
            return
        scaling = scaling_of(self.config)
        if scaling is not None and is_open(self.config):
            yield from self._wider(than, than.measured, scaling)
        if "batch_size" in self.config.training.left_open:
            yield from self._larger(than, than.measured)

    def _wider(self, than: Choice, measured: Measured, scaling: Scaling) -> Iterator[Choice]:
        width = width_of(than.config)
        wider = next((one for one in _widths(scaling, self.pictures) if width is not None and one > width), None)
        if width is None or wider is None:
            return
        here = scaling.shortfall(width, self.seconds * measured.images_per_second)
        hoped = measured.images_per_second * (1.0 if self.flat else width / wider)
        if scaling.shortfall(wider, self.seconds * hoped) >= here or self.time_left() <= 0:
            return
        config = with_batch(with_width(self.config, wider), than.config.training.batch_size)
        found = self.measure(config)
        if found and scaling.shortfall(wider, self.seconds * found.images_per_second) < here:
            yield Choice(config, 0, found)

    def _larger(self, than: Choice, measured: Measured) -> Iterator[Choice]:
        batch = next((one for one in BATCHES if one > than.config.training.batch_size), None)
        wanted = GAIN * measured.images_per_second
        if batch is None or not self.flat or self.time_left() <= 0:  # on CPUs the batch hardly changes the speed
            return
        if self.seconds * 2 * measured.images_per_second < FEWEST_STEPS * batch:
            return
        config = with_batch(than.config, batch)
        found = self.measure(config)
        if (
            found
            and found.images_per_second >= wanted
            and self.seconds * found.images_per_second >= FEWEST_STEPS * batch
        ):
            yield Choice(config, 0, found)


def with_batch(config: RunConfig, batch: int) -> RunConfig:
    """``config`` with another batch."""
    return config.model_copy(update={"training": config.training.model_copy(update={"batch_size": batch})})


def _widths(scaling: Scaling, pictures: int) -> list[int]:
    return [width for width in scaling.widths if width <= scaling.widest(pictures)]


def _settled_width(config: RunConfig) -> RunConfig:
    """Where one net's width is given, the others take it; where none is and nobody scales, the default stays."""
    given = [net.width for net in nets_of(config).values() if "width" not in net.left_open]  # type: ignore[attr-defined]  # as above
    width = given[0] if given else width_of(config)
    return config if width is None else with_width(config, width)


def _scheduled(config: RunConfig, images: int, seconds: float | None) -> RunConfig:
    """Everything that follows from the length of the run."""
    stand_in = TrainingConfig()
    looks = round(LOOKS * (images / LOOKS_AT) ** (1 / 3))
    most = images * SHARE / LOOK_IMAGES if seconds is None else seconds / SECONDS_BETWEEN_LOOKS
    shortest, longest = CHECKPOINT_SECONDS
    between = (
        stand_in.checkpoint_seconds if seconds is None else min(longest, max(shortest, CHECKPOINT_SHARE * seconds))
    )
    return with_training(
        config,
        batch_size=usual_batch(config),
        ticks=max(1, min(looks, int(most), MOST_LOOKS)),
        warm_up_images=min(MOST_WARM_UP, int(WARM_UP_SHARE * images)),
        checkpoint_seconds=round(between),
    )
