"""Where a run stands in its plan: all that survives the process beside the learner, and what follows from it.

Use: ``course = Course(plan, Best()); course.is_due(num_images_seen, ticks)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from allaprima.training.allowance import Allowance, samples_for
from allaprima.training.budget import Plan
from allaprima.training.config import TrainingConfig
from allaprima.training.health import Health
from allaprima.training.stopping import Best


@dataclass
class Course:
    """``tick``: how many are over. ``rollbacks``: how often the run went back to an earlier moment."""

    plan: Plan
    best: Best
    allowance: Allowance = field(default_factory=Allowance)
    health: Health = field(default_factory=Health)
    tick: int = 0
    rollbacks: int = 0

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "plan": self.plan.state(),
            "best": self.best.state(),
            "allowance": self.allowance.state(),
            "health": self.health.state(),
            "tick": self.tick,
            "rollbacks": self.rollbacks,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Course:
        """The reverse of ``state``; what an older checkpoint lacks begins anew."""
        return cls(
            Plan(**state["plan"]),
            Best(**state["best"]),
            Allowance(**state.get("allowance", {})),
            Health(**state.get("health", {})),
            state["tick"],
            state["rollbacks"],
        )

    def is_over(self, num_images_seen: int) -> bool:
        """Whether the plan is fulfilled."""
        return num_images_seen >= self.plan.total_images

    def is_due(self, num_images_seen: int, ticks: int) -> bool:
        """Whether the next of ``ticks`` ticks is, the last of which comes at the end."""
        return num_images_seen >= min(1.0, (self.tick + 1) / ticks) * self.plan.total_images

    def catch_up(self, num_images_seen: int, ticks: int) -> None:
        """Pass over the ticks that a plan shortened by the clock has left behind."""
        self.tick = max(self.tick, num_images_seen * ticks // max(1, self.plan.total_images))

    def settle_samples(self, training: TrainingConfig) -> None:
        """Decide how many samples are judged at each tick, unless that was decided when the run began."""
        if not self.allowance.samples:
            asked = training.validation_samples
            self.allowance.samples = samples_for(self.plan.total_images, training.ticks) if asked == "auto" else asked

    def may_judge(self, num_images_seen: int, training: TrainingConfig) -> bool:
        """Whether budget leaves room for it. The end is always judged, and so is what a person asked for in numbers."""
        ticks_left = training.ticks - self.tick - 1
        ended = self.is_over(num_images_seen) or self.plan.seconds_left(ticks_left) <= 0
        if ended or training.validation_samples != "auto":
            return True
        if self.plan.minutes is None:
            return self.allowance.covers_images(num_images_seen)
        return self.allowance.covers_another(self.plan.seconds_used)

    def looks_left(self, training: TrainingConfig) -> float:
        """How many ticks are still to be judged, the end among them."""
        ticks_left = max(1, training.ticks - self.tick)
        if self.plan.minutes is None or training.validation_samples != "auto":
            return ticks_left
        return self.allowance.looks_left(self.plan.minutes * 60, ticks_left)
