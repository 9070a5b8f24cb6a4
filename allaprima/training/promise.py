"""Keeping a private method's promise over a whole run: made once, for the steps of the plan; never more steps than that.

The promise stands in the run's very first checkpoint, before the first step, and in every later one. From a checkpoint a run
makes the same steps again, to the bit, so nothing more is spent. After a return to an earlier moment (``session``) steps differ:
what was made counts as spent, and the end comes sooner.

Use: ``promise.keep(session)`` when the plan is known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from allaprima.core.errors import UserError
from allaprima.data.chance import ByChance
from allaprima.training.budget import Plan
from allaprima.training.config import RunConfig
from allaprima.training.distributed import Group
from allaprima.training.learner import Learner

if TYPE_CHECKING:
    from allaprima.training.session import Session

SAMPLERS = ("poisson",)


def is_promised(config: RunConfig) -> bool:
    """Whether the method draws training pictures in a way of its own and counts its looks at them."""
    return hasattr(config.method, "SAMPLER")


def check(config: RunConfig, group: Group) -> None:
    """Raises UserError for what the promise's account does not cover; before anything is drawn."""
    if not is_promised(config):
        return
    method, training = config.method.component_name(), config.training
    if config.method.SAMPLER not in SAMPLERS:
        raise UserError(
            f"No account is kept for pictures drawn by '{config.method.SAMPLER}'",
            f"a private method draws them by: {', '.join(SAMPLERS)}",
        )
    if training.accumulate > 1 or group.part.count > 1:
        raise UserError(
            f"{method} draws each step's pictures by chance, which cannot be divided into parts",
            "leave out training.accumulate and train with one process; memory does not grow with the batch",
        )
    if training.augment:
        raise UserError(
            "How a private run's pictures are changed would follow from its seed, which everybody may know",
            "add --set training.mirror=off and leave out training.augment",
        )
    if config.budget.minutes is not None and not _is_constant(config):
        raise UserError(
            "By the clock a falling step would not fall twice in the same way, and a run that is resumed would tell more",
            "add --set training.lr_end=1, or give --images instead of --minutes",
        )


def _is_constant(config: RunConfig) -> bool:
    """Whether the step's size does not depend on the plan's length."""
    return config.training.schedule == "constant" or config.training.lr_end == 1


def keep(session: Session) -> None:
    """Make the promise of a run that begins, or hold one that goes on to its own. Raises UserError where it would be broken."""
    run, learner, plan = session.run, session.learner, session.course.plan
    if not is_promised(run.config):
        return
    method: Any = learner.method
    batch_size, pictures = run.config.training.batch_size, len(run.dataset.indices("train"))
    begins = method.promise is None
    if begins:
        if learner.step_number or (run.folder / "bundle").exists():
            raise UserError(
                f"'{run.folder}' has learned already, and the account of it is gone with its checkpoints",
                "its generator still paints; begin a new run in another folder, which spends an ε of its own",
            )
        method.make_promise(pictures, batch_size, max(1, math.ceil(plan.total_images / batch_size)))
    made = method.promise
    asked = made.steps if plan.asked_images is None else math.ceil(plan.asked_images / batch_size)
    if asked != made.steps and not _is_constant(run.config):
        raise UserError(
            f"'{run.folder}' was begun for {made.steps * batch_size:,} images, and its step falls towards their end",
            "go on with the same budget, or begin a new run",
        )
    _limit(plan, learner)
    session.loader.close()
    shown = {"split": "train", "batch_size": batch_size, "seed": run.config.seed, "condition": run.condition}
    session.loader = ByChance(made.draw, run.dataset, device=learner.device.torch, **shown)
    session.say(
        f"private: ε = {run.config.method.epsilon:g}, δ = {run.config.method.delta:g}: noise of {made.noise:.3g} × the clip in"
        f" each of {made.steps:,} steps, in which a picture takes part with chance {made.rate:.2g}; {made.left:,} are left"
    )
    if begins:
        session.save()


def carry(session: Session, made: Any) -> None:
    """After a return to an earlier moment: ``made``, the promise before it, goes on with all that was spent."""
    if made is not None:
        session.learner.method.promise = made  # no module
        _limit(session.course.plan, session.learner)


def of(learner: Learner) -> Any:
    """The promise of a method that keeps one, else None."""
    return getattr(learner.method, "promise", None)


def check_kept(learner: Learner) -> None:
    """Nothing leaves training that was promised to be private and is not."""
    if is_promised(learner.config) and of(learner) is None:
        raise RuntimeError("a private method has learned without a promise")


def _limit(plan: Plan, learner: Learner) -> None:
    plan.most_images = learner.num_images_seen + of(learner).left * learner.config.training.batch_size
    plan.total_images = min(plan.total_images, plan.most_images)
