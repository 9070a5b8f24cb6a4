"""Any component, made small: so that a new file is tested by being there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from allaprima.core.catalog import Catalog
from allaprima.core.config import Choice, Component
from allaprima.domains import Shape
from allaprima.models.conditions import CONDITIONS

SMALL = {
    "width": 8,
    "max_width": 16,
    "head_width": 4,
    "stem_width": 4,
    "style_dim": 8,
    "latent_dim": 6,
    "features": "untrained",
}
SHAPES = {
    "rgb": Shape(3, (16, 16)),
    "not square": Shape(3, (24, 16)),
    "grey": Shape(1, (16, 16)),
    "with alpha": Shape(4, (16, 16)),
}
LATENT_DIM = 6
CONDITION_DIM = 8
BATCH = 4


def shrink(values: Any) -> Any:
    """The same settings with every width made small, nested components too."""
    if not isinstance(values, dict):
        return values
    return {key: SMALL.get(key) or shrink(value) for key, value in values.items()}


def small(catalog: Catalog, name: str, **changes: Any) -> Component:
    """The Config of one catalogue entry, small, with ``changes`` of its settings."""
    choice = Choice(catalog)
    return choice.resolve({**shrink(choice.resolve(name).model_dump(mode="json")), **changes})


CAPTIONS = ["a red fish", "a blue cat", "a green tree", "a red cat"]


def asked(name: str, classes: list[str]) -> tuple[Any, list[Any], Any]:
    """A condition's Config that knows ``classes``, words and columns, one raw value for each class, and one that it refuses."""
    found = CONDITIONS.get(name).Config
    tones = [np.sin(np.arange(4000) * (place + 1) / 20).astype(np.float32) for place in range(len(classes))]
    each: dict[str, tuple[Any, list[Any], Any]] = {
        "none": (found(), [None] * len(classes), "something"),
        "label": (found(**{"classes": classes} if name == "label" else {}), list(classes), "no such class"),
        "text": (found(), CAPTIONS[: len(classes)], 3),
        "sound": (found(), tones, "no-such-file.wav"),
        "attributes": (
            found(),
            [{"size": place, "kind": "ab"[place % 2]} for place in range(len(classes))],
            {"weight": 3},
        ),
    }
    if name == "several":
        parts = [asked(part, classes) for part in ("text", "attributes")]
        rows = [{"text": text, "attributes": columns} for text, columns in zip(parts[0][1], parts[1][1], strict=True)]
        return found(parts=[part[0] for part in parts]), rows, {"text": 3}
    config, raw, refused = each[name]
    if name == "text":
        config = config.fitted(CAPTIONS)
    if name == "attributes":
        config = config.fitted([{"size": place, "kind": "ab"[place % 2]} for place in range(8)])
    return config, raw, refused


def literal_settings(catalog: Catalog, name: str) -> list[tuple[str, Any]]:
    """Every value of every setting of an entry that is one of a few words: ``("activation", "relu")`` and so on."""
    fields = catalog.get(name).Config.model_fields
    words = [(key, word) for key, field in fields.items() for word in get_args(field.annotation)]
    return [(key, word) for key, word in words if isinstance(word, str)]


def wake(net: nn.Module) -> nn.Module:
    """Move every weight off the zero that some start at, where gradients legitimately vanish."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net


def assert_learns_everywhere(net: nn.Module, outputs: torch.Tensor) -> None:
    """A loss on ``outputs`` reaches every weight with a finite gradient that is not zero."""
    (outputs.float() * torch.linspace(0.5, 1.5, outputs.numel()).view_as(outputs)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"{name} has a gradient that is not finite"
        assert parameter.grad.abs().max() > 0, f"{name} is never moved"


def assert_survives_disk(make: Callable[[], nn.Module], run: Callable[[nn.Module], torch.Tensor]) -> None:
    """Weights through safetensors into a fresh net paint exactly the same."""
    import safetensors.torch

    net = wake(make())
    run(net.train())  # so that running statistics are not those of a fresh net
    twin = make()
    twin.load_state_dict(safetensors.torch.load(safetensors.torch.save(net.state_dict())))
    with torch.no_grad():
        torch.testing.assert_close(run(twin.eval()), run(net.eval()), rtol=0, atol=0)
