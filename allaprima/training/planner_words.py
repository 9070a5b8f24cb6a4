"""The plan as a person reads it: nets, images, speed, looks, when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from allaprima.training import planner
from allaprima.training.planner import Choice

if TYPE_CHECKING:
    from allaprima.training.session import Session

USEFUL_SHARE = 0.5  # of a budget: if less is left to learn in, it is said
USEFUL_IMAGES = 10_000


def describe(session: Session, choice: Choice | None, began: float, resumed: bool) -> str:
    """``choice`` is None for a run that was chosen before; ``began`` the moment from which its minutes count."""
    lines = [_nets(session, choice), _budget(session, choice), _looks(session), *_expectation(session)]
    if resumed:
        lines.append(f"going on at {session.learner.num_images_seen:,} images")
    lines += _inexact(session)
    lines += _warnings(session, time.monotonic() - began)
    return "plan: " + "\n      ".join(lines)


def _nets(session: Session, choice: Choice | None) -> str:
    config, method = session.run.config, session.learner.method
    parameters = sum(parameter.numel() for parameter in method.parameters())
    widths = sorted({net.width for net in planner.nets_of(config).values()})  # type: ignore[attr-defined]  # planned
    width = f" of width {' and '.join(map(str, widths))}" if widths else ""
    memory = choice.measured.memory_bytes if choice and choice.measured else None
    taken = f", about {max(0.1, memory / 2**30):.1f} GiB" if memory else ""
    device = session.learner.device.describe()
    return (
        f"{config.method.component_name()}, nets{width} with {parameters:,} parameters, condition {config.condition},"
        f" on {device}{taken}"
    )


def _budget(session: Session, choice: Choice | None) -> str:
    plan, pictures = session.course.plan, len(session.run.dataset.indices("train"))
    asked = f"{plan.minutes:g} minutes" if plan.minutes else f"{plan.total_images:,} images"
    speed = f" at {choice.measured.images_per_second:,.0f} a second" if choice and choice.measured else ""
    about = "about " if plan.minutes else ""
    return (
        f"{asked}: {about}{plan.total_images:,} images{speed}, {plan.total_images / max(1, pictures):.1f} epochs"
        f" of {pictures:,} training pictures, in batches of {session.run.config.training.batch_size}"
    )


def _looks(session: Session) -> str:
    plan, training = session.course.plan, session.run.config.training
    times = "one look" if training.ticks == 1 else f"{training.ticks} looks"
    samples, seconds = session.course.allowance.samples, training.checkpoint_seconds
    words = f"{times} at {samples} samples, a checkpoint at least every {seconds:g} s"
    if plan.minutes is None:
        return words
    end = datetime.now().astimezone() + timedelta(seconds=max(0.0, plan.minutes * 60 - plan.seconds_used))
    return f"{words}; it ends at {end:%H:%M:%S}"


def _expectation(session: Session) -> Iterator[str]:
    """What the log's curves promise, relative to other budgets: how near these pictures can be come to, nobody knows before."""
    config, images = session.run.config, session.course.plan.total_images
    scaling, width = planner.scaling_of(config), planner.width_of(config)
    if scaling is None or width is None or images < USEFUL_IMAGES:
        return
    tenth, here, tenfold = (scaling.shortfall(width, images * times) for times in (0.1, 1, 10))
    yield (
        f"expected: {here / tenth:.2f} of the distance to real pictures that a tenth of the budget would leave these nets;"
        f" ten times the budget would leave them {tenfold / here:.2f} of this run's"
    )


def _inexact(session: Session) -> Iterator[str]:
    """Where a batch in parts, by ``training.accumulate`` or on several processes, is not quite the batch in one."""
    taken = session.learner.taken_over_parts()
    if taken:
        *others, last = taken
        them, are = (f"{', '.join(others)} and {last}", "are") if others else (last, "is")
        yield f"a batch is learned in parts: {them} {are} each part's own, so it is not quite the batch in one"


def _warnings(session: Session, spent: float) -> Iterator[str]:
    """What a person should know before the wait rather than after it."""
    plan = session.course.plan
    if plan.minutes is None or session.learner.num_images_seen:
        return
    total = plan.minutes * 60
    left = max(0.0, plan.seconds_left(0))
    if left < USEFUL_SHARE * total:
        yield f"preparing took {spent:.0f} of the {total:.0f} s: only {left:.0f} s are left to learn in; the next run on"
        yield "this dataset finds most of it done, and a longer one does not notice"
    if plan.total_images < USEFUL_IMAGES:
        yield f"{plan.total_images:,} images are too few to learn from: this shows that everything works, no more"
