"""How much to augment, by how far a discriminator has learned its pictures by heart (ADA, Karras et al. 2020).

r = (E D(train) - E D(held out)) / (E D(train) - E D(generated)), equation 1: 0 where training pictures are scored as any other
of their kind, 1 where the others are taken for generated ones. Both differences stay the same when all scores are shifted, so
that it means something for a relativistic loss too, whose scores have no zero.

Use: ``adaptive.note(real_score, fake_score)`` at each step, ``adaptive.look(held_score, progress)`` now and then.
"""

from __future__ import annotations

import torch
from torch import nn

SPAN = 0.2  # the share of a run in which p can go from 0 to 1: ADA takes 500 of 25,000 kimg, but of runs a hundred times longer
MEMORY = (
    0.97  # of the differences, from look to look: with a relativistic loss the gap is a tenth of the scores' spread
)
STEPS_BETWEEN_LOOKS = 4
MOST = 0.9  # a discriminator that never sees a picture as it is lets the augmentation into the samples


class Adaptive(nn.Module):
    """``probability``: a scalar in [0, 0.9], on the device. All it knows are buffers, so that checkpoints hold it."""

    probability: torch.Tensor
    latest: torch.Tensor
    differences: torch.Tensor
    looked_at: torch.Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("latest", torch.zeros(2))  # mean scores of this step's training and generated samples
        self.register_buffer("differences", torch.zeros(2))  # numerator and denominator of r
        self.register_buffer("looked_at", torch.zeros(()))

    @torch.no_grad()
    def note(self, real_score: torch.Tensor, fake_score: torch.Tensor) -> None:
        """Scores ``[N]`` of training and of generated samples, augmented as the discriminator sees them."""
        self.latest.copy_(torch.stack([real_score.mean(), fake_score.mean()]))

    @torch.no_grad()
    def look(self, held_score: torch.Tensor, progress: float) -> None:
        """Scores ``[N]`` of held-out samples, augmented alike: p moves one way or the other, by the run's progress since."""
        train, generated = self.latest
        now = torch.stack([train - held_score.mean(), train - generated])
        self.differences.lerp_(now, 1 - MEMORY)
        # a constant step, as ADA's: what r exceeds its target by says little, whether it does says all
        # a run that is extended, or begun from another, has gone back
        step = (progress - self.looked_at).clamp_min(0) / SPAN * torch.sign(self.overfitting() - self.target)
        self.probability.add_(step).clamp_(0, MOST)
        self.looked_at.fill_(progress)

    def overfitting(self) -> torch.Tensor:
        """r, a scalar; 0 while real and generated samples are not told apart."""
        upper, lower = self.differences
        return torch.where(lower > 0, upper / lower.clamp_min(1e-6), torch.zeros_like(lower))
