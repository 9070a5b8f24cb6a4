"""A search at work: trials while the budget holds, then the defaults and the best of the others once more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allaprima.core.config import load, to_yaml
from allaprima.core.files import write_atomic, write_json
from allaprima.data.dataset import Dataset
from allaprima.evaluation.validation import BETTER
from allaprima.training import loop, planner
from allaprima.training import run as runs
from allaprima.training.config import RunConfig
from allaprima.training.session import DivergedError
from allaprima.training.signals import StopRequest
from allaprima.training.tuning import planning, trials
from allaprima.training.tuning.asked import Asked
from allaprima.training.tuning.planning import AGAIN, AGAIN_SECONDS, BATCH, Plan
from allaprima.training.tuning.report import Found, gather, heading, line, page
from allaprima.training.tuning.trials import Space, Values

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

CLOCK, FINAL = "seconds", "final"  # what the study remembers besides trials


def judged(base: RunConfig, asked: Asked, plan: Plan) -> tuple[int, int]:
    """Samples and ticks of a trial: the person's, or the plan's."""
    samples = base.training.validation_samples
    return (
        samples if "training.validation_samples" in asked.fixed and samples != "auto" else plan.samples,
        base.training.ticks if "training.ticks" in asked.fixed else planning.TICKS,
    )


@dataclass
class Search:
    """A search at work: ``study`` holds all that outlives the process, but for the runs themselves."""

    dataset: Dataset
    folder: Path
    asked: Asked
    base: RunConfig  # of every run: nothing left to the dataset or the method's taste
    space: Space
    defaults: Values
    plan: Plan
    study: Study
    stop: StopRequest
    say: Callable[[str], None]
    began: float

    def __post_init__(self) -> None:
        self._before = float(self.study.user_attrs.get(CLOCK, 0.0))

    # -- the way ----------------------------------------------------------------------------------------------------

    def go(self) -> Found | None:
        """Trials while the budget holds, then the two again; None when it was asked to stop."""
        self.say(self._describe())
        self._forget_final_of_another_budget()
        self.say(heading(self.base.training.watch))
        for trial in self._over():
            self.say(self._line(trial))
        self._tidy()
        while not self._final() and self._another_fits():
            if not self._try():
                return None
        if not self._train_again():
            return None
        return self._write()

    def _try(self) -> bool:
        """One trial, begun or gone on with; whether it came to its end."""
        trial = trials.next_trial(self.study, self.defaults, self.base.seed, self.plan.trials)
        values = trials.suggest(trial, self.space)
        config = self._config(values if trial.number else {}, values)
        ticks = config.training.ticks
        assert config.budget.images is not None, "trials are of images"
        watcher = trials.watcher(trial, ticks, config.budget.images)

        cut = False

        def hopeless(num_images_seen: int, figure: float) -> bool:
            nonlocal cut
            self._keep_clock()
            cut = watcher(num_images_seen, figure)
            return cut

        before = time.monotonic() - float(trial.user_attrs.get(CLOCK, 0.0))
        figure, seen = self._train(self._place(trial), config, hopeless)
        trial.set_user_attr(CLOCK, time.monotonic() - before)
        self._keep_clock()
        if seen is None:
            return False
        trial.set_user_attr("share", min(1.0, seen / config.budget.images))
        from optuna.trial import TrialState

        if figure is None or cut:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, figure)
        self.say(self._line(self.study.trials[trial.number]))
        self._tidy()
        return True

    def _train(self, folder: Path, config: RunConfig, hopeless: Callable[[int, float], bool]) -> Any:
        """Figure of the best moment (None: it never learned) and images seen (None: it was asked to stop)."""
        if self.stop.asked:
            return None, None
        known = runs.exists(folder)
        run = runs.open_run(folder, self.dataset) if known else runs.create(folder, config, self.dataset)
        try:
            outcome = loop.train(run, lambda text: None, hopeless)
        except DivergedError:
            return None, 0
        stopped = outcome.ending in ("stopped", "before")
        return outcome.best.figure, None if stopped else outcome.num_images_seen

    def _train_again(self) -> bool:
        """The defaults and the best of the others once more, with another seed, in what time is left; whether both ended."""
        best = self._best_other()
        if best is None:
            return True
        if not self._final():
            left = None if self.asked.minutes is None else max(0.01, self.asked.minutes - self._seconds() / 60) / AGAIN
            self.study.set_user_attr(FINAL, {"number": best.number, "minutes": left, "asked": self._budget()})
            self.say(f"again, with another seed{f', {left:.1f} minutes each' if left else ''}:")
        final = self._final()
        rival = self.study.trials[final["number"]]
        values = trials.values_of(rival, self.space)
        for name, changes in (("defaults", {}), ("best", values)):
            if name in final:
                continue
            config = self._config(changes, values if changes else self.defaults)
            budget = {"images": config.budget.images} if final["minutes"] is None else {"minutes": final["minutes"]}
            config = load(RunConfig, {**config.model_dump(mode="json"), "budget": budget, "seed": self.base.seed + 1})
            figure, seen = self._train(self.folder / "again" / name, config, lambda seen, figure: self._keep_clock())
            self._keep_clock()
            if seen is None:
                return False
            final[name] = {"figure": figure, "images": seen}
            self.study.set_user_attr(FINAL, final)
        return True

    def _write(self) -> Found:
        found = gather(self.study, self.base.training.watch, self.space, self.dataset.folder.resolve().name, self.plan)
        winner = load(RunConfig, self.asked.config.model_dump(mode="json"), found.changes if found.holds else [])
        write_atomic(self.folder / "best.yaml", to_yaml(winner))
        write_json(self.folder / "tune.json", found.to_json())
        write_atomic(self.folder / "tune.html", page(found, self.folder))
        return found

    # -- settings ---------------------------------------------------------------------------------------------------

    def _config(self, changes: Values, values: Values) -> RunConfig:
        """The run of a trial: ``changes`` to the defaults; of ``values`` the batch size says how many images it has."""
        images = self.plan.images[values.get(BATCH, self.base.training.batch_size)]
        samples, ticks = judged(self.base, self.asked, self.plan)
        own = [f"budget={{images: {images}}}", f"training.ticks={ticks}", f"training.validation_samples={samples}"]
        words = [f"{key}={value}" for key, value in changes.items()]
        return load(RunConfig, self.base.model_dump(mode="json"), [*own, *words])

    # -- the budget -------------------------------------------------------------------------------------------------

    def _seconds(self) -> float:
        """Of this search so far, in all its processes."""
        return self._before + time.monotonic() - self.began

    def _keep_clock(self) -> bool:
        self.study.set_user_attr(CLOCK, self._seconds())
        return False

    def _budget(self) -> list[float | None]:
        return [self.asked.minutes, self.asked.trials]

    def _another_fits(self) -> bool:
        """Whether one more trial does, beside the two runs at the end. The first two always do."""
        from optuna.trial import TrialState

        over = self._over()
        if len(over) < 2 or self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            return True
        if self.asked.trials is not None and len(over) >= self.asked.trials:
            return False
        if self.asked.minutes is None:
            return True
        whole = [trial.user_attrs[CLOCK] for trial in over if trial.user_attrs.get("share") == 1.0]
        one = sum(whole) / len(whole) if whole else self.asked.minutes * 60 / (self.plan.trials + AGAIN)
        return self._seconds() + one + AGAIN * (one + AGAIN_SECONDS) <= self.asked.minutes * 60

    def _forget_final_of_another_budget(self) -> None:
        """Who asks for more minutes or trials than before gets more trials, and the two runs at the end anew."""
        if self._final() and self._final()["asked"] != self._budget():
            self.study.set_user_attr(FINAL, None)
            shutil.rmtree(self.folder / "again", ignore_errors=True)

    def _final(self) -> dict[str, Any]:
        """What is known of the two runs at the end; empty before they are begun."""
        return dict(self.study.user_attrs.get(FINAL) or {})

    # -- what is there ----------------------------------------------------------------------------------------------

    def _over(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _best_other(self) -> FrozenTrial | None:
        """The best whole trial but for the defaults'."""
        return min((trial for trial in self._whole() if trial.number), key=self._rank, default=None)

    def _whole(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def _rank(self, trial: FrozenTrial) -> float:
        """Smaller is better, whatever the figure."""
        assert trial.value is not None, "it is whole"
        return trial.value if BETTER[self.base.training.watch] == "lower" else -trial.value

    def _place(self, trial: Trial | FrozenTrial) -> Path:
        return self.folder / "trials" / f"{trial.number:03d}"

    def _tidy(self) -> None:
        """Checkpoints are bulky: of trials that are over, the best other's alone are kept."""
        best = self._best_other()
        for trial in self._over():
            if best is None or trial.number != best.number:
                shutil.rmtree(self._place(trial) / "checkpoints", ignore_errors=True)

    def _line(self, trial: FrozenTrial) -> str:
        best = min(self._whole(), key=self._rank, default=None)
        return line(trial, self.space, bool(trial.number) and best is not None and best.number == trial.number)

    def _describe(self) -> str:
        plan, default = self.plan, self.base.training.batch_size
        images = plan.images[default]
        about = "about " if self.asked.minutes is not None and self.asked.trials is None else ""
        speed = f"; measured: {plan.speed:,.0f} images/s at batch {default}" if plan.speed else ""
        width = f" of width {planner.width_of(self.base)}" if planner.width_of(self.base) else ""
        whole = f" in {self.asked.minutes:g} minutes" if self.asked.minutes is not None else ""
        lines = [
            f"plan: {about}{self.asked.trials or plan.trials} trials of {images:,} images"
            f" ({planning.epochs_of(self.dataset, images):.1f} epochs){whole}, then the best and the defaults again",
            f"      {self.base.method.component_name()}{width} on {plan.machine}{speed}",
            *(f"      {name}: {_range(span)}" for name, span in self.space.items()),
        ]
        done = len(self._over())
        return "\n".join([*lines, f"      going on after {done} trials"] if done else lines)


def _range(span: Any) -> str:
    if hasattr(span, "values"):
        return ", ".join(map(str, span.values))
    return f"{trials.rounded(float(span.low)):g} … {trials.rounded(float(span.high)):g}"
