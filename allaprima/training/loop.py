"""Training from beginning to end: prepare what the steps need, plan, run the session, leave a bundle.

Use: ``train(run)`` begins a run or goes on with it: the same images in the same order, whether it was stopped or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.validation import Validator
from allaprima.training import budget, checkpoint, planner, promise, publish, survey, transfer
from allaprima.training.allowance import SHARE
from allaprima.training.config import BudgetConfig, RunConfig
from allaprima.training.course import Course
from allaprima.training.distributed import ALONE, Group
from allaprima.training.judging import Blind, Judge
from allaprima.training.learner import Learner
from allaprima.training.planner_words import describe
from allaprima.training.run import Run, open_run, write
from allaprima.training.session import GiveUp, Session, never
from allaprima.training.signals import StoppedEarlyError, StopRequest
from allaprima.training.speed import Speedometer
from allaprima.training.stopping import Best

FEATURE_SECONDS = 40.0  # a feature network that judges gets at most this, and at most a tenth of the budget
FEATURE_SHARE = 0.1


@dataclass(frozen=True)
class Outcome:
    """``ending``: finished, early (nothing better came), standing (nothing was left to do), stopped or before (asked to).

    ``leads`` is False for a process that followed another.
    """

    ending: str
    num_images_seen: int
    total_images: int
    best: Best
    seconds: float
    leads: bool = True


def train(run: Run, say: Callable[[str], None] = print, give_up: GiveUp = never) -> Outcome:
    """Train ``run`` to its budget, or until ``give_up``. Ctrl-C and SIGTERM save and return.

    Raises UserError on what the person can mend.
    """
    with claim_folder(run.folder):
        return train_claimed(run, say, give_up)


def follow(group: Group) -> Outcome:
    """``train_claimed`` for a process that does not lead: the same steps, without a word. Ends with the leading one."""
    try:
        return train_claimed(open_run(Path(group.same(""))), lambda words: None, group=group)
    except UserError:  # the leading process has it too, and tells it
        raise SystemExit(2) from None


def train_claimed(
    run: Run,
    say: Callable[[str], None] = print,
    give_up: GiveUp = never,
    group: Group = ALONE,
    began: float | None = None,
) -> Outcome:
    """``train`` for a caller who holds the folder already, and for the processes of ``group`` that ``follow`` it.

    ``began``: the moment of ``time.monotonic`` from which the minutes count, by default now.
    """
    if group.leads:
        group.same(str(run.folder))
    began = time.monotonic() if began is None else began
    with StopRequest() as stop:
        try:
            session = _prepare(run, began, say, group)
            stop.can_wait = True
        except StoppedEarlyError:
            return Outcome("before", 0, 0, Best(), time.monotonic() - began, group.leads)
        session.give_up = give_up
        try:
            return _learn(session, stop, began)
        finally:
            session.close()


def _learn(session: Session, stop: StopRequest, began: float) -> Outcome:
    """Go on to the end of the plan, and leave a checkpoint and a bundle."""
    standing = session.course.is_over(session.learner.num_images_seen)
    ending = "standing" if standing else session.go(stop)
    if not standing:
        session.save()
    learner, course = session.learner, session.course
    folder, leads = session.run.folder, session.group.leads
    if leads and not (folder / "bundle" / "bundle.json").is_file():
        publish.write_now(session.run, learner, course.plan.seconds_used)
    seconds = time.monotonic() - began
    return Outcome(ending, learner.num_images_seen, course.plan.total_images, course.best, seconds, leads)


def _prepare(run: Run, began: float, say: Callable[[str], None], group: Group) -> Session:
    """Features, plan, data and nets; then back to the newest checkpoint."""
    device = Device.choose(run.config.training.precision, run.config.training.threads)
    validator, choice = None, None
    promise.check(run.config, group)
    if group.leads:
        validator = None if survey.is_private(run) else _validator(run, device)
        if not checkpoint.listed(run.checkpoints):
            choice = _choose(run, device, group, began)
            run = replace(run, config=choice.config)
            write(run)
    run = replace(run, config=group.same(run.config))
    config = run.config
    part = (group.part.number, group.part.count)
    learner = Learner.of(run, device, group)
    loader = run.loader("train", config.training.batch_size, device.torch, part)
    judge = Judge(run, validator) if validator is not None else Blind(run) if group.leads else None
    course = Course(budget.Plan(0, None), Best(config.training.watch))
    session = Session(run, learner, loader, judge, course, say=say, counted=began, group=group)
    resumed = session.restore()
    course = session.course
    if not resumed:
        transfer.begin(learner, run.folder)
        survey.take(run, learner)
        if survey.is_private(run) and hasattr(learner.method, "survey"):
            asked: Any = config.method
            say(f"private: ε = {asked.epsilon:g}, δ = {asked.delta:g}: one noisy look at the pictures, which is over")
    if choice is not None:
        course.plan = _plan(choice, time.monotonic() - began)
        session.counted = time.monotonic()
    elif group.leads and config.budget != BudgetConfig(minutes=course.plan.minutes, images=course.plan.asked_images):
        rate = 0.0 if config.budget.minutes is None else _speed(run, device, group)
        _extend(course, config, learner.num_images_seen, rate)
    course.settle_samples(config.training)
    if validator is not None:
        course.best.grain = validator.grain()
    session.course = group.same(course)
    promise.keep(session)
    say(describe(session, choice, began, resumed))
    return session


def _validator(run: Run, device: Device) -> Validator:
    config, seconds = run.config, FEATURE_SECONDS
    if config.budget.minutes is not None:
        seconds = min(seconds, FEATURE_SHARE * config.budget.minutes * 60)
    features = FEATURES.get(config.training.features).load_or_train(run.dataset, device, seconds)
    return Validator(run.dataset, device, features, config.training.watch)


def _choose(run: Run, device: Device, group: Group, began: float) -> planner.Choice:
    """What the budget leaves open is chosen, by the clock only where the budget is in minutes."""
    asked, pictures = run.config.budget, len(run.dataset.indices("train"))
    if asked.images is not None:
        return planner.for_images(run.config, pictures, asked.images)
    assert asked.minutes is not None, "BudgetConfig has one of the two"
    total = asked.minutes * 60
    meter = Speedometer(run, device, min(planner.MOST_MEASURING, planner.MEASURING_SHARE * total), group)
    plan = budget.Plan(0, asked.minutes, seconds_used=time.monotonic() - began)
    seconds = max(0.0, plan.seconds_left(0) - SHARE * total)
    return planner.for_minutes(
        run.config, pictures, seconds, meter.measure, meter.time_left, device.torch.type != "cpu"
    )


def _speed(run: Run, device: Device, group: Group) -> float:
    """Images a second of these very nets on this machine."""
    found = Speedometer(run, device, budget.MEASURE_SECONDS, group).measure(run.config)
    return found.images_per_second if found else 0.0


def _plan(choice: planner.Choice, seconds_used: float) -> budget.Plan:
    config = choice.config
    asked, training = config.budget, config.training
    if asked.images is not None:
        return budget.Plan(asked.images, None, asked.images, seconds_used)
    assert asked.minutes is not None, "BudgetConfig has one of the two"
    rate = choice.measured.images_per_second if choice.measured else 0.0
    tick_seconds = SHARE * asked.minutes * 60 / training.ticks  # until one was timed
    batch, ticks = training.batch_size, training.ticks
    return budget.Plan.for_minutes(asked.minutes, rate, seconds_used, batch, ticks, tick_seconds)


def _extend(course: Course, config: RunConfig, num_images_seen: int, rate: float) -> None:
    """A run that was begun with another budget goes on with this one; ticks are spread anew."""
    asked, used, ticks = config.budget, course.plan.seconds_used, config.training.ticks
    if asked.images is not None:
        course.plan = budget.Plan(asked.images, None, asked.images, used)
    else:
        plan = budget.Plan(0, asked.minutes, None, used, course.plan.tick_seconds)
        plan.total_images = num_images_seen + max(
            0, int(plan.seconds_left(1) * rate)
        )  # the last tick comes in any case
        course.plan = plan
    course.tick = min(ticks, num_images_seen * ticks // max(1, course.plan.total_images))
