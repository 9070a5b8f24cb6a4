"""Judging a moment of a run: samples of its moving averages are painted and measured, a grid of them is shown, and the moment
to be kept becomes the bundle.

Use: ``figures, words = Judge(run, validator).judge(learner, course)``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from allaprima.bundle.bundle import Bundle
from allaprima.evaluation.asking import asked_at, asked_places
from allaprima.evaluation.validation import Validator
from allaprima.training import publish
from allaprima.training.course import Course
from allaprima.training.learner import Learner
from allaprima.training.run import Run


@dataclass(frozen=True)
class Blind:
    """For a private run: nothing is measured against real pictures, the newest moment is the one that is kept."""

    run: Run

    def judge(self, learner: Learner, course: Course) -> tuple[dict[str, float], str]:
        """As ``Judge`` does, without figures."""
        begun = time.monotonic()
        seen = learner.num_images_seen
        made = publish.provenance(self.run, seen, course.plan.seconds_used)
        bundle, fields = publish.as_bundle(self.run, learner, made)
        grid = publish.sample_grid(bundle, self.run.dataset)
        publish.write_grid(grid, self.run.folder / "samples" / f"{seen:09d}.png")
        publish.write_bundle(self.run, bundle, fields, grid)
        course.allowance.spend(time.monotonic() - begun)
        return {}, "kept, not measured: that would look at real pictures"


@dataclass(frozen=True)
class Judge:
    """Of several processes the leading one alone has it."""

    run: Run
    validator: Validator

    def judge(self, learner: Learner, course: Course) -> tuple[dict[str, float], str]:
        """The validation figures of this moment by name, and words for them. What it took is spent of the allowance."""
        begun = time.monotonic()
        seen, used, best = learner.num_images_seen, course.plan.seconds_used, course.best
        bundle, fields = publish.as_bundle(self.run, learner, publish.provenance(self.run, seen, used))
        figures = self.figures(bundle, course.allowance.samples)
        grid = publish.sample_grid(bundle, self.run.dataset)
        publish.write_grid(grid, self.run.folder / "samples" / f"{seen:09d}.png")
        watched = figures[best.watch]
        is_kept = best.offer(watched, seen)
        if is_kept:
            made = publish.provenance(self.run, seen, used, figures)
            bundle, fields = publish.retold(bundle, fields, made)
            publish.write_bundle(self.run, bundle, fields, grid)
        course.allowance.spend(time.monotonic() - begun)
        return figures, f"{best.watch.replace('_', ' ')} {watched:.4f}{'  kept' if is_kept else ''}"

    def figures(self, bundle: Bundle, samples: int) -> dict[str, float]:
        """Of so many samples that ``bundle`` paints, and of its encoder where it has one."""
        seed, dataset = self.run.config.seed, self.run.dataset
        asked = asked_at(bundle, dataset, asked_places(bundle, dataset, "validation", samples, seed))
        pieces = (painted for painted, _ in bundle.pieces(samples, seed=seed, asked=asked))
        return self.validator.figures_of(pieces) | self.validator.of_autoencoder(bundle)
