"""What can be made again and is kept to save the time: in one place, which may be deleted at any moment.

Use: ``folder("weights")``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def folder(room: str) -> Path:
    """``room`` in ``ALLAPRIMA_CACHE``, or in ``allaprima`` of the platform's cache folder; it need not exist."""
    named = os.environ.get("ALLAPRIMA_CACHE")
    return (Path(named).expanduser() if named else _platform() / "allaprima") / room


def _platform() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return unix()


def unix() -> Path:
    """Where Unix programs keep such things, and some also on other systems."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
