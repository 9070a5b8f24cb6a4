"""Which steps are at fault: a loss or gradient that is not finite, a gradient spike, losses that run away.

All of it is decided by tensors on the device, so that no step waits; only ``look`` reads it, now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

SPIKE = 1e3  # a gradient this many times the usual norm is a fault, not a signal
NORM_MEMORY = 0.98
STEPS_BEFORE_SPIKES = 50
# losses that stay above this many times the first one: healthy runs stay below 10, diverging ones pass 1,000
RUNAWAY = 50.0
LOSS_MEMORY = 0.9


class Watch:
    """Judges each phase's step and counts those at fault in a row.

    Losses run away when they stay for some seven steps above twice ``RUNAWAY`` times the first one (or 1, if that was less).
    """

    def __init__(self, phases: Sequence[str], device: torch.device) -> None:
        self.usual_norm = {phase: torch.zeros((), device=device) for phase in phases}
        self.first_loss = {phase: torch.zeros((), device=device) for phase in phases}
        self.usual_loss = {phase: torch.zeros((), device=device) for phase in phases}
        self._in_a_row = torch.zeros((), dtype=torch.int64, device=device)
        self._longest = torch.zeros((), dtype=torch.int64, device=device)
        self._fine = torch.ones((), dtype=torch.bool, device=device)

    def judge(
        self, phase: str, total: torch.Tensor, norm: torch.Tensor, step_number: int | torch.Tensor
    ) -> torch.Tensor:
        """Whether a step may be taken, a boolean scalar: ``total`` is what the phase descends, ``norm`` the gradient's.

        All that is remembered stays where it is, for a step that is recorded.
        """
        finite = norm.isfinite() & total.isfinite()
        usual, level, first = self.usual_norm[phase], self.usual_loss[phase], self.first_loss[phase]
        # a phase may join late: its first loss is the first that it has
        first.copy_(torch.where(finite & (first == 0), total.abs().clamp_min(1.0), first))
        # one wild step alone is no flight: what counts of it is bounded
        seen = torch.minimum(total, 2 * RUNAWAY * first)
        level.copy_(torch.where(finite, LOSS_MEMORY * level + (1 - LOSS_MEMORY) * seen, level))
        fine = finite & ((level <= RUNAWAY * first) | (first == 0))
        fine = fine & ((norm <= SPIKE * usual) | (usual == 0) | (step_number < STEPS_BEFORE_SPIKES))
        lately = torch.where(usual == 0, norm, NORM_MEMORY * usual + (1 - NORM_MEMORY) * norm)
        usual.copy_(torch.where(fine, lately, usual))
        self._fine.logical_and_(fine)
        return fine

    def end_step(self) -> None:
        """A step is at fault if one of its phases is."""
        self._in_a_row.add_(1).mul_(~self._fine)
        torch.maximum(self._longest, self._in_a_row, out=self._longest)
        self._fine.fill_(True)

    def look(self) -> int:
        """The longest row of faulty steps since the last look. Waits for the device."""
        longest = int(self._longest)
        self._longest.copy_(self._in_a_row)
        return longest

    def is_calm(self) -> bool:
        """Whether the last step was fine. Waits for the device."""
        return int(self._in_a_row) == 0

    def ran_away(self) -> bool:
        """Whether the losses are too high, rather than not finite."""
        return any(float(self.usual_loss[name]) > RUNAWAY * float(first) for name, first in self.first_loss.items())

    def forgive(self) -> None:
        """Count anew."""
        self._in_a_row.zero_()
        self._longest.zero_()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        found: dict[str, Any] = {
            name: {phase: float(value) for phase, value in getattr(self, name).items()}
            for name in ("usual_norm", "first_loss", "usual_loss")
        }
        return found | {"faults": int(self._in_a_row)}

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of ``state``; what an older checkpoint lacks stays."""
        for name in ("usual_norm", "first_loss", "usual_loss"):
            own = getattr(self, name)
            for phase, value in own.items():
                value.fill_(state.get(name, {}).get(phase, float(value)))
        self._in_a_row.fill_(state["faults"])
        self._longest.copy_(self._in_a_row)
