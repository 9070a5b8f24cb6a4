"""Random streams are functions of seed, name and place: on every machine, in every process, whatever ran before."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from allaprima.core.seeds import derive, numpy_stream, torch_stream


def test_streams_are_the_same_on_every_machine() -> None:
    assert derive(0, "latents") == 1441319941358104026
    assert derive(0, "latents", 0) == 3921446798118366067
    assert derive(1, "order", 3, 4) == 2852027064641139010
    assert derive(-5, "é", 2**40) == 2592034590251932902
    assert numpy_stream(0, "x", 1).integers(0, 1000, 5).tolist() == [156, 852, 217, 251, 485]
    drawn = torch.randint(1000, (5,), generator=torch_stream(0, "x", 1))
    assert drawn.tolist() == [918, 321, 862, 353, 64]


def test_streams_are_the_same_in_another_process_whatever_its_hash_seed() -> None:
    code = "from allaprima.core.seeds import *; print(derive(3, 'order', 9), numpy_stream(3, 'a').integers(0, 2**60))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert seen == {f"{derive(3, 'order', 9)} {numpy_stream(3, 'a').integers(0, 2**60)}\n"}


def test_what_was_drawn_before_changes_nothing() -> None:
    first = torch.randn(4, generator=torch_stream(0, "latents", 5))
    torch.randn(1000)
    np.random.default_rng().random(1000)
    torch_stream(0, "latents", 4)
    assert torch.equal(torch.randn(4, generator=torch_stream(0, "latents", 5)), first)


@given(st.integers(), st.text(), st.lists(st.integers(min_value=0)))
def test_a_derived_seed_fits_both_libraries(seed: int, name: str, index: list[int]) -> None:
    value = derive(seed, name, *index)
    assert 0 <= value < 2**63
    torch.Generator().manual_seed(value)


def test_neighbouring_streams_share_nothing() -> None:
    seeds = {derive(seed, name, i) for seed in range(20) for name in ("a", "b", "ab") for i in range(200)}
    assert len(seeds) == 20 * 3 * 200
    assert derive(1, "a", 2) != derive(1, "a", 2, 0)
    assert derive(1, "a", 12) != derive(1, "a", 1, 2)
    draws = np.stack([numpy_stream(0, "latents", i).standard_normal(2000) for i in range(10)])
    correlation = np.corrcoef(draws) - np.eye(10)
    assert np.abs(correlation).max() < 0.1
