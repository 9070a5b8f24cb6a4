"""The race: our methods and independent packages, for the same wall minutes on the same cores, judged alike.

    python benchmarks/race.py --data fashion,sprites --minutes 5 --lanes 2 [--only gan,pythae-vae] [--judge-only]

The rules, which hold for everybody:

- **Pictures**: exactly those of the training split of one prepared dataset, without labels. (Ours alone looks at the
  validation split, to choose among its checkpoints; it never trains on it. ``gan-labels`` sees labels and says so.)
- **Cores**: each contestant runs alone on its cores, pinned to them, with as many threads; what share of them it got is
  told (``processor_share``), and a contestant that got less than 0.9 was disturbed.
- **Minutes**: wall time from the moment when the packages are imported and the pictures lie in memory in the form that the
  package wants. Everything that a contestant then does counts: building nets, compiling, measuring, planning, training the
  features that choose its checkpoints (ours does), validating, saving. What does not count: installing, the snapshots that
  the race takes (the clock stands still), painting samples (it happens after the end), and fitting pythae's sampler. A step
  that is under way at the end may be finished; by how much is told (``seconds_over``).
- **Settings**: its own published or default ones for pictures of 32 px; each file in ``_race/contestants`` names them with
  their source. Augmentation as its defaults say. Where the published widths are made for a GPU, a narrower sibling runs
  beside it. What a package spends on sheets of samples and checkpoints of its own is switched off.
- **Precision**: each as it comes. Ours trains in bfloat16 where the processor has it; the others in float32.
- **Judging**: by features that no contestant has seen, on the test split, the same number of samples for all
  (``_race/judge``). A contestant that cannot run stands in every table and legend with its reason.

Figures at the marks (minutes 1, 2, 3, 5, 10, …) are of ``--samples`` samples; at the end of ``--final-samples``. A contestant
that has raced under the same settings on this machine is not raced again. Everything lies in ``.race/``: environments,
pictures, and under ``--out`` samples, logs, ``race.json`` and one PNG a data set. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, it finds its own folder alone

from allaprima.core.errors import UserError, suggest  # noqa: E402
from benchmarks._race.datasets import SOURCES, ready  # noqa: E402
from benchmarks._race.lanes import Contestant, Settings, contestants, key_of, race_all  # noqa: E402

HOME = ROOT / ".race"
MARKS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 240)


def main() -> int:
    asked = parser().parse_args()
    try:
        print(json.dumps(run(asked)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--data", default=",".join(SOURCES), help="which data sets, by comma")
    found.add_argument("--only", default="", help="which contestants, by comma [default: all]")
    found.add_argument("--minutes", type=float, default=5.0, help="of each contestant on each data set")
    found.add_argument("--marks", default="", help="minutes at which it is looked at, by comma [default: 1,2,3,5,10,…]")
    found.add_argument("--cores", type=int, default=1, help="of each contestant")
    found.add_argument("--lanes", type=int, default=1, help="contestants at once, each on cores of its own")
    found.add_argument("--samples", type=int, default=2000, help="judged at each mark")
    found.add_argument("--final-samples", type=int, default=10_000, help="judged at the end")
    found.add_argument("--seed", type=int, default=0, help="of every contestant")
    found.add_argument("--out", type=Path, default=HOME / "results", help="where results go")
    found.add_argument("--judge-only", action="store_true", help="race nobody; judge and draw what is there")
    found.add_argument("--list", action="store_true", help="name the contestants and their settings, and stop")
    return found


def run(asked: argparse.Namespace) -> dict[str, object]:
    """The whole race. Returns the last line. Raises UserError on what the person can mend."""
    known = contestants()
    if asked.list:
        for one in known.values():
            print(f"{one.name:<20} {one.package:<12} {one.settings}")
        return {"benchmark": "race", "contestants": list(known)}
    entered = [known[name] for name in named(asked.only, known, "contestant")] if asked.only else list(known.values())
    names = named(asked.data, SOURCES, "data set")
    marks, lanes = marks_of(asked.marks, asked.minutes), cores_of(asked.lanes, asked.cores)
    settings = Settings(marks, asked.samples, max(asked.samples, asked.final_samples), asked.seed, asked.cores)
    pictures = [ready(name, HOME / "data") for name in names]
    if not asked.judge_only:
        entries = [(contestant, one) for one in pictures for contestant in entered]
        race_all(entries, settings, asked.out, HOME / "venvs", lanes, lambda words: print(words, flush=True))
    return judge_all(pictures, list(known.values()), settings, asked.out)


def judge_all(pictures: Sequence, entered: Sequence[Contestant], settings: Settings, out: Path) -> dict[str, object]:
    """Figures, ``race.json``, the pictures, the tables; returns the last line."""
    from allaprima.core.files import write_json
    from benchmarks._race import chart, report
    from benchmarks._race.judge import Judge

    race: dict[str, object] = {}
    last: dict[str, object] = {"benchmark": "race", "minutes": settings.marks[-1], "cores": settings.cores}
    for one in pictures:

        def key(contestant: Contestant, one: object = one) -> dict[str, object]:
            return key_of(contestant, one, settings)  # type: ignore[arg-type]

        found = report.of_data(Judge(one.labelled), entered, settings, out / one.name, key)
        race[one.name] = found
        words = f"{one.name}, {settings.marks[-1]:g} minutes on {settings.cores} core{'s' * (settings.cores > 1)} each"
        chart.draw(out / f"{one.name}.png", words, found, settings.marks[-1])
        print(report.table(one.name, found), flush=True)
        last[one.name] = {
            line["line"]: round(line["final"]["frechet_distance"], 3) if line["final"] else line["reason"]
            for line in report.ranked(found["lines"])
        }
    everything = {
        "settings": vars(settings),
        "machine": key_of(entered[0], pictures[0], settings)["machine"],
        "data": race,
    }
    write_json(out / "race.json", report.without_nan(everything))
    return report.without_nan(last)


def named(words: str, known: Sequence[str] | dict, kind: str) -> list[str]:
    """The names in ``words``, by comma. Raises UserError for one that is not known."""
    found = [word.strip() for word in words.split(",") if word.strip()]
    for word in found:
        if word not in known:
            raise UserError(f"There is no {kind} '{word}'", suggest(word, known))
    return found


def marks_of(words: str, minutes: float) -> tuple[float, ...]:
    """Ascending minutes, the last of them the end. Raises UserError for something else."""
    try:
        marks = {float(word) for word in words.split(",")} if words else set(map(float, MARKS))
    except ValueError:
        raise UserError(f"'{words}' are no minutes", "write them like 1,2,5") from None
    if minutes <= 0 or min(marks) <= 0:
        raise UserError("A race takes some minutes", "give --minutes 5, and marks above 0")
    return (*sorted(mark for mark in marks if mark < minutes), minutes)


def cores_of(lanes: int, cores: int) -> list[list[int]]:
    """The cores of each lane. Raises UserError when the machine has fewer."""
    here = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if lanes < 1 or cores < 1 or lanes * cores > len(here):
        raise UserError(
            f"{lanes} lanes of {cores} cores do not fit on this machine, which has {len(here)}",
            "give fewer --lanes or --cores",
        )
    return [here[lane * cores : (lane + 1) * cores] for lane in range(lanes)]


if __name__ == "__main__":
    sys.exit(main())
