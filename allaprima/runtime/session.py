"""What a person is looking at, as a small JSON recipe, and the one client who looks.

State → frame is a pure function: undo, presets, links, recordings and tests all follow from that. Nothing here draws,
listens or waits.

Use: ``state = State.model_validate_json(text); z, y = latent(state, bundle), condition(state, bundle)``.
"""

from __future__ import annotations

import base64
import math
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field, model_validator

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.mixing import Embedded, mixed, slerp
from allaprima.core.config import Config
from allaprima.core.errors import UserError
from allaprima.core.seeds import torch_stream
from allaprima.explain.directions import NUM_DIRECTIONS, levels, principal
from allaprima.models.conditions.sound import unpacked

SEEDS = 2**53  # what a browser's number holds exactly

LONGEST_TEXT = 1000  # characters
LONGEST_SOUND = 8000  # characters of base64
FARTHEST_PHOTO = 100.0  # of one number of its noise
LONGEST_PHOTO = 4000  # characters of base64
FARTHEST = 3.0  # standard deviations that a direction goes
EMBEDDED = 512  # wishes that are remembered

Coordinate = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class Point(Config):
    """One place in the space of noise, and what is asked there.

    ``x`` and ``y`` in [-1, 1] are angles in units of π: the pad is a torus, its left edge is its right edge.
    ``truncation`` in [0, 2] scales the noise. ``label`` is a class name; None takes the class that the seed draws.
    ``text`` is a wish in words, ``text_share`` in [0, 1] how far it is on the way to ``other_text``. ``sound`` is what was heard,
    packed (``models.conditions.sound``). ``directions``: how far along each of ``explain.directions``, in units of three standard
    deviations. ``photo``: noise that a picture was found at (``packed_noise``), which stands in for the seed's. Other things that
    are None are left out.
    """

    model_config = ConfigDict(strict=True)

    seed: int = Field(default=0, ge=0, lt=SEEDS)
    x: Coordinate = 0.0
    y: Coordinate = 0.0
    truncation: float = Field(default=1.0, ge=0, le=2, allow_inf_nan=False)
    label: str | None = Field(default=None, max_length=200)
    text: str | None = Field(default=None, max_length=LONGEST_TEXT)
    other_text: str | None = Field(default=None, max_length=LONGEST_TEXT)
    text_share: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    sound: str | None = Field(default=None, max_length=LONGEST_SOUND)
    directions: tuple[Coordinate, ...] | None = Field(default=None, max_length=NUM_DIRECTIONS, strict=False)
    photo: str | None = Field(default=None, max_length=LONGEST_PHOTO)


class State(Point):
    """A point, two pins ``a`` and ``b``, and ``mix`` in [0, 1]: while it is set, the picture lies between the pins.

    ``mix_middle`` and ``mix_fine``: other shares for what later layers see of the noise (``explain.directions.levels``); None
    goes with ``mix``, and so does what is asked for.
    """

    format: Literal[1] = 1
    a: Point | None = None
    b: Point | None = None
    mix: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    mix_middle: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    mix_fine: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _mix_needs_pins(self) -> State:
        if self.mix is not None and (self.a is None or self.b is None):
            raise ValueError("a mix needs both pins")
        return self


def latent(state: State, bundle: Bundle) -> torch.Tensor:
    """The state's latent, float32 ``[latent_dim]``: its ``noise``, through the prior where there is one."""
    drawn = noise(state, bundle)
    if bundle.prior is None:
        return drawn
    with torch.inference_mode():
        y = condition(state, bundle)
        return bundle.prior(drawn[None].to(bundle.device), y[None].to(bundle.device))[0].float().cpu()


def noise(state: State, bundle: Bundle) -> torch.Tensor:
    """The state's noise, float32 ``[latent_dim]``: the point's own, or slerp between the pins while mixing."""
    if state.mix is not None and state.a is not None and state.b is not None:
        start, end = _moved(state.a, bundle), _moved(state.b, bundle)
        shares = [state.mix if one is None else one for one in (state.mix, state.mix_middle, state.mix_fine)]
        if len(set(shares)) == 1:
            return slerp(start, end, state.mix)
        parts = zip(levels(bundle), shares, strict=True)
        return torch.stack([slerp(axes @ start, axes @ end, share) @ axes for axes, share in parts if len(axes)]).sum(0)
    return _moved(state, bundle)


def condition(state: State, bundle: Bundle) -> torch.Tensor:
    """What the state asks for as the nets take it, float32 ``[condition_dim]``; between two pins by slerp.

    Raises UserError, with the nearest name, for a class that the generator does not know, and for what it does not follow.
    """
    if state.mix is not None and state.a is not None and state.b is not None:
        return mixed(_wished(state.a, bundle), _wished(state.b, bundle), state.mix).y[0]
    return _wished(state, bundle).y[0]


def _wished(point: Point, bundle: Bundle) -> Embedded:
    wish = _embedded(bundle, point.label, point.text, point.sound, point.seed)
    if point.other_text is None or not point.text_share:
        return wish
    other = _embedded(bundle, point.label, point.other_text, point.sound, point.seed)
    return mixed(wish, other, point.text_share)


@lru_cache(maxsize=EMBEDDED)
def _embedded(bundle: Bundle, label: str | None, text: str | None, sound: str | None, seed: int) -> Embedded:
    """Remembered, for a hand that moves asks for the same again and again."""
    heard = unpacked(sound) if sound is not None else None
    return bundle.embed(bundle.asked(1, seed, label=label, text=text, sound=heard))


def _moved(point: Point, bundle: Bundle) -> torch.Tensor:
    """The place on the pad, moved along the directions."""
    place = _place(point, bundle.description.latent_dim)
    if not point.directions:
        return place
    ways = principal(bundle)
    far = torch.tensor(point.directions[: len(ways)])
    return place + FARTHEST * far @ ways[: len(far)]


def _place(point: Point, dim: int) -> torch.Tensor:
    """The pad as a flat (Clifford) torus through the seed's noise z: with e₁ … e₄ orthonormal and r = ‖z‖,

    r/√2 · (cos πx · e₁ + sin πx · e₂ + cos πy · e₃ + sin πy · e₄),  where  z = r/√2 · (e₁ + e₃).

    Every place has the norm of z, so it stays as typical of N(0, I) as z is; each axis is a circle; there are no poles:
    equal movements of the hand are equal movements of the latent everywhere. Below four dimensions, where such a torus
    has no room, the pad is the plane of the first two coordinates about z.
    """
    if dim < 4:
        moved = _base(point.seed, point.photo, dim).clone()
        moved += 2 * torch.tensor([point.x, point.y, 0.0])[:dim]
        return moved * point.truncation
    angles = math.pi * torch.tensor([point.x, point.y], dtype=torch.float64)
    turns = torch.stack([angles.cos(), angles.sin()], dim=1).flatten()  # cos πx, sin πx, cos πy, sin πy
    return (turns @ _torus(point.seed, point.photo, dim)).float() * point.truncation


@lru_cache(maxsize=1024)
def _torus(seed: int, photo: str | None, dim: int) -> torch.Tensor:
    """r/√2 · (e₁, e₂, e₃, e₄) of a seed, float64 ``[4, dim]``: double, so that the centre is z in float32."""
    z = _base(seed, photo, dim).double()
    others = torch.randn(3, dim, generator=torch_stream(seed, "pad"), dtype=torch.float64)
    # columns z, w, u, v made orthonormal in that order
    axes, _ = torch.linalg.qr(torch.cat([z[None], others]).T)
    z_axis, w, u, v = (axes * (axes[:, 0] @ z).sign()).T
    half = math.sqrt(0.5)
    return z.norm() * half * torch.stack([half * (z_axis + w), u, half * (z_axis - w), v])


@lru_cache(maxsize=1024)
def _base(seed: int, photo: str | None, dim: int) -> torch.Tensor:
    """A photo's noise, else that of the first picture of ``allaprima sample --seed``: the studio opens on the same picture."""
    if photo is not None:
        return _unpacked_noise(photo, dim)
    return torch.randn(dim, generator=torch_stream(seed, "picture", 0))


def packed_noise(noise: torch.Tensor) -> str:
    """float ``[latent_dim]`` → base64 of little-endian halves, as a state carries it."""
    return base64.b64encode(noise.numpy().astype("<f2").tobytes()).decode()


def _unpacked_noise(packed: str, dim: int) -> torch.Tensor:
    """float32 ``[dim]``. Raises UserError for what is not noise of this generator."""
    try:
        values = np.frombuffer(base64.b64decode(packed, validate=True), "<f2").astype(np.float32)
    except ValueError:
        values = np.empty(0, np.float32)
    if (
        len(values) != dim
        or not np.isfinite(values).all()
        or not np.abs(values).max() <= FARTHEST_PHOTO
        or not values.any()
    ):
        raise UserError("This state holds a photo of another generator", "show the photo to this one")
    return torch.from_numpy(values)


class Session:
    """One client's newest state, and whether it can take a frame. Newest wins: an older waiting state is forgotten.

    At most one frame is on its way until the client acknowledges it, so a slow reader never has a queue.
    """

    def __init__(self) -> None:
        self.version = 0  # states offered so far
        self.in_flight: int | None = None  # sequence number of the frame not yet acknowledged
        self._waiting: tuple[int, State] | None = None

    def offer(self, sequence: int, state: State) -> None:
        """Replace whatever waits. ``sequence`` is the client's own number; its frame carries it back."""
        self.version += 1
        self._waiting = (sequence, state)

    @property
    def ready(self) -> bool:
        """Whether a frame should be painted now."""
        return self._waiting is not None and self.in_flight is None

    def take(self) -> tuple[int, State]:
        """The newest state, which counts as in flight from now on. Only when ``ready``."""
        assert self._waiting is not None
        assert self.in_flight is None
        sequence, state = self._waiting
        self._waiting, self.in_flight = None, sequence
        return sequence, state

    def acknowledge(self, sequence: int) -> bool:
        """The client has shown its frame. Returns whether that frame was in flight; anything else changes nothing."""
        if self.in_flight != sequence:
            return False
        self.in_flight = None
        return True
