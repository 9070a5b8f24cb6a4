"""Tuning: short runs that differ in their settings, compared on the validation split, within a budget of minutes.

    settings.json     what was asked and what was planned: the same folder goes on only with the same settings
    study.db          Optuna's record of the trials: settings, figures tick by tick
    trials/000/       a run as any other; 000 has the default settings
    again/defaults/   trained once more with another seed, and longer where time is left
    again/best/
    best.yaml         settings for ``allaprima train … --recipe FOLDER/best.yaml``
    tune.json, tune.html

The best of many trials is the best partly by luck, so its figure promises too much. That is why the defaults and the best of
the others are trained again with another seed: those two figures are what one may believe, and they decide. The test split
is not touched.

Use: ``tune(dataset, Path("runs/cats-tune"), Asked(config=config, minutes=60))``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.core.files import claim_folder, write_json
from allaprima.core.spans import OneOf
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.validation import BETTER
from allaprima.training import loop
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.signals import StoppedEarlyError, StopRequest
from allaprima.training.tuning import planning, trials
from allaprima.training.tuning.asked import SETTINGS, Asked, check_same, settings_of, standing_in
from allaprima.training.tuning.planning import BATCH, Bounds, Plan
from allaprima.training.tuning.report import Found
from allaprima.training.tuning.search import Search, judged
from allaprima.training.tuning.trials import Space, Values


def tune(dataset: Dataset, folder: Path, asked: Asked, say: Callable[[str], None] = print) -> Found | None:
    """Search, or go on with a search; write ``best.yaml``, ``tune.json`` and ``tune.html``.

    None after Ctrl-C or SIGTERM: nothing is lost, and the same call goes on. Raises UserError, before anything is written,
    where settings and dataset do not go together, optuna is missing, or ``folder`` holds something else.
    """
    began = time.monotonic()
    trials.require_optuna()
    runs.check(asked.config, dataset)
    standing = standing_in(folder)
    base = runs.resolve(asked.config, dataset)
    with StopRequest() as stop:
        try:
            trials.refuse_private(base)
            trials.space_of(base, asked.fixed, 1.0)  # that there is something to search is found out now
            with claim_folder(folder):
                plan = Plan.from_json(standing["plan"]) if standing else _plan(dataset, asked, base, began)
                settled, space, defaults = _space(dataset, asked, plan)
                settings = settings_of(dataset, asked, base, space)
                if standing is not None:
                    check_same(folder, standing, settings)
                else:
                    write_json(folder / SETTINGS, {**settings, "plan": plan.to_json()})
                # from here on a stop waits for the next place where everything is saved
                stop.can_wait = True
                ticks = judged(settled, asked, plan)[1]
                with trials.open_study(folder / "study.db", BETTER[base.training.watch], ticks) as study:
                    search = Search(dataset, folder, asked, settled, space, defaults, plan, study, stop, say, began)
                    return search.go()
        except StoppedEarlyError:
            return None


def _plan(dataset: Dataset, asked: Asked, base: RunConfig, began: float) -> Plan:
    """A new search's; makes the features that judge it, once for all trials."""
    device = Device.choose(base.training.precision, base.training.threads)
    seconds = loop.FEATURE_SECONDS
    if asked.minutes is not None:
        seconds = min(seconds, loop.FEATURE_SHARE * asked.minutes * 60)
    FEATURES.get(base.training.features).load_or_train(dataset, device, seconds)
    bounds = Bounds(asked.minutes, asked.trials, asked.images)
    return planning.make_plan(base, dataset, asked.fixed, bounds, time.monotonic() - began)


def _space(dataset: Dataset, asked: Asked, plan: Plan) -> tuple[RunConfig, Space, Values]:
    """The defaults as a whole configuration, where to look, and the defaults as numbers."""
    settled = load(RunConfig, plan.config)
    epochs = planning.epochs_of(dataset, plan.images[settled.training.batch_size])
    space, defaults = trials.space_of(settled, asked.fixed, epochs)
    if BATCH in space:
        space[BATCH] = OneOf(tuple(sorted(plan.images)))
    return settled, space, defaults
