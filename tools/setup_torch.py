"""Which PyTorch a machine gets, and how it stays: CUDA where an NVIDIA GPU is, otherwise the CPU build.

The plain release of the common package index is the CUDA build on Linux (several GB) and the CPU build on Windows and
macOS. The other one lies in PyTorch's own index under a local version such as ``2.13.0+cpu``, which pip prefers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from setup_pip import CONSTRAINTS, LOG, PYTHON, VENV, WINDOWS, SetupError, pip

INDEX = "https://download.pytorch.org/whl/"
PROBE_SECONDS = 4.0


def may_have_nvidia() -> bool:
    """A quick look, for every start; ``nvidia_driver`` makes sure."""
    return shutil.which("nvidia-smi") is not None or os.path.exists("/proc/driver/nvidia/version")


def nvidia_driver() -> str | None:
    """The newest CUDA version that the NVIDIA driver runs, '' if it does not say, None without such a GPU."""
    if not may_have_nvidia():
        return None
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        seen = subprocess.run([program], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if seen.returncode != 0:  # installed, but there is no driver or no GPU behind it
        return None
    version = re.search(r"CUDA Version:\s*([\d.]+)", seen.stdout)
    return version.group(1) if version else ""


def index_of(driver: str | None, platform: str = sys.platform) -> str | None:
    """Where the fitting build lies, unless the plain release is the one."""
    if platform == "darwin":
        return None
    if driver is None:
        return INDEX + "cpu" if platform.startswith("linux") else None
    if driver and int(driver.split(".")[0]) < 13:  # the plain release needs a driver of CUDA 13
        return INDEX + "cu126"
    return INDEX + "cu130" if platform == "win32" else None


def install_torch(driver: str | None) -> None:
    """Install the fitting build, or with a note the other one where that is all there is; then pin it."""
    pin_file().unlink(missing_ok=True)  # it may hold the build for another machine
    index = index_of(driver)
    found = index is not None and answers(index)
    if index and not found:
        print(f"      {index} does not answer: taking what your package index offers", flush=True)
    before = torch_build()
    # A wrong build stands in the way of the right one, as both satisfy the same release.
    if before and fits(before, driver) is False and (found or driver is not None):
        pip("uninstall", "--yes", "torch")
    extra = ["--extra-index-url", index] if index and found else []
    pip("install", "torch", "--constraint", str(CONSTRAINTS), *extra)
    build = torch_build()
    if not build:
        raise SetupError("PyTorch is not there after its installation", f"read {LOG}")
    pin(build["version"])
    if not fits(build, driver):
        unfit = "CUDA build: it works without a GPU, and is only larger than needed"
        print(f"      Note: this is PyTorch's {unfit if driver is None else 'CPU build: the GPU stays unused'}.")


def fits(build: dict, driver: str | None) -> bool:
    return (build["cuda"] is not None) == (driver is not None)


def answers(index: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the index can be asked, within so many seconds in all: pip itself would try for minutes."""
    import urllib.request  # slow to import, and not needed at a start that changes nothing

    heard: list[bool] = []
    over = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{index}/torch/", timeout=seconds) as reply:
                heard.append(reply.status == 200)
        except Exception:  # whatever it is, the index is of no use
            heard.append(False)
        over.set()

    threading.Thread(target=ask, daemon=True).start()
    over.wait(seconds)  # the name's look-up obeys no time limit of its own
    return any(heard)


def torch_build() -> dict | None:
    """``version`` and ``cuda`` of the PyTorch in ``.venv``, without importing it; None if there is none."""
    code = (
        "import importlib.metadata as m, importlib.util as u, json, runpy, pathlib\n"
        "v = m.version('torch'); place = pathlib.Path(u.find_spec('torch').origin).with_name('version.py')\n"
        "print(json.dumps({'version': v, 'cuda': runpy.run_path(str(place)).get('cuda')}))"
    )
    seen = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True)
    return json.loads(seen.stdout) if seen.returncode == 0 else None


def pin(version: str) -> None:
    """Whatever is installed into the environment later, this very build of PyTorch stays."""
    held = VENV / "torch-build.txt"
    held.write_text(f"torch=={version}\n", encoding="utf-8")
    # as a URI, because pip splits the value at spaces
    pin_file().write_text(f"[global]\nconstraint = {held.as_uri()}\n", encoding="utf-8")


def pin_file() -> Path:
    """pip reads this file whenever it is run in the environment."""
    return VENV / ("pip.ini" if WINDOWS else "pip.conf")
