"""``train --live``: a generator that is quick at that size, for pictures of that size."""

from __future__ import annotations

from pathlib import Path

import pytest

from allaprima.core.config import load
from allaprima.core.errors import UserError
from allaprima.training.command import as_changes, train
from allaprima.training.config import RunConfig


@pytest.mark.parametrize(("size", "stem"), [(256, 3), (512, 4), (1024, 5)])
def test_live_means_a_live_generator_and_an_opponent_with_a_stem(size: int, stem: int) -> None:
    config = load(RunConfig, {}, as_changes(None, None, "1k", None, [], live=size))
    assert config.method.generator.component_name() == "live"
    assert config.method.discriminator.stem_levels == stem


def test_a_vae_has_a_live_decoder() -> None:
    config = load(RunConfig, {}, as_changes("vae", None, "1k", None, [], live=256))
    assert config.method.decoder.component_name() == "live"


def test_other_sizes_and_pictures_of_another_size_are_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no live generator of 300 px"):
        as_changes(None, None, "1k", None, [], live=300)
    with pytest.raises(UserError, match="16 × 16, not of 256 px"):
        train(str(tiny_dataset), tmp_path / "run", "64", as_changes(None, None, "1k", None, [], live=256), live=256)
    assert not (tmp_path / "run").exists()
