"""Sums of clipped per-sample gradients (DP-SGD, Abadi et al. 2016, algorithm 1), without ever holding a gradient a sample.

Σ c_i g_i needs the norms ‖g_i‖ alone. A layer's gradient for sample i is Σ_t g_it a_itᵀ of what came back and of what went in;
its norm is that of two small Gram matrices, and the sum is one product (ghost clipping, Li et al. 2022; book-keeping, Bu et al.
2023): about twice the work of a plain step, where ``vmap(grad)`` takes eight times (``LOG.md``). Nets with layers that are not
known here are differentiated sample by sample all the same, by ``torch.func``.

Use: ``sums = clipped_sum(nets, scores_of, loss, count, clip, automatic=False)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

SLACK = 2**-9  # GPUs multiply with ten bits: what is clipped to a norm may come out so much longer
GAMMA = 0.01  # of automatic clipping (Bu et al. 2023, "Automatic clipping", section 4)
KNOWN = (nn.Conv2d, nn.Linear, nn.Embedding, nn.GroupNorm)

Inputs = tuple[torch.Tensor, ...]


class Critic(nn.Module):
    """A discriminator with its condition: real and generated samples with the same condition → scores ``[2, N]``."""

    def __init__(self, discriminator: nn.Module, condition: nn.Module) -> None:
        super().__init__()
        self.discriminator, self.condition = discriminator, condition

    def forward(self, real: torch.Tensor, fake: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        y = self.condition(asked)
        return self.discriminator(torch.cat([real, fake]), y.repeat(2, 1)).float().view(2, -1)


def factors(norms: torch.Tensor, clip: float, automatic: bool) -> torch.Tensor:
    """What each gradient ``[N]`` is multiplied by, so that none is longer than ``clip``; 0 for one that is not finite.

    min(1, C / ‖g‖), or C / (‖g‖ + γ): each is then about as long as any other.
    """
    longer = norms * (1 + SLACK)
    c = clip / (longer + GAMMA) if automatic else (clip / longer.clamp_min(1e-12)).clamp(max=1.0)
    return torch.where(norms.isfinite(), c, 0.0)


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def clipped_sum(critic: Critic, loss: Loss, inputs: Inputs, clip: float, automatic: bool) -> list[torch.Tensor]:
    """Σ_i of the clipped gradients of ``loss(real score, fake score)_i`` by each parameter of ``critic``, in their order.

    ``inputs``: what ``critic`` takes, of N ≥ 1 samples. No sample moves the sums together by more than ``clip``.
    """
    known = is_known(critic)
    return (_by_layer if known else _one_by_one)(critic, loss, inputs, clip, automatic)


def is_known(net: nn.Module) -> bool:
    """Whether every parameter is one of a layer whose gradients are known by its input and output."""
    owned = {id(p) for layer in net.modules() if _is_simple(layer) for p in layer.parameters(recurse=False)}
    return all(id(parameter) in owned for parameter in net.parameters())


def _is_simple(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.groups == 1 and layer.padding_mode == "zeros" and layer.padding not in ("same", "valid")
    if isinstance(layer, nn.Embedding):
        return layer.max_norm is None and layer.padding_idx is None and not layer.scale_grad_by_freq
    return isinstance(layer, KNOWN)


# -- by torch.func ------------------------------------------------------------------------------------------------------


def _one_by_one(critic: Critic, loss: Loss, inputs: Inputs, clip: float, automatic: bool) -> list[torch.Tensor]:
    parameters = {name: p.detach() for name, p in critic.named_parameters()}

    def of_one(parameters: dict[str, torch.Tensor], *sample: torch.Tensor) -> torch.Tensor:
        real, fake = functional_call(critic, parameters, tuple(part[None] for part in sample))
        return loss(real, fake).sum()

    each = vmap(grad(of_one), in_dims=(None, *[0] * len(inputs)))(parameters, *inputs)
    squares = torch.stack([g.float().flatten(1).square().sum(1) for g in each.values()]).sum(0)
    c = factors(squares.sqrt(), clip, automatic)
    return [torch.tensordot(c, _without(c == 0, g.float()), 1) for g in each.values()]


def _without(left_out: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``[N, …]`` with zeros for some samples: nothing times infinity is not nothing."""
    return values.masked_fill(left_out.view(-1, *[1] * (values.dim() - 1)), 0.0)


# -- by layer -----------------------------------------------------------------------------------------------------------


def _by_layer(critic: Critic, loss: Loss, inputs: Inputs, clip: float, automatic: bool) -> list[torch.Tensor]:
    count, kept = len(inputs[0]), _Kept()
    with kept.watching(critic):
        real, fake = critic(*inputs)
        # what a layer gave is what is asked for: no gradient of a weight is worked out that nobody uses
        losses = vmap(lambda one, other: loss(one[None], other[None])[0])(real, fake)
        coming = torch.autograd.grad(losses.sum(), [given for _, _, given in kept.calls])
    found: dict[int, Piece] = {}
    for (layer, taken, _), back in zip(kept.calls, coming, strict=True):
        for piece in _pieces(layer, taken, back, count):
            key = id(piece.parameter)
            found[key] = found[key].join(piece) if key in found else piece
    norms = torch.stack([piece.squares() for piece in found.values()]).sum(0).clamp_min(0).sqrt()
    c = factors(norms, clip, automatic)
    if bool((left_out := c == 0).any()):
        found = {key: piece.without(left_out) for key, piece in found.items()}
    return [found[id(p)].weighted(c).view_as(p) if id(p) in found else torch.zeros_like(p) for p in critic.parameters()]


class _Kept:
    """What went into each layer with parameters and what came out, call by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
        self._hooks: list[Any] = []

    def watching(self, net: nn.Module) -> _Kept:
        for layer in net.modules():
            if isinstance(layer, KNOWN):
                self._hooks.append(layer.register_forward_hook(self._keep))
        return self

    def _keep(self, layer: nn.Module, taken: tuple[torch.Tensor, ...], given: torch.Tensor) -> None:
        self.calls.append((layer, taken[0].detach(), given))

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


class Piece:
    """A parameter's gradients Σ_t left_it right_itᵀ: ``left`` ``[N, T, O]``, ``right`` ``[N, T, K]``, or None for Σ_t left_it."""

    def __init__(self, parameter: torch.Tensor, left: torch.Tensor, right: torch.Tensor | None = None) -> None:
        self.parameter, self.left, self.right = parameter, left.float(), right if right is None else right.float()

    def join(self, other: Piece) -> Piece:
        """The same of a layer that was called once more."""
        left = torch.cat([self.left, other.left], 1)
        if self.right is None or other.right is None:
            return Piece(self.parameter, left)
        return Piece(self.parameter, left, torch.cat([self.right, other.right], 1))

    def without(self, left_out: torch.Tensor) -> Piece:
        """The same with zeros for some samples, bool ``[N]``."""
        right = self.right if self.right is None else _without(left_out, self.right)
        return Piece(self.parameter, _without(left_out, self.left), right)

    def squares(self) -> torch.Tensor:
        """‖g_i‖² ``[N]``."""
        if self.right is None:
            return self.left.sum(1).square().sum(1)
        times, outs, ins = self.left.shape[1], self.left.shape[2], self.right.shape[2]
        if times * (outs + ins) < outs * ins:  # of the two ways the one with less work
            grams = torch.bmm(self.left, self.left.mT) * torch.bmm(self.right, self.right.mT)
            return grams.flatten(1).sum(1)
        return torch.bmm(self.left.mT, self.right).flatten(1).square().sum(1)

    def weighted(self, c: torch.Tensor) -> torch.Tensor:
        """Σ_i c_i g_i."""
        left = self.left * c[:, None, None]
        if self.right is None:
            return left.sum((0, 1))
        return left.flatten(0, 1).T @ self.right.flatten(0, 1)


def _pieces(layer: nn.Module, taken: torch.Tensor, back: torch.Tensor, count: int) -> list[Piece]:
    """The gradients of one call's parameters. Rows i, i + N, … belong to sample i: times of it."""

    def times(rows: torch.Tensor) -> torch.Tensor:
        """``[M N, T, F]`` → ``[N, M T, F]``."""
        return rows.unflatten(0, (-1, count)).transpose(0, 1).flatten(1, 2)

    if isinstance(layer, nn.Embedding):
        chosen = F.one_hot(taken, layer.num_embeddings)[:, None].to(back)
        return [Piece(layer.weight, times(chosen), times(back[:, None]))]
    if isinstance(layer, nn.Conv2d):
        patches = F.unfold(taken, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type]  # numbers: ``_is_simple``
        left = times(back.flatten(2).mT)
        found = [Piece(layer.weight, left, times(patches.mT))]
    elif isinstance(layer, nn.Linear):
        left = times(back.reshape(len(back), -1, back.shape[-1]))
        found = [Piece(layer.weight, left, times(taken.reshape(len(taken), -1, taken.shape[-1])))]
    else:
        assert isinstance(layer, nn.GroupNorm)
        normal = F.group_norm(taken, layer.num_groups, eps=layer.eps)
        left = times(back.flatten(2).mT)
        found = [Piece(layer.weight, times((back * normal).flatten(2).mT))]
    if layer.bias is not None:
        found.append(Piece(layer.bias, left))
    return found
