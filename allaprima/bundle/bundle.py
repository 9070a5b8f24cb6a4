"""A generator that has left training: load it, paint with it. What serves needs nothing else.

Use: ``bundle = Bundle.load("runs/cats"); bundle.sample(16, seed=0)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import nn

from allaprima.bundle.format import Description
from allaprima.core.errors import UserError, suggest
from allaprima.core.seeds import derive, torch_stream

As = Literal["pil", "tensor", "array"]
Label = str | int | None
Net = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Pictures = Image.Image | Sequence[Image.Image] | torch.Tensor  # of any size; a tensor is [N,C,H,W] in [-1,1]
MOST_TRIED = 64  # classes among which the one of a picture is looked for


class Bundle:
    """The nets of one generator, in float32 on ``device``, in evaluation mode."""

    def __init__(self, description: Description, nets: dict[str, nn.Module], folder: Path | None = None) -> None:
        self.description = description
        self.folder = folder
        self.domain: Any = description.domain.build()  # type: ignore[attr-defined]  # every domain's Config has build()
        self.nets = nets
        self.generator = nets["generator"]
        self.condition = nets["condition"]
        self.encoder = nets.get("encoder")
        self.prior = nets.get("prior")
        self.device = next(self.generator.parameters()).device

    def __repr__(self) -> str:
        shape = self.domain.shape
        named = f"{len(self.classes)} classes" if self.classes else "no classes"
        return (
            f"<Bundle {shape.spatial[1]}x{shape.spatial[0]} px, {shape.channels} channels, {named}, "
            f"generator {self.description.generator.component_name()}, latent_dim {self.description.latent_dim}>"
        )

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Bundle:
        """A bundle's folder, or a run's. Raises UserError when there is none, or it is damaged or newer."""
        from allaprima.bundle.files import read

        return cls(*read(Path(path), device))

    @property
    def classes(self) -> list[str]:
        """Class names; empty for a generator without classes."""
        return list(getattr(self.description.condition, "classes", []))

    # -- latents and conditions -------------------------------------------------------------------------------------

    def noise(self, count: int, seed: int = 0, start: int = 0) -> torch.Tensor:
        """float32 ``[count, latent_dim]`` from N(0, I): picture ``i`` of a seed is the same in any batch."""
        dim = self.description.latent_dim
        streams = (torch_stream(seed, "picture", i) for i in range(start, start + count))
        rows = [torch.randn(dim, generator=stream) for stream in streams]
        return torch.stack(rows) if rows else torch.empty(0, dim)

    @torch.no_grad()
    def from_noise(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Noise ``[N, latent_dim]`` (and prepared labels) → latents through the prior; without a prior, noise as it is."""
        if self.prior is None:
            return noise
        if labels is None:
            labels = self.labels(len(noise))
        return self._in_chunks(lambda z, y: self.prior(z, y), noise, labels, noise[:0])  # type: ignore[misc]  # not None

    def latents(self, count: int, seed: int = 0, start: int = 0, labels: torch.Tensor | None = None) -> torch.Tensor:
        """float32 ``[count, latent_dim]`` as ``sample`` decodes them; ``labels`` as ``decode`` takes them."""
        return self.from_noise(self.noise(count, seed, start), labels)

    def labels(self, count: int, label: Label | Sequence[Label] = None, seed: int = 0, start: int = 0) -> torch.Tensor:
        """Prepared conditions ``[count]``: the asked label (one, or one each), or drawn as often as in training."""
        condition: Any = self.description.condition
        if label is None and self.classes:
            edges = np.cumsum(self.description.condition_weights)
            draws = [derive(seed, "label", i) / 2**63 for i in range(start, start + count)]
            drawn = np.searchsorted(edges, np.array(draws) * edges[-1], side="right")
            return torch.from_numpy(drawn.clip(0, len(self.classes) - 1)).long()
        many = isinstance(label, Sequence) and not isinstance(label, str)
        raw = list(label) if many else [label] * count  # type: ignore[arg-type]  # `many` says that it is a sequence
        if len(raw) != count:
            raise UserError(f"{len(raw)} labels for {count} pictures", "give one label, or one for each picture")
        return condition.prepare(raw)

    # -- painting ---------------------------------------------------------------------------------------------------

    @property
    def chunk(self) -> int:
        """How many pictures the net always sees at once: 16, fewer above 256 × 256 pixels, for the memory's sake.

        float32 sums come out differently in a batch of another size (BLAS chooses its kernels by it), by enough to
        change a pixel. So the last chunk is filled up, not shortened, and a picture depends on its latent alone.
        """
        return int(max(1, min(16, 2**20 // np.prod(self.domain.shape.spatial))))

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """float ``[N, latent_dim]`` (and prepared labels) → float32 ``[N, C, *spatial]`` in [-1, 1]."""
        if labels is None:
            labels = self.labels(len(latents))
        none = torch.empty(0, self.domain.shape.channels, *self.domain.shape.spatial)
        return self._in_chunks(lambda z, y: self.generator(z, y).float().clamp(-1, 1), latents, labels, none)

    def _in_chunks(self, net: Net, rows: torch.Tensor, labels: torch.Tensor, none: torch.Tensor) -> torch.Tensor:
        """``net(rows, embedded labels)``, ``chunk`` at a time, on the CPU; ``none`` is what no rows give."""
        parts = [none]
        for begin in range(0, len(rows), self.chunk):
            some = rows[begin : begin + self.chunk]
            filled = (begin + torch.arange(self.chunk)).clamp_max(len(rows) - 1)
            made = net(rows[filled].to(self.device), self.condition(labels[filled].to(self.device)))
            parts.append(made[: len(some)].float().cpu())
        return torch.cat(parts)

    def sample(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        as_: As = "pil",
    ) -> Any:
        """``count`` new pictures: PIL pictures, a float tensor ``[N,C,H,W]`` in [-1,1], or uint8 ``[N,H,W,C]``.

        ``truncation`` scales the noise: below 1 safer and more alike, above 1 bolder. No picture depends on
        ``batch_size``.
        """
        _known(as_)
        pieces = [samples for samples, _ in self.pieces(count, seed, label, truncation, batch_size)]
        return self._as(torch.cat(pieces) if pieces else self.decode(self.latents(0)), as_)

    def stream(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """The pictures of ``sample`` piece by piece: uint8 ``[n, H, W, C]`` and prepared labels ``[n]``.

        One piece is in memory at a time. Bad arguments raise UserError at once, not at the first piece.
        """
        pieces = self.pieces(count, seed, label, truncation, batch_size)
        return ((self.domain.to_array(samples), labels) for samples, labels in pieces)

    def pieces(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``stream`` before the pictures are rounded: float32 ``[n,C,H,W]`` in [-1, 1] and prepared labels ``[n]``."""
        if count < 0:
            raise UserError(f"{count} pictures cannot be painted", "ask for 1 or more")
        if batch_size < 1:
            raise UserError(f"A batch of {batch_size} pictures cannot be painted", "take 1 or more at a time")
        if not 0 <= truncation < float("inf"):
            raise UserError(f"Truncation cannot be {truncation}", "give a number: 0 makes all alike, 1 is as trained")
        labels = self.labels(count, label, seed)
        starts = range(0, count, batch_size)
        groups = [labels[start : start + batch_size] for start in starts]
        return (
            (self.decode(self.from_noise(self.noise(len(group), seed, start) * truncation, group), group), group)
            for start, group in zip(starts, groups, strict=True)
        )

    def _as(self, samples: torch.Tensor, as_: As) -> Any:
        if as_ == "tensor":
            return samples
        array = self.domain.to_array(samples)
        return array if as_ == "array" else self.domain.to_pictures(array)

    # -- a VAE's other direction ------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, pictures: Pictures, label: Label | Sequence[Label] = None) -> torch.Tensor:
        """Pictures of any size (or one), or a tensor ``[N,C,H,W]`` in [-1,1] → posterior means ``[N, latent_dim]``.

        Without ``label``, each picture gets the class of ``likeliest``. Raises UserError for a GAN, and when there are
        more than ``MOST_TRIED`` classes and no label is given.
        """
        samples = self._samples(pictures)
        return self._means(samples, self._own_labels(samples, label))

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
            again = self.decode(self._means(samples, labels), labels)
            errors.append((again - samples.cpu()).square().flatten(1).sum(1))
        return torch.stack(errors).argmin(0)

    def _own_labels(self, samples: torch.Tensor, label: Label | Sequence[Label]) -> torch.Tensor:
        unknown = label is None and self.classes
        return self.likeliest(samples) if unknown else self.labels(len(samples), label)

    @torch.inference_mode()
    def posterior(self, pictures: Pictures, label: Label | Sequence[Label] = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), each float32 ``[N, latent_dim]``; arguments and errors as of ``encode``."""
        samples = self._samples(pictures)
        return self._posterior(samples, self._own_labels(samples, label))

    def _posterior(self, samples: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """float ``[N,C,H,W]`` and prepared labels → mean and log variance ``[N, latent_dim]``, a chunk at a time."""
        assert self.encoder is not None
        parts = [torch.empty(0, 2 * self.description.latent_dim)]
        for start in range(0, len(samples), self.chunk):
            x, y = (of[start : start + self.chunk].to(self.device) for of in (samples, labels))
            parts.append(torch.cat(self.encoder(x, self.condition(y)), dim=1).float().cpu())
        mean, log_variance = torch.cat(parts).chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 20)  # as in training

    def _means(self, samples: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self._posterior(samples, labels)[0]

    def _samples(self, pictures: Pictures) -> torch.Tensor:
        if self.encoder is None:
            raise UserError("This generator has no encoder: it is a GAN", "train with --method vae to encode pictures")
        if isinstance(pictures, torch.Tensor):
            return pictures
        return self._tensor([pictures] if isinstance(pictures, Image.Image) else pictures)

    def _tensor(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return self.domain.to_tensor(np.stack([self.domain.from_picture(picture) for picture in pictures]))

    @torch.inference_mode()
    def reconstruct(self, pictures: Pictures, label: Label | Sequence[Label] = None, as_: As = "pil") -> Any:
        """Each picture through the encoder and back; without ``label``, as of the class of ``likeliest``."""
        _known(as_)
        samples = self._samples(pictures)
        labels = self._own_labels(samples, label)
        return self._as(self.decode(self._means(samples, labels), labels), as_)

    def interpolate(
        self, start: torch.Tensor, end: torch.Tensor, steps: int = 8, label: Label = None, as_: As = "pil"
    ) -> Any:
        """``steps`` pictures on the way between two latents ``[latent_dim]``, both ends included, by slerp.

        Raises UserError for fewer than 2 steps.
        """
        _known(as_)
        if steps < 2:
            raise UserError(
                f"No way has {steps} step{'s' * (steps != 1)}", "ask for 2 steps or more: both ends are shown"
            )
        way = torch.linspace(0, 1, steps)
        latents = torch.stack([slerp(start, end, float(t)) for t in way])
        labels = self.labels(1, label).expand(steps)
        return self._as(self.decode(latents, labels), as_)


def _known(as_: str) -> None:
    if as_ not in get_args(As):
        raise UserError(f"Pictures cannot be had as_='{as_}'", suggest(str(as_), get_args(As)))


def slerp(start: torch.Tensor, end: torch.Tensor, t: float) -> torch.Tensor:
    """Spherical interpolation of two latents (Shoemake 1985), lengths interpolated linearly; ``t`` in [0, 1].

    A straight line would pass nearer to the origin than samples of N(0, I) ever lie.
    """
    a, b = start / start.norm().clamp_min(1e-8), end / end.norm().clamp_min(1e-8)
    angle = torch.arccos((a * b).sum().clamp(-1, 1))
    if angle.sin() < 1e-3:  # parallel or opposite: no arc is defined
        return start * (1 - t) + end * t
    direction = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / angle.sin()
    return direction * (start.norm() * (1 - t) + end.norm() * t)
