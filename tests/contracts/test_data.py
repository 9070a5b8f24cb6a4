"""Every domain, condition and augmentation keeps the promise of its room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from allaprima.core.config import Choice
from allaprima.core.errors import UserError
from allaprima.data.augment import AUGMENT
from allaprima.domains import DOMAINS
from allaprima.models.conditions import CONDITIONS, left_out
from tests.contracts.tiny import SHAPES, asked

CLASSES = ["cat", "fish", "tree"]


@pytest.mark.parametrize("name", CONDITIONS.names())
def test_a_condition_prepares_embeds_and_is_written_and_read(name: str) -> None:
    config, raw, _ = asked(name, CLASSES)
    raw[2] = raw[0]
    prepared = config.prepare(raw)
    assert len(prepared) == 3
    torch.testing.assert_close(config.prepare(raw[1:2]), prepared[1:2])  # a row depends on its own value alone
    embedded = config.build(config.width(8))(prepared)
    assert embedded.shape == (3, config.width(8))
    assert embedded.isfinite().all()
    torch.testing.assert_close(embedded[0], embedded[2])
    assert name == "none" or not torch.allclose(embedded[0], embedded[1], atol=1e-3)
    assert Choice(CONDITIONS).resolve(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("name", CONDITIONS.names())
def test_a_condition_refuses_what_it_does_not_know_in_plain_words(name: str) -> None:
    config, _, refused = asked(name, CLASSES)
    with pytest.raises(UserError):
        config.prepare([refused])


@pytest.mark.parametrize("name", [name for name in CONDITIONS.names() if name not in ("none", "label")])
def test_a_condition_that_may_be_left_out_says_so_with_a_row_that_no_value_gives(name: str) -> None:
    config, raw, _ = asked(name, CLASSES)
    assert left_out(config, config.prepare([None, *raw])).tolist() == [True, False, False, False]


@pytest.mark.parametrize("name", DOMAINS.names())
def test_a_domain_stores_what_a_net_gives_and_gives_back_what_is_stored(name: str) -> None:
    domain = DOMAINS.get(name).Config().build()
    draw = torch.Generator().manual_seed(0)
    samples = torch.rand(2, domain.shape.channels, *domain.shape.spatial, generator=draw) * 2 - 1
    stored = domain.to_array(samples)
    assert isinstance(stored, np.ndarray)
    again = domain.to_tensor(stored)
    assert again.shape == samples.shape
    assert again.dtype == torch.float32
    assert again.min() >= -1
    assert again.max() <= 1
    assert (again - samples).abs().max() <= 1.01 / 255
    np.testing.assert_array_equal(domain.to_array(again), stored)
    assert len(domain.to_pictures(stored)) == 2
    assert domain.to_grid(stored).width > 0


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("name", AUGMENT.names())
def test_an_augmentation_keeps_shape_and_range_and_lets_gradients_through(name: str, shape: Any) -> None:
    augment = AUGMENT.get(name).augment
    draw = torch.Generator().manual_seed(0)
    samples = torch.rand(16, shape.channels, *shape.spatial, generator=draw).mul(2).sub(1).requires_grad_()
    changed = augment(samples, torch.Generator().manual_seed(1))
    assert changed.shape == samples.shape
    assert changed.dtype == samples.dtype
    assert changed.isfinite().all()
    changed.square().sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    assert samples.grad.abs().max() > 0


@pytest.mark.parametrize("name", AUGMENT.names())
def test_an_augmentation_is_a_function_of_its_random_stream_and_differs_between_samples(name: str) -> None:
    augment = AUGMENT.get(name).augment
    one = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    samples = one.expand(16, -1, -1, -1).contiguous()
    kept = samples.clone()
    first, second = (augment(samples, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(samples, kept, rtol=0, atol=0)
    assert len(torch.unique(first.flatten(1), dim=0)) > 1
    assert not torch.equal(first, augment(samples, torch.Generator().manual_seed(8)))
