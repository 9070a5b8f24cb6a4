"""Which of some weights fit the nets of a new method: all of a generator, and of its conditions what means the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from allaprima.bundle.format import Description
from allaprima.core.errors import UserError
from allaprima.models.conditions import classes_of

Tensors = Mapping[str, torch.Tensor]
OPPONENTS = ("adversary.", "opponent.")  # what a GAN and a VAE call theirs


class Fit:
    """Collects ``tensors`` by their names in ``method``, and ``said``, a person's account of what could not come along."""

    def __init__(self, old: Description, condition: Any, method: nn.Module) -> None:
        self.old, self.condition, self.method = old, condition, method
        self.old_classes, self.new_classes = classes_of(old.condition), classes_of(condition)
        self.wanted: dict[str, torch.Tensor] = method.state_dict()
        self.tensors: dict[str, torch.Tensor] = {}
        self.said: list[str] = []
        self._tell_classes()

    def take(self, name: str, weights: Tensors) -> None:
        """A net of a bundle; one that the method does not have stays behind. Raises UserError when a shape differs."""
        if not any(key.startswith(f"{name}.") for key in self.wanted):
            return
        if name == "condition":
            self._take_condition("", weights)
            return
        missing = [
            key for key in self.wanted if key.startswith(f"{name}.") and key.removeprefix(f"{name}.") not in weights
        ]
        for key, value in weights.items():
            fitted = self._fitted(f"{name}.{key}", value)
            if fitted is None or missing:
                raise UserError(
                    f"The weights do not fit the new run's {name}",
                    f"leave out what changes the {name} (--set method.…), or leave out --from",
                )
            self.tensors[f"{name}.{key}"] = fitted

    def take_opponent(self, weights: Tensors) -> bool:
        """The weights of a checkpoint that no bundle holds, the discriminator's. Returns whether they fit.

        A GAN's for a GAN, a VAE's opponent for a VAE.
        """
        prefix = next((name for name in OPPONENTS if any(key.startswith(name) for key in self.wanted)), OPPONENTS[0])
        # how much to augment is learned anew
        own = {key for key in self.wanted if key.startswith(prefix) and not key.startswith(f"{prefix}adaptive.")}
        asked = {key for key in own if key.startswith(f"{prefix}condition.")}
        found: dict[str, torch.Tensor] = {}
        for key in own - asked:
            fresh = self.wanted[key]
            if key in weights and weights[key].shape == fresh.shape:
                found[key] = weights[key]
            # of a condition that is new, or of a discriminator that did not have to redraw pictures: it stays fresh
            elif not key.endswith("projection.weight") and not key.startswith(
                (f"{prefix}decoder.", f"{prefix}contrast.")
            ):
                return False
        self.tensors |= found
        self._take_condition(
            prefix, {key.removeprefix(f"{prefix}condition."): weights[key] for key in asked & weights.keys()}
        )
        return bool(own)

    def _take_condition(self, prefix: str, weights: Tensors) -> None:
        """Of classes by name; of texts and others all weights, where these mean the same in both."""
        if self.new_classes or self.old_classes:
            self._take_table(f"{prefix}condition.weight", weights)
        elif self.old.condition == self.condition:
            self.tensors |= {f"{prefix}condition.{key}": value for key, value in weights.items()}
        elif not prefix:
            self.said.append("it was asked for otherwise (by other words, or something else): that part begins afresh")

    def _take_table(self, key: str, weights: Tensors) -> None:
        """Rows of classes by name; those of classes that are new stay as they were drawn."""
        fresh, table = self.wanted.get(key), weights.get("weight")
        if fresh is None or table is None or table.shape[1:] != fresh.shape[1:]:
            return
        rows = fresh.clone()
        for number, name in enumerate(self.new_classes):
            if name in self.old_classes:
                rows[number] = table[self.old_classes.index(name)]
        self.tensors[key] = rows

    def _fitted(self, key: str, value: torch.Tensor) -> torch.Tensor | None:
        """``value`` in the new shape, or None. Where only the condition's width differs, its columns, the last, begin at 0."""
        fresh = self.wanted.get(key)
        if fresh is None or fresh.shape == value.shape:
            return None if fresh is None else value
        dim = self.method.condition_dim
        assert isinstance(dim, int), "every method tells its condition's width"
        rest = value.shape[1] - self.old.condition_dim if value.dim() == 2 else -1
        if fresh.dim() != 2 or fresh.shape[0] != value.shape[0] or fresh.shape[1] - dim != rest:
            return None
        columns = torch.zeros_like(fresh)
        columns[:, :rest] = value[:, :rest]
        return columns

    def _tell_classes(self) -> None:
        new = [name for name in self.new_classes if name not in self.old_classes]
        if new:
            some = ", ".join(new[:5]) + (", …" if len(new) > 5 else "")
            self.said.append(f"{len(new)} of {len(self.new_classes)} classes are new and begin afresh: {some}")
        if self.old_classes and not self.new_classes:
            self.said.append("the old generator painted by class, the new run has no classes: that part is left behind")
