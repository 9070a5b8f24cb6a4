"""Training from beginning to end: prepare what the steps need, plan, run the session, leave a bundle.

Use: ``train(run)`` begins a run or goes on with it: the same images in the same order, whether it was stopped or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from allaprima.core.device import Device
from allaprima.core.files import claim_folder
from allaprima.data.loader import Loader
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.validation import Validator
from allaprima.training import budget, publish
from allaprima.training.config import BudgetConfig
from allaprima.training.learner import Learner
from allaprima.training.run import Run
from allaprima.training.session import Session
from allaprima.training.signals import StoppedEarlyError, StopRequest
from allaprima.training.stopping import Best

FEATURE_SECONDS = 40.0  # a feature network that judges gets at most this, and at most a tenth of the budget
FEATURE_SHARE = 0.1


@dataclass(frozen=True)
class Outcome:
    """``ending``: finished, early (nothing better came), standing (nothing was left to do), stopped or before (asked to)."""

    ending: str
    num_images_seen: int
    total_images: int
    best: Best
    seconds: float


def train(run: Run, say: Callable[[str], None] = print) -> Outcome:
    """Train ``run`` to its budget. Ctrl-C and SIGTERM save and return. Raises UserError on what the person can mend."""
    with claim_folder(run.folder):
        return train_claimed(run, say)


def train_claimed(run: Run, say: Callable[[str], None] = print) -> Outcome:
    """``train`` for a caller who holds the folder already."""
    began = time.monotonic()
    with StopRequest() as stop:
        try:
            session = _prepare(run, began, say)
            stop.can_wait = True
        except StoppedEarlyError:
            return Outcome("before", 0, 0, Best(), time.monotonic() - began)
        learner, plan = session.learner, session.plan
        ending = "standing" if learner.num_images_seen >= plan.total_images else session.go(stop)
        learner, plan = session.learner, session.plan  # a return to a checkpoint may have replaced them
        if ending != "standing":
            session.save()
        session.loader.close()
        if not (run.folder / "bundle" / "bundle.json").is_file():
            publish.write_now(run, learner, plan.seconds_used)
        seconds = time.monotonic() - began
        return Outcome(ending, learner.num_images_seen, plan.total_images, session.best, seconds)


def _prepare(run: Run, began: float, say: Callable[[str], None]) -> Session:
    """Features, data, nets and plan; then back to the newest checkpoint."""
    config = run.config
    device = Device.choose(config.training.precision, config.training.threads)
    seconds = FEATURE_SECONDS
    if config.budget.minutes is not None:
        seconds = min(seconds, FEATURE_SHARE * config.budget.minutes * 60)
    features = FEATURES.get(config.training.features).load_or_train(run.dataset, device, seconds)
    validator = Validator(run.dataset, device, features, config.training.watch)
    loader = Loader(run.dataset, "train", config.training.batch_size, config.seed, device.torch)
    learner = _learner(run, device)
    best = Best(config.training.watch)
    session = Session(run, learner, loader, validator, budget.Plan(0, None), best, say=say, counted=began)
    resumed = session.restore()
    if not resumed:
        session.plan = _plan(run, device, loader, config.budget, time.monotonic() - began)
        session.counted = time.monotonic()
    elif config.budget != BudgetConfig(minutes=session.plan.minutes, images=session.plan.asked_images):
        _extend(session, config.budget, _speed(run, device, loader))
    session.settle_samples()
    say(_describe(run, session, device, resumed))
    return session


def _learner(run: Run, device: Device) -> Learner:
    pictures = len(run.dataset.indices("train"))
    return Learner(run.config, run.dataset.domain.shape, run.condition, device, run.config.seed, pictures)


def _speed(run: Run, device: Device, loader: Loader) -> float:
    """Images a second of these very nets on this machine, on a learner that is then thrown away."""
    trial = _learner(run, device)
    return budget.measure_images_per_second(
        lambda: trial.step(loader.batch(trial.step_number), 10**9), run.config.training.batch_size
    )


def _plan(run: Run, device: Device, loader: Loader, asked: BudgetConfig, seconds_used: float) -> budget.Plan:
    if asked.images is not None:
        return budget.Plan(asked.images, None, asked.images, seconds_used)
    assert asked.minutes is not None, "RunConfig has one of the two"
    begun = time.monotonic()
    rate = _speed(run, device, loader)
    used = seconds_used + time.monotonic() - begun
    return budget.Plan.for_minutes(asked.minutes, rate, used, run.config.training.batch_size)


def _extend(session: Session, asked: BudgetConfig, rate: float) -> None:
    """A run that was begun with another budget goes on with this one; ticks are spread anew."""
    plan = session.plan
    if asked.images is not None:
        plan.total_images, plan.minutes, plan.asked_images = asked.images, None, asked.images
    else:
        assert asked.minutes is not None, "RunConfig has one of the two"
        plan.minutes, plan.asked_images = asked.minutes, None
        left = asked.minutes * 60 - plan.seconds_used
        plan.total_images = session.learner.num_images_seen + max(0, int(left * rate))
    done = session.learner.num_images_seen / max(1, plan.total_images)
    session.tick = min(session.run.config.training.ticks, int(done * session.run.config.training.ticks))


def _describe(run: Run, session: Session, device: Device, resumed: bool) -> str:
    config, plan = run.config, session.plan
    pictures = len(run.dataset.indices("train"))
    budget_text = f"{plan.minutes:g} minutes" if plan.minutes else f"{plan.total_images:,} images"
    nets = sum(parameter.numel() for parameter in session.learner.method.parameters())
    lines = [
        f"plan: {config.method.component_name()}, {nets:,} parameters, condition {config.condition}, on {device.describe()}",
        f"      {pictures:,} training pictures, budget {budget_text}: {plan.total_images:,} images"
        f" ({plan.total_images / max(1, pictures):.1f} epochs), batch {config.training.batch_size}",
    ]
    if resumed:
        lines.append(f"      going on at {session.learner.num_images_seen:,} images")
    return "\n".join(lines)
