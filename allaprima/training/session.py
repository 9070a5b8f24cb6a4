"""One process's part of a run: what it holds, how it is saved and restored, and what happens at a tick."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.data.loader import Loader
from allaprima.evaluation.validation import Validator
from allaprima.training import budget, checkpoint, publish
from allaprima.training.allowance import Allowance, samples_for
from allaprima.training.learner import Learner
from allaprima.training.run import Run
from allaprima.training.signals import StopRequest
from allaprima.training.stats import Diary
from allaprima.training.stopping import Best

FAULTS_BEFORE_ROLLBACK = 3
MOST_ROLLBACKS = 5


@dataclass
class Session:
    """Everything that outlives the process goes through ``save``; the clock marks and the callbacks do not."""

    run: Run
    learner: Learner
    loader: Loader
    validator: Validator
    plan: budget.Plan
    best: Best = field(default_factory=Best)
    allowance: Allowance = field(default_factory=Allowance)
    tick: int = 0
    rollbacks: int = 0
    say: Callable[[str], None] = print
    losses: dict[str, float] = field(default_factory=dict)
    counted: float = field(default_factory=time.monotonic)  # up to when the plan's seconds are counted
    saved: float = field(default_factory=time.monotonic)
    marked: tuple[int, float] = (0, 0.0)  # images seen and clock after the last tick

    # -- state that survives ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint of this moment."""
        self._count_seconds()
        state = {
            "learner": self.learner.state(),
            "plan": self.plan.state(),
            "best": self.best.state(),
            "allowance": self.allowance.state(),
            "tick": self.tick,
            "rollbacks": self.rollbacks,
        }
        keep = self.run.config.training.keep_checkpoints
        checkpoint.save(self.run.checkpoints, self.learner.num_images_seen, self.learner.tensors(), state, keep)
        self.saved = time.monotonic()

    def restore(self) -> bool:
        """Go to the newest whole checkpoint, if there is one; damaged ones are named and passed over."""
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
        self.plan = budget.Plan(**state["plan"])
        self.best = Best(**state["best"])
        self.allowance = Allowance(**state.get("allowance", {}))  # older checkpoints have none
        self.tick, self.rollbacks = state["tick"], state["rollbacks"]
        return True

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.plan.seconds_used += now - self.counted
        self.counted = now

    # -- the loop ---------------------------------------------------------------------------------------------------

    def go(self, stop: StopRequest) -> str:
        """Train until the plan is fulfilled (``finished``), nothing better comes (``early``), or ``stop`` asks (``stopped``)."""
        config = self.run.config.training
        diary = Diary(self.run.folder, self.learner.num_images_seen)
        self.marked = (self.learner.num_images_seen, time.monotonic())
        try:
            with progress("training", self.plan.total_images, "images", self.learner.num_images_seen) as advance:
                while self.learner.num_images_seen < self.plan.total_images:
                    self._step()
                    note = "  ".join(f"{name} {value:.3g}" for name, value in self.losses.items())
                    advance(config.batch_size, note=note, total=self.plan.total_images)
                    if self._tick_is_due():
                        self._tick(diary)
                        if self.best.is_hopeless(config.patience):
                            return "early"
                    elif time.monotonic() - self.saved > config.checkpoint_seconds:
                        self.save()
                    if stop.asked:
                        return "stopped"
            return "finished"
        finally:
            diary.close()

    def _step(self) -> None:
        batch = self.loader.batch(self.learner.step_number)
        self.losses = self.learner.step(batch, self.plan.total_images)
        if self.learner.faults >= FAULTS_BEFORE_ROLLBACK:
            self._roll_back()

    def _roll_back(self) -> None:
        """Three faults in a row: back to the last good state with half the step. Says so."""
        at, spent = self.learner.num_images_seen, self.allowance
        rollbacks, scale = self.rollbacks + 1, self.learner.learning_rate_scale / 2
        if rollbacks > MOST_ROLLBACKS:
            raise UserError(
                f"Training diverges: {MOST_ROLLBACKS} returns to the last good state did not help",
                "begin a new run with a smaller step (--set training.lr=3e-4) or with --set training.clip=1",
            )
        if not self.restore():
            config, shape, old = self.run.config, self.run.dataset.domain.shape, self.learner
            self.learner = Learner(config, shape, self.run.condition, old.device, config.seed, old.num_pictures)
        self.allowance = spent
        self.rollbacks, self.learner.learning_rate_scale, self.learner.faults = rollbacks, scale, 0
        self.say(
            f"gradients were not finite at {at:,} images: back to {self.learner.num_images_seen:,}, step × {scale:g}"
        )

    def _tick_is_due(self) -> bool:
        ticks = self.run.config.training.ticks
        return self.learner.num_images_seen >= min(1.0, (self.tick + 1) / ticks) * self.plan.total_images

    def _tick(self, diary: Diary) -> None:
        """Validate, show, keep the best, look at the clock, save."""
        self._count_seconds()
        begun, (seen_before, then) = time.monotonic(), self.marked
        seen = self.learner.num_images_seen
        rate = (seen - seen_before) / max(begun - then, 1e-9)
        may = self._may_judge()
        figures, said = self._judge(seen) if may else ({}, "not measured this time: measuring may take a twentieth")
        self._count_seconds()
        share = self.allowance.seconds / max(self.plan.seconds_used, 1e-9)
        diary.write(
            seen,
            {f"loss/{name}": value for name, value in self.losses.items()}
            | {f"validation/{name}": value for name, value in figures.items()}
            | {
                "speed/images_per_second": rate,
                "time/seconds": self.plan.seconds_used,
                "time/validating_share": share,
            },
        )
        self.tick += 1
        self.say(f"{seen:>11,} images  {said}")
        self._count_seconds()
        self.plan.tick_seconds = time.monotonic() - begun
        ticks = self.run.config.training.ticks
        self.plan.revise(seen, rate, ticks - self.tick)
        # a plan that the clock has shortened may have passed several ticks at once
        self.tick = max(self.tick, seen * ticks // self.plan.total_images)
        self.save()
        self.marked = (seen, time.monotonic())

    # -- judging a moment -------------------------------------------------------------------------------------------

    def settle_samples(self) -> None:
        """Decide how many samples are judged at each tick, unless that was decided when the run began."""
        if self.allowance.samples:
            return
        training = self.run.config.training
        asked = training.validation_samples
        self.allowance.samples = samples_for(self.plan.total_images, training.ticks) if asked == "auto" else asked

    def _may_judge(self) -> bool:
        """Whether the clock leaves room for it. The end is always judged, and so is what a person asked for in numbers."""
        by_clock = self.plan.minutes is not None and self.run.config.training.validation_samples == "auto"
        ticks_left = self.run.config.training.ticks - self.tick - 1
        ended = self.learner.num_images_seen >= self.plan.total_images or self.plan.seconds_left(ticks_left) <= 0
        return not by_clock or ended or self.allowance.covers_another(self.plan.seconds_used)

    def _figures(self, bundle: Bundle) -> dict[str, float]:
        pieces = (samples for samples, _ in bundle.pieces(self.allowance.samples, seed=self.run.config.seed))
        return self.validator.figures_of(pieces) | self.validator.of_autoencoder(bundle)

    def _judge(self, seen: int) -> tuple[dict[str, float], str]:
        """The validation figures of this moment, and words for them; if it is the best, it becomes the bundle."""
        begun = time.monotonic()
        made = publish.provenance(self.run, seen, self.plan.seconds_used)
        bundle, fields = publish.as_bundle(self.run, self.learner, made)
        figures = self._figures(bundle)
        grid = publish.sample_grid(bundle)
        publish.write_grid(grid, self.run.folder / "samples" / f"{seen:09d}.png")
        watched = figures[self.best.watch]
        is_best = self.best.offer(watched, seen)
        if is_best:
            made = publish.provenance(self.run, seen, self.plan.seconds_used, figures)
            bundle, fields = publish.as_bundle(self.run, self.learner, made)
            publish.write_bundle(self.run, bundle, fields, grid)
        self.allowance.spend(time.monotonic() - begun)
        return figures, f"{self.best.watch.replace('_', ' ')} {watched:.4f}{'  best so far' if is_best else ''}"
