"""A VAE's other direction: from pictures to latents and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import nn

from allaprima.bundle.format import Description
from allaprima.core.errors import UserError, suggest

As = Literal["pil", "tensor", "array"]
Label = str | int | None
Pictures = Image.Image | Sequence[Image.Image] | torch.Tensor  # of any size; a tensor is [N,C,H,W] in [-1,1]
MOST_TRIED = 64  # classes among which the one of a picture is looked for


class Encodes:
    """What a bundle with an encoder can do; one without says so."""

    description: Description
    domain: Any
    encoder: nn.Module | None
    condition: nn.Module
    device: torch.device

    @property
    @abstractmethod
    def chunk(self) -> int:
        """As ``Bundle`` has it."""

    @property
    @abstractmethod
    def classes(self) -> list[str]:
        """As ``Bundle`` has it."""

    @property
    @abstractmethod
    def follows(self) -> dict[str, Any]:
        """As ``Bundle`` has it."""

    @abstractmethod
    def decode(self, latents: torch.Tensor, asked: Any = None) -> torch.Tensor:
        """As ``Bundle`` has it."""

    @abstractmethod
    def asked(self, count: int, seed: int = 0, start: int = 0, **wishes: Any) -> torch.Tensor:
        """As ``Bundle`` has it."""

    @abstractmethod
    def _as(self, samples: torch.Tensor, as_: Any) -> Any:
        """As ``Bundle`` has it."""

    @torch.inference_mode()
    def encode(self, pictures: Pictures, label: Label | Sequence[Label] = None, **wishes: Any) -> torch.Tensor:
        """Pictures of any size (or one), or a tensor ``[N,C,H,W]`` in [-1,1] → posterior means ``[N, latent_dim]``.

        Without ``label``, each picture of a generator by class gets the class of ``likeliest``. Raises UserError for a GAN,
        and when there are more than ``MOST_TRIED`` classes and no label is given.
        """
        samples = self._samples(pictures)
        return self._posterior(samples, self._own(samples, label, wishes))[0]

    @torch.inference_mode()
    def likeliest(self, pictures: Pictures) -> torch.Tensor:
        """The class, int64 ``[N]``, with which each picture comes back with the least squared error.

        Every class is tried, which costs as many reconstructions; raises UserError above ``MOST_TRIED`` classes.
        """
        samples = self._samples(pictures)
        if len(self.classes) > MOST_TRIED:
            raise UserError(
                f"This generator has {len(self.classes)} classes, too many to find out which pictures belong to",
                "give label=: a class name, or one for each picture",
            )
        errors = []
        for place in range(len(self.classes)):
            labels = torch.full((len(samples),), place)
            again = self.decode(self._posterior(samples, labels)[0], labels)
            errors.append((again - samples.cpu()).square().flatten(1).sum(1))
        return torch.stack(errors).argmin(0)

    def _own(self, samples: torch.Tensor, label: Label | Sequence[Label], wishes: dict[str, Any]) -> torch.Tensor:
        if "asked" in wishes:
            prepared: torch.Tensor = wishes["asked"]
            return prepared
        unknown = label is None and list(self.follows) == ["label"]
        return self.likeliest(samples) if unknown else self.asked(len(samples), label=label, **wishes)

    @torch.inference_mode()
    def posterior(
        self, pictures: Pictures, label: Label | Sequence[Label] = None, **wishes: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), each float32 ``[N, latent_dim]``; arguments and errors as of ``encode``."""
        samples = self._samples(pictures)
        return self._posterior(samples, self._own(samples, label, wishes))

    def _posterior(self, samples: torch.Tensor, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """float ``[N,C,H,W]`` and what is asked → mean and log variance ``[N, latent_dim]``, a chunk at a time."""
        assert self.encoder is not None
        parts = [torch.empty(0, 2 * self.description.latent_dim)]
        for start in range(0, len(samples), self.chunk):
            x, y = (of[start : start + self.chunk].to(self.device) for of in (samples, asked))
            parts.append(torch.cat(self.encoder(x, self.condition(y)), dim=1).float().cpu())
        mean, log_variance = torch.cat(parts).chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 20)  # as in training

    def _samples(self, pictures: Pictures) -> torch.Tensor:
        if self.encoder is None:
            raise UserError("This generator has no encoder: it is a GAN", "train with --method vae to encode pictures")
        if isinstance(pictures, torch.Tensor):
            return pictures
        return self._tensor([pictures] if isinstance(pictures, Image.Image) else pictures)

    def _tensor(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return self.domain.to_tensor(np.stack([self.domain.from_picture(picture) for picture in pictures]))

    @torch.inference_mode()
    def reconstruct(
        self, pictures: Pictures, label: Label | Sequence[Label] = None, as_: As = "pil", **wishes: Any
    ) -> Any:
        """Each picture through the encoder and back; without ``label``, as of the class of ``likeliest``."""
        known(as_)
        samples = self._samples(pictures)
        asked = self._own(samples, label, wishes)
        return self._as(self.decode(self._posterior(samples, asked)[0], asked), as_)


def known(as_: str) -> None:
    """Raises UserError for what pictures cannot be had as."""
    if as_ not in get_args(As):
        raise UserError(f"Pictures cannot be had as_='{as_}'", suggest(str(as_), get_args(As)))
