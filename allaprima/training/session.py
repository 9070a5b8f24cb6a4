"""One process's part of a run: the loop, what happens at a tick, and the way back when something has gone wrong.

When steps are at fault (``faults``) or the generator collapses (``health``), the run goes back to a good checkpoint and on
with half the step. Of several processes the leading one judges, writes and speaks; the others do what it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.data.loader import Loader
from allaprima.training import budget, checkpoint, promise, survey, transfer
from allaprima.training.course import Course
from allaprima.training.distributed import ALONE, Group
from allaprima.training.health import SETTLED_STEPS, Health
from allaprima.training.judging import Blind, Judge
from allaprima.training.learner import STEPS_BETWEEN_LOOKS, Learner
from allaprima.training.run import Run
from allaprima.training.signals import StopRequest
from allaprima.training.stats import Diary
from allaprima.training.stopping import Best

FAULTS_BEFORE_ROLLBACK = 3
MOST_ROLLBACKS = 5
SECONDS_BETWEEN_NOTES = 0.5  # reading the losses makes a GPU wait
SAVING = 50  # a fiftieth of the time at most goes into checkpoints between ticks


class DivergedError(UserError):
    """Training went astray again and again: these settings do not learn."""


GiveUp = Callable[[int, float], bool]


def never(num_images_seen: int, figure: float) -> bool:
    """The ``GiveUp`` of a run that nobody compares with others."""
    return False


@dataclass
class Session:
    """``learner`` and ``course`` outlive the process: ``save`` writes them. The clock marks and the callbacks do not.

    ``give_up`` is told the watched figure of every judged tick, once that is saved, and may end the run early.
    """

    run: Run
    learner: Learner
    loader: Loader
    judge: Judge | Blind | None  # the leading process's alone
    course: Course
    say: Callable[[str], None] = print
    give_up: GiveUp = never
    given_up: bool = False
    group: Group = ALONE
    returned_to: int | None = None  # the images of the checkpoint that this process last went back to
    diary: Diary | None = None  # the leading process's alone, while it goes
    losses: dict[str, torch.Tensor] = field(default_factory=dict)
    noted: tuple[float, str] = (0.0, "")  # when the losses were last put into words, and those words
    counted: float = field(default_factory=time.monotonic)  # up to when the plan's seconds are counted
    saved: float = field(default_factory=time.monotonic)
    save_seconds: float = 0.0  # what the last checkpoint took
    pace: budget.Pace = field(default_factory=budget.Pace)
    marked: tuple[int, float] = (0, 0.0)  # images seen and clock after the last tick

    # -- state that survives ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint of this moment; the leading process writes it."""
        self._count_seconds()
        begun = time.monotonic()
        if self.group.leads:
            state = {"learner": self.learner.state(), **self.course.state()}
            seen, keep = self.learner.num_images_seen, self.run.config.training.keep_checkpoints
            pinned = self.course.health.good_at
            checkpoint.save(self.run.checkpoints, seen, self.learner.tensors(), state, keep, pinned=pinned)
        self.saved = time.monotonic()
        self.save_seconds = self.saved - begun

    def restore(self) -> bool:
        """Go to the newest whole checkpoint, if there is one; damaged ones are named and passed over.

        Of several processes all must come here. Raises UserError where every checkpoint is damaged.
        """
        with self.group.leader_first():  # it sweeps what an interrupted save left
            path, problems = checkpoint.newest(self.run.checkpoints)
        for problem in problems:
            self.say(f"passed over a damaged checkpoint: {problem}")
        if path is None and problems:
            raise UserError(
                f"Every checkpoint of '{self.run.folder}' is damaged",
                f"its generator still paints; to begin again, choose another folder or delete '{self.run.checkpoints}'",
            )
        if path is None:
            return False
        tensors, state = checkpoint.load(path)
        self.learner.restore(tensors, state["learner"])
        self.course = Course.of(state)
        return True

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.course.plan.seconds_used += now - self.counted
        self.counted = now

    # -- the loop ---------------------------------------------------------------------------------------------------

    def go(self, stop: StopRequest) -> str:
        """Train until the plan is fulfilled (``finished``), nothing better comes (``early``), or ``stop`` asks (``stopped``)."""
        seen, patience = self.learner.num_images_seen, self.run.config.training.patience
        self.diary = Diary(self.run.folder, seen) if self.group.leads else None
        self.marked = (seen, time.monotonic())
        total = self.course.plan.total_images
        shown = progress("training", total, "images", seen) if self.group.leads else nullcontext(_silent)
        try:
            with shown as advance:
                while not self.course.is_over(seen := self.learner.num_images_seen):
                    self._step()
                    self._follow_clock()
                    total = self.course.plan.total_images
                    advance(self.learner.num_images_seen - seen, note=self._note(), total=total)
                    if self._tick_is_due():
                        self._tick()
                        if self.given_up or self.course.best.is_hopeless(patience):
                            return "early"
                    elif self._save_is_due() and self.learner.watch.is_calm():
                        self.save()
                    if self._is_stopped(stop):
                        return "stopped"
            return "finished"
        finally:
            if self.diary is not None:
                self.diary.close()

    def _step(self) -> None:
        step, total = self.learner.step_number, self.course.plan.total_images
        every = self.learner.method.steps_between_looks
        if every and step % every == 0:
            self.learner.look(self._held_out.batch(step // every), total)
        self.losses = self.learner.step(self.loader.batch(step), total)
        if self.learner.may_look and self.learner.watch.look() >= FAULTS_BEFORE_ROLLBACK:
            ran_away = self.learner.watch.ran_away()
            self._go_back("the losses ran away" if ran_away else "losses or gradients were not finite")

    def _follow_clock(self) -> None:
        """Between ticks too the end stays where the clock will be at the budget, whatever the machine's speed does."""
        plan = self.course.plan
        if plan.minutes is None:
            return
        if not self.group.alone and self.learner.step_number % STEPS_BETWEEN_LOOKS:
            return
        seen = self.learner.num_images_seen
        rate = self.pace.look(seen, time.monotonic(), plan.minutes)
        if rate is not None:
            self._count_seconds()
            plan.revise(seen, rate, self.course.looks_left(self.run.config.training))
        plan.total_images = self.group.same(plan.total_images)

    @cached_property
    def _held_out(self) -> Loader:
        """The validation split, for methods that look at it. Every process sees all of a batch, so that they stay equal."""
        return self.run.loader("validation", self.loader.batch_size, self.loader.device)

    def close(self) -> None:
        """Stop the threads that read ahead."""
        self.loader.close()
        if "_held_out" in self.__dict__:  # it is opened when it is first looked at
            self._held_out.close()

    def _save_is_due(self) -> bool:
        least = self.run.config.training.checkpoint_seconds
        return self.group.leads and time.monotonic() - self.saved > max(least, SAVING * self.save_seconds)

    def _note(self) -> str:
        now = time.monotonic()
        if self.group.leads and now - self.noted[0] >= SECONDS_BETWEEN_NOTES:
            self.noted = (now, "  ".join(f"{name} {float(value):.3g}" for name, value in self.losses.items()))
        return self.noted[1]

    def _is_stopped(self, stop: StopRequest) -> bool:
        """Whether any process was asked to; several ask each other now and then only."""
        if self.group.alone:
            return stop.asked
        return self.learner.step_number % STEPS_BETWEEN_LOOKS == 0 and self.group.agree(stop.asked)

    # -- ticks ------------------------------------------------------------------------------------------------------

    def _tick_is_due(self) -> bool:
        return self.course.is_due(self.learner.num_images_seen, self.run.config.training.ticks)

    def _tick(self) -> None:
        """Validate, show, keep the best, look at the clock, save; or go back, if the generator has collapsed."""
        seen = self.learner.num_images_seen
        figures, complaint = self._look_closely() if self.group.leads else ({}, None)
        self.course, complaint = self.group.same((self.course, complaint))
        ended = self.course.plan.minutes is not None and self.course.is_over(seen)  # no time is left to do better
        if complaint is None or ended:
            self.save()
        self.given_up = self.group.same(bool(figures) and self.give_up(seen, figures[self.course.best.watch]))
        if complaint is not None and not ended and not self.given_up:
            self._go_back(complaint, collapsed=True)
        self.pace.pause()
        self.marked = (self.learner.num_images_seen, time.monotonic())

    def _look_closely(self) -> tuple[dict[str, float], str | None]:
        """The leading process's part of a tick: the figures, and what is wrong with the generator, if anything is."""
        assert self.judge is not None, "the leading process has one"
        self._count_seconds()
        course, training = self.course, self.run.config.training
        begun, seen, (seen_before, then) = time.monotonic(), self.learner.num_images_seen, self.marked
        rate = (seen - seen_before) / max(begun - then, 1e-9)
        may = course.may_judge(seen, training)
        passed_over: tuple[dict[str, float], str] = {}, "not measured this time: measuring may take a twentieth"
        figures, said = self.judge.judge(self.learner, course) if may else passed_over
        self._count_seconds()
        self._write_down(seen, figures, rate)
        young = self.learner.step_number < SETTLED_STEPS
        complaint = course.health.complaint(figures, 0.0 if young else seen / course.plan.total_images)
        if complaint is None and figures:
            course.health.note(figures, seen)
        self.say(f"{seen:>11,} images  {said}")
        course.tick += 1
        self._count_seconds()
        if may:
            course.plan.tick_seconds = time.monotonic() - begun + self.save_seconds
        if not course.is_over(seen):
            course.plan.revise(seen, rate, course.looks_left(training))
        course.catch_up(seen, training.ticks)
        return figures, complaint

    def _write_down(self, seen: int, figures: dict[str, float], images_per_second: float) -> None:
        assert self.diary is not None, "go opens it"
        seconds = self.course.plan.seconds_used
        losses = {f"loss/{name}": float(value) for name, value in self.losses.items()}
        judged = {f"validation/{name}": value for name, value in figures.items()}
        clock = {
            "speed/images_per_second": images_per_second,
            "time/seconds": seconds,
            "time/validating_share": self.course.allowance.seconds / max(seconds, 1e-9),
        }
        self.diary.write(seen, losses | judged | clock)

    # -- the way back -----------------------------------------------------------------------------------------------

    def _go_back(self, why: str, collapsed: bool = False) -> None:
        """Back to the last good state with half the step, and say so.

        That is the newest checkpoint; but the last moment that was judged and found well if the generator has collapsed
        since, or if going back to the newest one was tried already.
        """
        at, left, scale = self.learner.num_images_seen, self.course, self.learner.learning_rate_scale / 2
        made = promise.of(self.learner)
        if left.rollbacks == MOST_ROLLBACKS:
            raise DivergedError(
                f"Training diverges: {MOST_ROLLBACKS} returns to the last good state did not help",
                "begin a new run with a smaller step (--set training.lr=3e-4) or with --set training.clip=1",
            )
        if self.group.leads and (collapsed or self._was_tried()):
            checkpoint.forget_after(self.run.checkpoints, left.health.good_at or 0)
        if not self.restore():
            self._begin_anew()
        # the clock does not go back
        self.course.plan, self.course.allowance, self.course.rollbacks = left.plan, left.allowance, left.rollbacks + 1
        promise.carry(self, made)
        self.learner.learning_rate_scale = scale
        self.learner.watch.forgive()
        self.returned_to = seen = self.learner.num_images_seen
        self.marked = (seen, time.monotonic())
        if self.diary is not None:
            self.diary.write(at, {"health/returned_to_images": seen, "health/step_scale": scale})
        self.say(f"{why} at {at:,} images: back to {seen:,}, step × {scale:g}")

    def _was_tried(self) -> bool:
        newest, _ = checkpoint.newest(self.run.checkpoints)
        return newest is not None and int(newest.name) == self.returned_to

    def _begin_anew(self) -> None:
        self.learner = Learner.of(self.run, self.learner.device, self.group)
        transfer.begin(self.learner, self.run.folder)
        survey.take(self.run, self.learner)
        self.course.best, self.course.health, self.course.tick = self._no_best(), Health(), 0

    def _no_best(self) -> Best:
        return Best(self.course.best.watch, grain=self.course.best.grain)


def _silent(*_: Any, **__: Any) -> None:
    """Progress that nobody sees."""
