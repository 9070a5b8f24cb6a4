"""What ``allaprima doctor`` says. Use: ``print(machine()); print(generator(Path("runs/cats")))``."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import allaprima
from allaprima.bundle.bundle import Bundle
from allaprima.core import cache
from allaprima.core.device import Device
from allaprima.core.machine import processor
from allaprima.runtime import memory
from allaprima.runtime.doctor import Finding, best, examine
from allaprima.runtime.engine import TOLERANCE

REQUIREMENT = re.compile(r"""^([\w.-]+).*extra\s*==\s*["']([\w-]+)["']""")
GROUPS = ("all", "dev")  # extras of extras


def machine(as_json: bool = False) -> str:
    """The machine, the versions, and which extras are complete."""
    facts: dict[str, Any] = {
        "allaprima": allaprima.__version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "system": platform.platform(),
        "processor": processor(),
        "device": Device.choose().describe(),
        "cache": str(cache.folder("engines").parent),
        "free_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "extras": {extra: missing_of(extra) for extra in extras()},
    }
    if as_json:
        return json.dumps(facts)
    lines = [f"{key:<10} {value}" for key, value in facts.items() if key != "extras"]
    for extra, missing in facts["extras"].items():
        state = "complete" if not missing else f"without {', '.join(missing)}: pip install 'allaprima[{extra}]'"
        lines.append(f"{'extra':<10} {extra:<13} {state}")
    return "\n".join([*lines, "", "allaprima doctor RUN finds the quickest way to paint with a generator here."])


def extras() -> list[str]:
    """The names of this package's extras."""
    return sorted({extra for _, extra in _extra_requirements()} - set(GROUPS))


def missing_of(extra: str) -> list[str]:
    """The packages of an extra that are not installed."""
    return [package for package, of in _extra_requirements() if of == extra and not _installed(package)]


def _extra_requirements() -> list[tuple[str, str]]:
    found = (REQUIREMENT.match(line) for line in requires("allaprima") or [])
    return [(match[1], match[2]) for match in found if match]


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def generator(run: Path, as_json: bool = False, say: Callable[[str], None] = lambda _: None) -> str:
    """Every engine on a run's generator, measured; the quickest is remembered. Raises UserError when there is no bundle."""
    bundle = Bundle.load(run, Device.choose().torch)
    findings = examine(bundle, say)
    choice = best(findings)
    if choice is not None:
        memory.remember(bundle, choice)
    if as_json:
        chosen = choice and choice.model_dump()
        rows = [dataclasses.asdict(one) | {"right": one.right} for one in findings]
        return json.dumps({"processor": processor(), "tolerance": TOLERANCE, "findings": rows, "chosen": chosen})
    plain = next((one for one in findings if one.engine == "torch" and one.right), None)
    lines = [f"{processor()}; {bundle!r}", "", HEADING]
    lines += [_row(one, plain) for one in sorted(findings, key=lambda one: (not one.right, one.p50_ms))]
    if choice is None:
        return "\n".join([*lines, "", "No engine paints this generator rightly: please report it."])
    return "\n".join([*lines, "", MEANING, "", f"Remembered: {choice.painter}. studio and serve take it from now on."])


HEADING = f"{'engine':<18} {'p50':>8} {'p99':>8} {'of eight':>9} {'speed':>7} {'off by':>8} {'opens in':>9}"
MEANING = (
    f"Milliseconds of a frame alone, and of one among eight; speed beside PyTorch's; mean difference from float32, in steps\n"
    f"of 1/255, at most {TOLERANCE * 255:.0f} to be chosen.\n"
    "What an engine costs in Fréchet distance: allaprima evaluate RUN --engine NAME."
)


def _row(one: Finding, plain: Finding | None) -> str:
    if one.problem:
        return f"{one.engine:<18} {one.problem}"
    times = f"{plain.p50_ms / one.p50_ms:.2f} ×" if plain else ""
    off = f"{one.difference * 255:.3f}"
    wrong = "" if one.right else "  too far off"
    return (
        f"{one.painter:<18} {one.p50_ms:>8.2f} {one.p99_ms:>8.2f} {one.together_ms:>9.2f} {times:>7} {off:>8} "
        f"{one.open_s:>7.1f} s{wrong}"
    )
