"""Every engine paints what the float32 reference paints."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allaprima.bundle.untrained import untrained
from allaprima.core.errors import UserError
from allaprima.models.generators import GENERATORS
from allaprima.runtime.engine import TOLERANCE
from allaprima.runtime.engines import ENGINES
from tests.contracts.tiny import small

SLOW_TO_OPEN = {"compiled": ["residual"]}  # a compiler takes half a minute for each net: one of them has to do


@pytest.mark.parametrize("generator", GENERATORS.names())
@pytest.mark.parametrize("name", ENGINES.names())
def test_an_engine_has_a_painter_that_agrees_with_the_reference(name: str, generator: str) -> None:
    if generator not in SLOW_TO_OPEN.get(name, [generator]):
        pytest.skip("compiled once is enough")
    net = small(GENERATORS, generator)
    bundle = untrained(16, classes=["cat", "fish"], latent_dim=8, generator=net.model_dump(mode="json"))
    labels = torch.tensor([0, 1, 0])
    z, y = bundle.latents(3, seed=1), bundle.embed(labels).y
    wanted = bundle.domain.to_array(bundle.decode(z, labels)).astype(int)
    if name == "cuda" and not torch.cuda.is_available():
        with pytest.raises(UserError, match="NVIDIA"):
            list(ENGINES.get(name).painters(bundle))
        pytest.skip("no NVIDIA GPU")
    painters = list(ENGINES.get(name).painters(bundle))
    differences = []
    for painter in painters:
        painted = painter(z, y)
        assert painted.shape == wanted.shape
        assert painted.dtype == np.uint8
        assert painter(z[:1], y[:1]).shape == wanted[:1].shape
        assert painter.name
        kept = painted.copy()
        painter(-z, y)
        np.testing.assert_array_equal(painted, kept)  # a frame is not painted over by the next
        differences.append(float(np.abs(painted - wanted).mean()) / 255)
    assert min(differences) <= TOLERANCE
