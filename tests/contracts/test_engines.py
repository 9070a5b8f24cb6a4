"""Every engine paints what the float32 reference paints."""

from __future__ import annotations

import pytest
import torch

from allaprima.bundle.untrained import untrained
from allaprima.models.generators import GENERATORS
from allaprima.runtime.engines import ENGINES


@pytest.mark.parametrize("generator", GENERATORS.names())
@pytest.mark.parametrize("name", ENGINES.names())
def test_an_engine_has_a_painter_that_agrees_with_the_reference(name: str, generator: str) -> None:
    bundle = untrained(16, classes=["cat", "fish"], latent_dim=8, generator=generator)
    z = bundle.latents(3, seed=1)
    with torch.no_grad():
        y = bundle.condition(torch.tensor([0, 1, 0])).float()
    wanted = bundle.decode(z, torch.tensor([0, 1, 0]))
    differences = []
    for painter in ENGINES.get(name).painters(bundle):
        painted = painter(z, y)
        assert painted.shape == wanted.shape
        assert painted.isfinite().all()
        assert painter(z[:1], y[:1]).shape == wanted[:1].shape
        assert painter.name
        differences.append(float((painted.clamp(-1, 1) - wanted).abs().mean()))
    assert min(differences) < 2 / 255
