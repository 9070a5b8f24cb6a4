"""A film as a recipe: which state is seen when. Like the state itself it is JSON, and its frames are a pure function of it.

Three motions: a ``circle`` about a place of the latent pad, which is a perfect loop; a ``timeline`` of keys, which may be one;
and a ``recording`` of states at the times when they were seen. What a film is written as: ``runtime.films``.

Use: ``film = Film(motion=Circle(seconds=4)); for moment in film.moments(): ...``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, model_validator

from allaprima.core.config import Config, load
from allaprima.core.errors import UserError
from allaprima.runtime.session import Point, State

LONGEST_SECONDS = 600.0
MOST_KEYS, MOST_MOMENTS = 200, 20_000
SIZES = 2048  # pixels to a side

Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
Easing = Literal["linear", "smooth", "in", "out", "hold"]

# of a share t in [0, 1] of the way: smooth is the cubic Hermite step, in and out are its quadratic halves
EASINGS: dict[Easing, Callable[[float], float]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "in": lambda t: t * t,
    "out": lambda t: t * (2 - t),
    "hold": lambda t: float(t >= 1),
}


class Moment(NamedTuple):
    """``state`` is seen from ``seconds`` for ``duration`` seconds."""

    seconds: float
    duration: float
    state: State


class Strict(Config):
    """Base of a recipe's parts: no guessing of types."""

    model_config = ConfigDict(strict=True)


class Circle(Strict):
    """Once around in ``seconds``, from ``point`` back to it. ``reach`` is the circle's radius on the pad, whose half is 1."""

    kind: Literal["circle"] = "circle"
    point: Point = Point()
    seconds: Seconds = 4.0
    reach: float = Field(0.25, gt=0, le=1, allow_inf_nan=False)

    def times(self, fps: float) -> Iterator[tuple[float, State]]:
        count = max(2, round(self.seconds * fps))
        for i in range(count):
            angle = 2 * math.pi * i / count
            x = self.point.x + self.reach * (math.cos(angle) - 1)
            y = self.point.y + self.reach * math.sin(angle)
            place = self.point.model_copy(update={"x": wrap(x), "y": wrap(y)})
            yield self.seconds * i / count, as_state(place)


class Key(Strict):
    """A point, and the way from it to the next: its ``seconds`` and its ``easing``."""

    point: Point
    seconds: Seconds = 2.0
    easing: Easing = "smooth"


class Timeline(Strict):
    """From key to key. With ``loop`` the last key leads back to the first, else it is where the film ends."""

    kind: Literal["timeline"] = "timeline"
    keys: tuple[Key, ...] = Field(min_length=2, max_length=MOST_KEYS, strict=False)
    loop: bool = True

    @model_validator(mode="after")
    def _bounded(self) -> Timeline:
        if self.seconds > LONGEST_SECONDS:
            raise ValueError(f"the keys take {self.seconds:.0f} seconds, more than {LONGEST_SECONDS:.0f}")
        return self

    @property
    def ways(self) -> list[tuple[Key, Key]]:
        """Pairs of keys, in order."""
        around = [*self.keys, self.keys[0]] if self.loop else self.keys
        return list(pairwise(around))

    @property
    def seconds(self) -> float:
        """In all."""
        return sum(start.seconds for start, _ in self.ways)

    def at(self, seconds: float) -> State:
        """The state at that time, which is brought into the timeline."""
        ways = self.ways
        left = seconds % self.seconds if self.loop else min(seconds, self.seconds)
        for start, end in ways:
            if left <= start.seconds:
                share = EASINGS[start.easing](left / start.seconds)
                return between(start.point, end.point, share)
            left -= start.seconds
        return as_state(ways[-1][1].point)

    def times(self, fps: float) -> Iterator[tuple[float, State]]:
        count = max(2, round(self.seconds * fps))
        steps = count if self.loop else count - 1  # what does not go round shows its last key
        for i in range(count):
            yield self.seconds * i / count, self.at(self.seconds * i / steps)


class Seen(Strict):
    """``state`` was seen from ``seconds`` on."""

    seconds: float = Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)
    state: State


class Recording(Strict):
    """``moments`` in order, the first at 0, each seen until the next; the last until ``seconds``."""

    kind: Literal["recording"] = "recording"
    moments: tuple[Seen, ...] = Field(min_length=1, max_length=MOST_MOMENTS, strict=False)
    seconds: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> Recording:
        times = [one.seconds for one in self.moments] + [self.seconds]
        if times[0] != 0 or any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("a recording's times begin at 0 and rise")
        return self

    def times(self, fps: float) -> Iterator[tuple[float, State]]:
        yield from ((one.seconds, one.state) for one in self.moments)


class Film(Strict):
    """``fps`` frames a second, of all motions but a recording, which keeps its own times. ``size``: pixels of the longer side,
    0 for the generator's own; ``crisp`` enlarges pixels as squares, as sprites want it.
    """

    motion: Annotated[Circle | Timeline | Recording, Field(discriminator="kind")]
    fps: float = Field(30.0, ge=1, le=60, allow_inf_nan=False)
    size: int = Field(0, ge=0, le=SIZES)
    crisp: bool = False

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.motion.seconds

    @property
    def count(self) -> int:
        """How many frames it has."""
        return sum(1 for _ in self.motion.times(self.fps))

    def moments(self) -> Iterator[Moment]:
        """All frames in order, with no gap between them."""
        times = self.motion.times(self.fps)
        seconds, state = next(times)
        for later, following in times:
            yield Moment(seconds, later - seconds, state)
            seconds, state = later, following
        yield Moment(seconds, self.seconds - seconds, state)


def loop(
    seeds: Sequence[int], seconds: float, reach: float = 0.25, wish: Mapping[str, Any] | None = None
) -> Circle | Timeline:
    """About the only seed, or from each seed to the next and back to the first; ``wish``: other values of the points.

    Raises UserError for values that a point cannot have.
    """
    points = [{**(wish or {}), "seed": seed} for seed in seeds]
    if len(points) == 1:
        return load(Circle, {"point": points[0], "seconds": seconds, "reach": reach})
    return load(Timeline, {"keys": [{"point": point, "seconds": seconds / len(points)} for point in points]})


def read(path: Path) -> Film:
    """The film of a .json file, such as the studio keeps. Raises UserError for what is none."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' holds no film: {error}", "keep one in the studio, or leave --recipe out") from None
    if not isinstance(values, dict):
        raise UserError(f"'{path}' holds no film", "keep one in the studio, or leave --recipe out")
    return load(Film, values)


def wrap(v: float) -> float:
    """A coordinate of the pad brought into [-1, 1): the pad is a torus."""
    return v - 2 * math.floor((v + 1) / 2)


def as_state(point: Point) -> State:
    """The state that shows the point."""
    return State(**{name: getattr(point, name) for name in Point.model_fields})


def between(a: Point, b: Point, share: float) -> State:
    """``share`` in [0, 1] of the way from ``a`` to ``b``; at the ends the points themselves."""
    if share <= 0:
        return as_state(a)
    if share >= 1:
        return as_state(b)
    return State(a=a, b=b, mix=share)
