"""Alla Prima itself, with its defaults. Everything that it does with its minutes counts: opening the dataset, training
the features that judge its checkpoints, measuring its speed, planning, validating, writing checkpoints and bundles.

Its plan keeps to within a fiftieth of the budget that it is given, so it is given that much less: a run that the bell cuts
short has not published its last state. At a mark it shows the moving average of its generator; at the end, the bundle that
the run has published, which is what a person gets. ``gan`` and ``vae`` see pictures alone, as all others do; ``gan-labels``
sees the classes too.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

OURS = True
PACKAGE = "allaprima"
INSTALL = None  # it runs in the project's own environment
LINES = {
    "gan": {"gan": "Alla Prima GAN"},
    "vae": {"vae": "Alla Prima VAE"},
    "gan-labels": {"gan-labels": "Alla Prima GAN, with labels"},
}
SETTINGS = {
    "gan": "the defaults of `allaprima train --method gan`, 98 % of the minutes planned",
    "vae": "the defaults of `allaprima train --method vae`, 98 % of the minutes planned",
    "gan-labels": "the defaults, on the same pictures with their labels",
}


def race(name: str, stage: Any) -> None:
    import torch  # noqa: F401 - imported before the clock runs, as everybody's packages are

    from allaprima.bundle.bundle import Bundle
    from allaprima.training import budget, command

    method = name.removesuffix("-labels")
    dataset = fresh(stage.job["labelled" if name.endswith("-labels") else "dataset"], Path(os.getcwd()) / "dataset")
    folder = Path(os.getcwd()) / "run"

    stage.start()
    show_at_marks(stage, folder)
    changes = [f"training.threads={len(stage.job['cores'])}"]
    changes = command.as_changes(method, stage.minutes_left * (1 - budget.TOLERANCE), None, stage.job["seed"], changes)
    outcome = command.train(str(dataset), folder, "32", changes)
    stage.finish(outcome.num_images_seen, lambda: {name: sampler(Bundle.load(folder))})


def fresh(dataset: str, target: Path) -> Path:
    """A copy of a prepared dataset as it was after ``prepare``: features that another run has left there are time saved."""
    return Path(shutil.copytree(dataset, target, ignore=shutil.ignore_patterns("features")))


def show_at_marks(stage: Any, folder: Path) -> None:
    """After each step of the learner the stage has its look. The step itself stays as it is."""
    from allaprima.bundle.bundle import Bundle
    from allaprima.training import publish
    from allaprima.training import run as runs
    from allaprima.training.learner import Learner

    name, step = stage.job["name"], Learner.step

    def watched(self: Learner, batch: Any, total_images: int) -> dict[str, float]:
        losses = step(self, batch, total_images)

        def as_it_is() -> dict[str, Any]:
            run = runs.open_run(folder)
            made = publish.provenance(run, self.num_images_seen, stage.clock.seconds())
            return {name: sampler(frozen(publish.as_bundle(run, self, made)[0]))}

        def as_published() -> dict[str, Any]:
            stands = (folder / "bundle" / "bundle.json").is_file()
            return {name: sampler(Bundle.load(folder))} if stands else as_it_is()

        stage.look(self.num_images_seen, as_it_is, final=as_published)
        return losses

    Learner.step = watched  # type: ignore[method-assign]


def frozen(bundle: Any) -> Any:
    """A copy whose nets do not learn on."""
    import copy

    return type(bundle)(bundle.description, copy.deepcopy(bundle.nets))


def sampler(bundle: Any) -> Any:
    return lambda count: bundle.sample(count, seed=1, as_="array")
