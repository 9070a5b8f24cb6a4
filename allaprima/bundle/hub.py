"""Bundles on the Hugging Face hub, by their id: ``load("someone/cats", download=True)``.

What was fetched before is found without the network. Only the bundle's own files are fetched, and nothing in them is executed.
"""

from __future__ import annotations

import re
from pathlib import Path

from allaprima.bundle.format import DESCRIPTION
from allaprima.core.errors import UserError

ID = re.compile(r"^[\w.-]+/[\w.-]+$")
FILES = [DESCRIPTION, "*.safetensors", "preview.webp", "README.md"]


def fetched(name: str, download: bool) -> Path:
    """The folder of the hub's ``name``. Raises UserError when it is not there and may not, or cannot, be fetched."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise UserError(
            f"There is no folder '{name}', and the Hugging Face hub needs huggingface_hub, which is not installed",
            "pip install 'allaprima[hugging-face]', or name a run or bundle folder",
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=FILES, local_files_only=not download))
    except LocalEntryNotFoundError:
        if not download:
            raise UserError(
                f"There is no folder '{name}', nor was it fetched from the Hugging Face hub before",
                'name a run or bundle folder, or allow the network: allaprima.load("…", download=True)',
            ) from None
        raise UserError(f"'{name}' could not be fetched: the hub does not answer", "connect to the network") from None
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"'{name}' could not be fetched: {reason}", "check its name, and HF_TOKEN if it is private"
        ) from None
