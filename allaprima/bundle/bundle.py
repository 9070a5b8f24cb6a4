"""A generator that has left training: load it, paint with it. What serves needs nothing else.

Use: ``bundle = Bundle.load("runs/cats"); bundle.sample(16, seed=0)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from allaprima.bundle._encoding import As, Encodes, Label, known
from allaprima.bundle.format import Description
from allaprima.bundle.mixing import Embedded, slerp
from allaprima.core.errors import UserError
from allaprima.core.seeds import derive, torch_stream
from allaprima.models import conditions

Asked = torch.Tensor | Embedded
Net = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Bundle(Encodes):
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
    def load(cls, path: str | Path, device: str | torch.device = "cpu", download: bool = False) -> Bundle:
        """A bundle's folder, a run's, or an id on the Hugging Face hub, which ``download`` allows to fetch.

        Raises UserError when there is none, or it is damaged or newer.
        """
        from allaprima.bundle import hub
        from allaprima.bundle.files import read

        if isinstance(path, str) and hub.ID.match(path) and not Path(path).exists():
            return cls(*read(hub.fetched(path, download), device))
        return cls(*read(Path(path), device))

    @property
    def classes(self) -> list[str]:
        """Class names; empty for a generator without classes."""
        return list(getattr(self.follows.get("label"), "classes", []))

    @property
    def follows(self) -> dict[str, Any]:
        """What the generator can be asked: its conditions' Configs by name (``label``, ``text``, ``sound``, ``attributes``)."""
        return conditions.parts_of(self.description.condition)

    # -- latents and conditions -------------------------------------------------------------------------------------

    def noise(self, count: int, seed: int = 0, start: int = 0) -> torch.Tensor:
        """float32 ``[count, latent_dim]`` from N(0, I): picture ``i`` of a seed is the same in any batch."""
        dim = self.description.latent_dim
        streams = (torch_stream(seed, "picture", i) for i in range(start, start + count))
        rows = [torch.randn(dim, generator=stream) for stream in streams]
        return torch.stack(rows) if rows else torch.empty(0, dim)

    @torch.no_grad()
    def from_noise(self, noise: torch.Tensor, asked: Asked | None = None) -> torch.Tensor:
        """Noise ``[N, latent_dim]`` → latents through the prior; without a prior, noise as it is."""
        if self.prior is None:
            return noise
        return self._in_chunks(lambda z, y: self.prior(z, y), noise, asked, noise[:0])  # type: ignore[misc]  # not None

    def latents(self, count: int, seed: int = 0, start: int = 0, asked: Asked | None = None) -> torch.Tensor:
        """float32 ``[count, latent_dim]`` as ``sample`` decodes them; ``asked`` as ``decode`` takes it."""
        return self.from_noise(self.noise(count, seed, start), asked)

    def asked(self, count: int, seed: int = 0, start: int = 0, **wishes: Any) -> torch.Tensor:
        """What ``wishes`` (``label``, ``text``, ``sound``, ``attributes``) ask of ``count`` pictures, prepared: ``[count, …]``.

        A list holds one value for each picture. What is not said is left out; a generator that follows classes alone draws
        them as often as they were in training. Raises UserError for what it does not follow or does not know.
        """
        condition: Any = self.description.condition
        if condition.component_name() == "label" and self.classes and wishes.get("label") is None:
            conditions.check(condition, wishes)
            edges = np.cumsum(self.description.condition_weights)
            draws = [derive(seed, "label", i) / 2**63 for i in range(start, start + count)]
            drawn = np.searchsorted(edges, np.array(draws) * edges[-1], side="right")
            return torch.from_numpy(drawn.clip(0, len(self.classes) - 1)).long()
        return conditions.prepare(condition, wishes, count)

    @torch.inference_mode()
    def embed(self, prepared: torch.Tensor) -> Embedded:
        """Prepared conditions ``[N, …]`` → what the nets take, which can be mixed (``mixed``)."""
        chunks = [
            self.condition(prepared[self._filled(begin, len(prepared))].to(self.device))[: len(prepared) - begin]
            .float()
            .cpu()
            for begin in range(0, len(prepared), self.chunk)
        ]
        return Embedded(torch.cat(chunks) if chunks else torch.empty(0, self.description.condition_dim))

    # -- painting ---------------------------------------------------------------------------------------------------

    @property
    def chunk(self) -> int:
        """How many pictures the net always sees at once: 16, fewer above 256 × 256 pixels, for the memory's sake.

        float32 sums come out differently in a batch of another size (BLAS chooses its kernels by it), by enough to
        change a pixel. So the last chunk is filled up, not shortened, and a picture depends on its latent alone.
        """
        return int(max(1, min(16, 2**20 // np.prod(self.domain.shape.spatial))))

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor, asked: Asked | None = None) -> torch.Tensor:
        """float ``[N, latent_dim]``, and what is ``asked`` (of ``asked()`` or ``embed()``; by default nothing) → float32
        ``[N, C, *spatial]`` in [-1, 1].
        """
        none = torch.empty(0, self.domain.shape.channels, *self.domain.shape.spatial)
        return self._in_chunks(lambda z, y: self.generator(z, y).float().clamp(-1, 1), latents, asked, none)

    def _in_chunks(self, net: Net, rows: torch.Tensor, asked: Asked | None, none: torch.Tensor) -> torch.Tensor:
        """``net(rows, y)``, ``chunk`` at a time, on the CPU; ``none`` is what no rows give."""
        if asked is None:
            asked = self.asked(len(rows))
        y = asked if isinstance(asked, Embedded) else self.embed(asked)
        parts = [none]
        for begin in range(0, len(rows), self.chunk):
            filled = self._filled(begin, len(rows))
            made = net(rows[filled].to(self.device), y.y[filled].to(self.device))
            parts.append(made[: len(rows) - begin].float().cpu())
        return torch.cat(parts)

    def _filled(self, begin: int, count: int) -> torch.Tensor:
        """The places of a chunk that begins there; behind the last, that one again."""
        return (begin + torch.arange(self.chunk)).clamp_max(count - 1)

    def sample(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        as_: As = "pil",
        **wishes: Any,
    ) -> Any:
        """``count`` new pictures: PIL pictures, a float tensor ``[N,C,H,W]`` in [-1,1], or uint8 ``[N,H,W,C]``.

        ``label`` and ``wishes`` (``text=``, ``sound=``, ``attributes=``) say what they show, see ``asked``; ``asked=`` takes what
        that or ``embed`` gives. ``truncation`` scales the noise: below 1 safer and more alike, above 1 bolder. No picture
        depends on ``batch_size``.
        """
        known(as_)
        pieces = [samples for samples, _ in self.pieces(count, seed, label, truncation, batch_size, **wishes)]
        return self._as(torch.cat(pieces) if pieces else self.decode(self.latents(0)), as_)

    def stream(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        **wishes: Any,
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """The pictures of ``sample`` piece by piece: uint8 ``[n, H, W, C]`` and the classes asked for, int64 ``[n]``, -1 for
        none.

        One piece is in memory at a time. Bad arguments raise UserError at once, not at the first piece.
        """
        pieces = self.pieces(count, seed, label, truncation, batch_size, **wishes)
        return ((self.domain.to_array(samples), labels) for samples, labels in pieces)

    def pieces(
        self,
        count: int,
        seed: int = 0,
        label: Label | Sequence[Label] = None,
        truncation: float = 1.0,
        batch_size: int = 256,
        asked: Asked | None = None,
        **wishes: Any,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``stream`` before the pictures are rounded: float32 ``[n,C,H,W]`` in [-1, 1] and the classes."""
        if count < 0:
            raise UserError(f"{count} pictures cannot be painted", "ask for 1 or more")
        if batch_size < 1:
            raise UserError(f"A batch of {batch_size} pictures cannot be painted", "take 1 or more at a time")
        if not 0 <= truncation < float("inf"):
            raise UserError(f"Truncation cannot be {truncation}", "give a number: 0 makes all alike, 1 is as trained")
        if asked is None:
            asked = self.asked(count, seed, label=label, **wishes)
        starts = range(0, count, batch_size)
        groups = [asked[start : start + batch_size] for start in starts]
        return (
            (
                self.decode(self.from_noise(self.noise(len(group), seed, start) * truncation, group), group),
                self._numbers(group),
            )
            for start, group in zip(starts, groups, strict=True)
        )

    def _numbers(self, asked: Asked) -> torch.Tensor:
        """The classes' numbers, int64 ``[N]``: -1 where none is asked for; zeros for a generator without classes."""
        condition: Any = self.description.condition
        if isinstance(asked, Embedded):
            return torch.full((len(asked),), -1)
        if condition.component_name() == "several" and self.classes:
            place = list(conditions.parts_of(condition)).index("label")
            return condition.apart(asked)[place]
        return asked.long() if asked.dim() == 1 else torch.zeros(len(asked), dtype=torch.int64)

    def _as(self, samples: torch.Tensor, as_: As) -> Any:
        if as_ == "tensor":
            return samples
        array = self.domain.to_array(samples)
        return array if as_ == "array" else self.domain.to_pictures(array)

    def interpolate(
        self,
        start: torch.Tensor,
        end: torch.Tensor,
        steps: int = 8,
        label: Label = None,
        as_: As = "pil",
        **wishes: Any,
    ) -> Any:
        """``steps`` pictures on the way between two latents ``[latent_dim]``, both ends included, by slerp.

        Raises UserError for fewer than 2 steps.
        """
        known(as_)
        if steps < 2:
            raise UserError(
                f"No way has {steps} step{'s' * (steps != 1)}", "ask for 2 steps or more: both ends are shown"
            )
        way = torch.linspace(0, 1, steps)
        latents = torch.stack([slerp(start, end, float(t)) for t in way])
        asked = wishes["asked"] if "asked" in wishes else self.asked(1, label=label, **wishes)
        return self._as(self.decode(latents, asked.expand(steps, *asked.shape[1:])), as_)
