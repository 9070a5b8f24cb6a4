"""What leaves training says what is true."""

from __future__ import annotations

import json
from pathlib import Path

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.training import loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig

SETTINGS = [
    "method.generator.width=8",
    "method.discriminator.width=8",
    "training.batch_size=8",
    "training.validation_samples=16",
    "training.features=pixels",
    "training.ticks=2",
]


def test_the_card_names_the_figure_and_the_images_of_the_generator_that_was_kept(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    config = load(RunConfig, {"budget": {"images": 48}}, SETTINGS)
    run = runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset))
    outcome = loop.train(run)
    card = (run.folder / "bundle" / "card.md").read_text(encoding="utf-8")
    made = json.loads((run.folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))["provenance"]
    assert made["validation_kernel_distance"] == round(outcome.best.figure or 0, 6)
    assert made["images_seen"] == outcome.best.num_images_seen
    assert f"{made['validation_kernel_distance']:.4f}" in card
    assert "not measured" not in card
    assert str(tmp_path) not in card
    assert str(tiny_dataset) not in json.dumps(made)


def test_a_run_that_is_stopped_before_its_first_tick_leaves_a_generator_all_the_same(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    from allaprima.training import publish
    from allaprima.training.learner import Learner

    config = load(RunConfig, {"budget": {"images": 48}}, SETTINGS)
    run = runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset))

    publish.write_now(run, Learner.of(run, Device.choose()), seconds=1.0)
    assert "not measured" in (run.folder / "bundle" / "card.md").read_text(encoding="utf-8")
    assert (run.folder / "bundle" / "preview.webp").is_file()
