"""Sets Alla Prima up in ``.venv`` and does what is asked: the same on Linux, macOS and Windows, with Python alone.

    python3 tools/setup.py          set up
    python3 tools/setup.py demo     set up, then run the demonstration
    python3 tools/setup.py test     set up with the developers' tools, then run all checks
    python3 tools/setup.py dev      set up with the developers' tools

It is quick when nothing has changed. A set-up that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys

from setup_pip import AGAIN, BIN, CONSTRAINTS, PYTHON, ROOT, VENV, WINDOWS, SetupError, explain, pip
from setup_torch import install_torch, may_have_nvidia, nvidia_driver

STAMP = VENV / "allaprima-setup.json"
OLDEST = (3, 11)
GIGABYTES = {"cpu": 2, "cuda": 10}
EXTRAS = {"setup": "all", "demo": "all", "test": "dev", "dev": "dev"}


def main(arguments: list[str]) -> int:
    """Exit code: 0, that of the program started, or 2 when the person has to mend something first."""
    verb = arguments[0] if arguments else "setup"
    if verb not in EXTRAS:
        asked = verb in ("-h", "--help")
        print(__doc__, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        set_up(EXTRAS[verb])
    except SetupError as error:
        print(f"\nset-up: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nset-up: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    if verb == "demo":
        return start([str(BIN / "allaprima"), "demo", *arguments[1:]])
    if verb == "test":
        return start([str(PYTHON), str(ROOT / "tools" / "check.py"), *arguments[1:]])
    print(f"Ready. Try: {BIN / 'allaprima'} --help")
    return 0


def start(command: list[str]) -> int:
    """Become that program, so that Ctrl-C and other signals reach it and nothing stands between."""
    os.chdir(ROOT)
    sys.stdout.flush()
    if not WINDOWS:
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # it has heard it too, and ends when it has saved its work
            continue


def set_up(extra: str) -> None:
    """Bring ``.venv`` up to date for ``extra`` ('all' or 'dev'). Raises SetupError."""
    wanted = fingerprint()
    stamp = read_stamp()
    stands = PYTHON.exists() and stamp.get("fingerprint") == wanted
    done = set(stamp.get("extras", [])) if stands else set()
    if extra in done:
        return
    check_python()
    driver = nvidia_driver()
    check_space(driver)
    print(f"[1/3] An environment of its own: {VENV}", flush=True)
    make_environment()
    STAMP.unlink(missing_ok=True)  # from here on it is neither the old environment nor the new one
    kind = "CPU build, about 200 MB" if driver is None else "CUDA build, several GB"
    print(f"[2/3] PyTorch{'' if sys.platform == 'darwin' else f' ({kind})'}", flush=True)
    install_torch(driver)
    print("[3/3] Alla Prima and the packages it uses", flush=True)
    pip("install", "--editable", f"{ROOT}[{extra}]", "--constraint", str(CONSTRAINTS))
    done |= {extra, "all"}  # 'dev' holds all of 'all'
    STAMP.write_text(json.dumps({"fingerprint": wanted, "extras": sorted(done)}), encoding="utf-8")


def fingerprint() -> str:
    """Of everything that decides what the environment holds; its scripts name the folder they lie in."""
    sources = [ROOT / "pyproject.toml", CONSTRAINTS, *sorted((ROOT / "tools").glob("setup*.py"))]
    parts = [path.read_bytes() for path in sources] + [str(ROOT).encode(), str(may_have_nvidia()).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read_stamp() -> dict:
    """What the last complete set-up left; empty when there was none."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def check_python() -> None:
    """Raises SetupError when this Python is too old or lacks what makes an environment."""
    if sys.version_info < OLDEST:
        here = ".".join(map(str, sys.version_info[:3]))
        newer = [name for name in ("python3.13", "python3.12", "python3.11", "python3.14") if shutil.which(name)]
        remedy = f"run: {newer[0]} tools/setup.py   (or: make PYTHON={newer[0]} …)" if newer else "install a newer one"
        raise SetupError(f"Python 3.11 or newer is needed, this is {here}", remedy)
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        package = f"python3.{sys.version_info[1]}-venv"
        raise SetupError(
            "This Python lacks its venv module",
            f"on Debian or Ubuntu: sudo apt install python3-venv   (or {package}), {AGAIN}",
        )


def check_space(driver: str | None) -> None:
    """Raises SetupError when a new environment would not fit."""
    need = GIGABYTES["cpu" if driver is None else "cuda"]
    free = shutil.disk_usage(ROOT).free / 1e9
    if not (VENV / "pyvenv.cfg").exists() and free < need:
        raise SetupError(
            f"The set-up takes about {need} GB, and {free:.1f} GB are free at {ROOT}",
            "free some space, or move this folder to another disk",
        )


def make_environment() -> None:
    """Create ``.venv``; anew if it was made elsewhere or its Python does not run any more."""
    if PYTHON.exists() and works():
        return
    if VENV.exists():
        print("      the one that stands does not work here: making it anew", flush=True)
        shutil.rmtree(VENV)
    base = getattr(sys, "_base_executable", None) or sys.executable
    made = subprocess.run([base, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)  # half an environment helps nobody
        raise explain(made.stdout + made.stderr, "The environment could not be made")


def works() -> bool:
    """Whether the environment's own pip runs and belongs to this place."""
    seen = subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True, text=True)
    script = BIN / ("pip.exe" if WINDOWS else "pip")
    moved = not WINDOWS and (not script.exists() or str(VENV) not in script.read_text(errors="replace"))
    return seen.returncode == 0 and not moved


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
