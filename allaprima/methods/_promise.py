"""What a method that looks at pictures again and again has promised, and what of it is spent.

Everything that chance decides about real pictures, who takes part in a step, what stands beside each and the noise on what is
learned of them, follows from a secret and the number of the release. So a run that is killed and resumed makes the very same
releases again, which tells nothing more and spends nothing more. Whoever knows the secret can take the noise away: it stands in
checkpoints alone, never in a bundle, ``run.yaml`` or a log. SHAKE-256 (FIPS 202) with the secret first: to foretell its output is
as hard as to guess the secret. The run's ``seed``, which the card names, decides nothing here.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from allaprima.core.errors import UserError
from allaprima.methods._subsampled import noise_for

SECRET_BYTES = 32


@dataclass
class Promise:
    """``steps`` releases, in each of which every one of ``pictures`` takes part with chance ``rate``; ``spent`` are made.

    ``noise``: its standard deviation over the most that one picture can change the sum.
    """

    secret: str = field(repr=False)
    pictures: int
    rate: float
    steps: int
    noise: float
    spent: int = 0
    drawn: tuple[int, int] | None = None  # the release that pictures were last drawn for, and how many

    @classmethod
    def made(cls, epsilon: float, delta: float, pictures: int, batch_size: int, steps: int) -> Promise:
        """A new one, with noise for it. Raises UserError where none would do."""
        if batch_size > pictures:
            raise UserError(
                f"{pictures:,} training pictures cannot be drawn in batches of {batch_size:,}",
                f"add --set training.batch_size={max(1, pictures // 10)}",
            )
        rate = batch_size / pictures
        return cls(secrets.token_hex(SECRET_BYTES), pictures, rate, steps, noise_for(epsilon, delta, rate, steps))

    @property
    def expected(self) -> float:
        """Pictures that take part in a step, in the mean."""
        return self.rate * self.pictures

    @property
    def left(self) -> int:
        """Releases that may still be made."""
        return self.steps - self.spent

    def draw(self) -> np.ndarray:
        """Who takes part in the next release: bool ``[pictures]``, each by a coin of its own (Poisson sampling).

        Raises UserError when everything that was promised is spent.
        """
        if self.left <= 0:
            raise UserError(
                f"All {self.steps:,} steps that the promise covers are made: another would break it",
                "begin a new run with a larger budget; it spends an ε of its own, which adds to this one's",
            )
        coins = np.frombuffer(self._stream("pictures", 8 * self.pictures), "<u8")
        chosen = (coins >> 11) < round(self.rate * 2**53)  # rate 1 takes everybody
        self.drawn = (self.spent, int(chosen.sum()))
        return chosen

    def spend(self, count: int, values: int) -> np.ndarray:
        """Make the release that ``count`` pictures were drawn for: its noise, float64 ``[values]`` from N(0, noise²).

        Raises RuntimeError where the pictures were not drawn by ``draw`` for this very release.
        """
        if self.drawn != (self.spent, count):
            raise RuntimeError("pictures that were not drawn by chance for this very step would break the promise")
        noise = self.noise * self.normal("noise", values)
        self.spent += 1
        return noise

    def normal(self, name: str, values: int) -> np.ndarray:
        """The next release's stream ``name``: float64 ``[values]`` from N(0, 1), by Box and Muller (1958)."""
        pairs = -(-values // 2)
        words = np.frombuffer(self._stream(name, 16 * pairs), "<u8").reshape(2, pairs) >> 11
        length = np.sqrt(-2 * np.log((words[0] + 0.5) * 2**-53))
        angle = words[1] * (2 * np.pi * 2**-53)
        return np.concatenate([length * np.cos(angle), length * np.sin(angle)])[:values]

    def _stream(self, name: str, size: int) -> bytes:
        return hashlib.shake_256(bytes.fromhex(self.secret) + f"{name}/{self.spent}".encode()).digest(size)

    # -- in checkpoints ---------------------------------------------------------------------------------------------

    def to_tensor(self) -> torch.Tensor:
        """uint8 ``[bytes]``, for a checkpoint."""
        return torch.tensor(list(json.dumps(asdict(self) | {"drawn": None}).encode()), dtype=torch.uint8)

    @classmethod
    def of_tensor(cls, tensor: torch.Tensor) -> Promise:
        """The reverse of ``to_tensor``."""
        return cls(**json.loads(bytes(tensor.tolist())))
