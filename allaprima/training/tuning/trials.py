"""What a search varies and what it remembers: the space of settings, and an Optuna study on SQLite.

Trials are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011; jointly over all settings: Falkner et al.
2018), which learns from trials that were cut short too. A trial is cut short by the median rule (Golovin et al. 2017, section
3.2.2): its best figure so far is worse than the median of the others at the same part of their way. Successive halving and
Hyperband want dozens of trials at each rung; here one machine makes ten or twenty, and where a learning rate falls over
the run a bold trial is judged unfairly early, which halving would punish by three in four.

Use: ``with open_study(path, "lower") as study: ...``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allaprima.core.errors import UserError
from allaprima.core.seeds import derive
from allaprima.core.spans import Between, Multiples, OneOf, Spans, Times
from allaprima.training.config import RunConfig

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

COMMON: Spans = {
    "training.lr": Times(1 / 4, 4),
    "training.batch_size": Multiples((1 / 2, 1, 2)),
    "training.ema_half_life": Times(1 / 4, 4),
}
UNCUT_TRIALS = 4  # a median of fewer says little
UNCUT_SHARE = 0.4  # of a trial's way; before that a learning rate that falls has shown nothing yet
RANDOM_SHARE, FEWEST_RANDOM, MOST_RANDOM = 1 / 2, 5, 10  # with fewer it settles on what came first
NAME = "tune"
Space = dict[str, Between | OneOf]
Values = dict[str, Any]


def require_optuna() -> None:
    """Raises UserError, naming the extra, where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError("A search needs the package optuna", "install it: pip install 'allaprima[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)


# -- the space ------------------------------------------------------------------------------------------------------------


def refuse_private(config: RunConfig) -> None:
    """Raises UserError for a method that may look at the pictures once: each trial would be another look, and a judge more."""
    if getattr(config.method, "PRIVATE", False):
        raise UserError(
            "A search would look at the pictures again and again, which a private method must not",
            "search on pictures that anyone may see, and train on the others with what was found",
        )


def space_of(config: RunConfig, fixed: Collection[str], epochs: float) -> tuple[Space, Values]:
    """Where to look for each setting, and the defaults; what is ``fixed`` is left out.

    ``config`` holds no ``auto`` of training's; those of the method are what they come to when each picture is shown
    ``epochs`` times. Raises UserError when nothing is left to vary.
    """
    if hasattr(config.method, "settled"):
        config = config.model_copy(update={"method": config.method.settled(epochs)})
    space, defaults = {}, {}
    for name, span in ({**COMMON, **getattr(config.method, "searched", {})}).items():
        default = reduce(getattr, name.split("."), config)
        found = None if span is None or name in fixed else span.around(default)
        if found is not None:
            space[name], defaults[name] = found, default
    if not space:
        raise UserError(
            f"Nothing is left to search for the method '{config.method.component_name()}'",
            "leave out some of --set: each of them fixes a setting",
        )
    return space, defaults


def plain(space: Space) -> dict[str, Any]:
    """As JSON."""
    return {
        name: list(span.values) if isinstance(span, OneOf) else {"low": span.low, "high": span.high, "log": span.log}
        for name, span in space.items()
    }


def suggest(trial: Trial, space: Space) -> Values:
    """The trial's settings. Asked again of a trial that was cut in the middle, it gives the same."""
    return {name: _suggest(trial, name, span) for name, span in space.items()}


def _suggest(trial: Trial, name: str, span: Between | OneOf) -> Any:
    if isinstance(span, OneOf):
        return trial.suggest_categorical(name, list(span.values))
    return rounded(trial.suggest_float(name, span.low, span.high, log=span.log))


def rounded(value: Any) -> Any:
    """Numbers to three digits, so that what is printed is what was run."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def values_of(trial: FrozenTrial, space: Space) -> Values:
    """The settings of a trial that is over."""
    return {name: rounded(trial.params[name]) for name in space}


# -- the study ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_study(path: Path, better: str, ticks: int) -> Iterator[Study]:
    """The study in the file ``path``, made if need be; ``better`` is ``lower`` or ``higher``. Reports count ticks from 1.

    Raises UserError where the file cannot be read or written.
    """
    import optuna
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
        try:
            yield optuna.create_study(
                storage=storage,
                pruner=optuna.pruners.MedianPruner(UNCUT_TRIALS, max(1, round(UNCUT_SHARE * ticks))),
                study_name=NAME,
                direction="minimize" if better == "lower" else "maximize",
                load_if_exists=True,
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (OptunaError, SQLAlchemyError) as error:
        raise UserError(
            f"The search's record '{path}' cannot be used: {str(error).splitlines()[0]}",
            "make sure that there is space on the disk and nothing else writes it, or choose another folder",
        ) from error


def next_trial(study: Study, defaults: Values, seed: int, planned: int) -> Trial:
    """The trial that was cut in the middle, if there is one; else the defaults first, and then what the sampler proposes.

    A trial's random numbers follow from ``seed`` and its number alone, so that a search that was stopped goes on as one
    that never was.
    """
    import optuna
    from optuna.trial import Trial, TrialState

    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(defaults)
    open_ones = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    number = len(study.get_trials(deepcopy=False)) if not (open_ones or waiting) else (open_ones or waiting)[0].number
    startup = min(MOST_RANDOM, max(FEWEST_RANDOM, round(RANDOM_SHARE * planned)))
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=startup, multivariate=True, seed=derive(seed, "tune", number) % 2**32
    )
    return Trial(study, open_ones[0]._trial_id) if open_ones else study.ask()


def watcher(trial: Trial, ticks: int, images: int) -> Callable[[int, float], bool]:
    """Tells the study of every tick, once; says whether the trial should be cut short."""
    import math

    known = set(trial.study.trials[trial.number].intermediate_values)

    def hopeless(num_images_seen: int, figure: float) -> bool:
        tick = max(1, min(ticks, num_images_seen * ticks // images))
        if tick not in known and math.isfinite(figure):
            known.add(tick)
            trial.report(figure, tick)
        return tick < ticks and trial.should_prune()

    return hopeless


def importance(study: Study) -> dict[str, float]:
    """Share of each setting in what the figures vary by (fANOVA, Hutter et al. 2014), largest first.

    Empty without scikit-learn, for fewer whole trials than settings, and where all figures are the same.
    """
    import optuna
    from optuna.trial import TrialState

    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not whole or len(whole) < max(UNCUT_TRIALS, len(whole[0].params)):
        return {}
    if len({trial.value for trial in whole}) < 2:
        return {}
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    except ImportError:
        return {}
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
