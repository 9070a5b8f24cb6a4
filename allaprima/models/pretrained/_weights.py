"""Finds the weights of a published net: a file that the person names, the caches of this machine, the network if asked.

A published feature is one file, so it is known by its SHA-256 alone: a file that has another is never loaded, wherever
it lies. Nothing is fetched unless ``Weights.download`` is set.

Use: ``tensors = read(find("inception", FILES, Weights(download=True)))``.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import math
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import torch

from allaprima.core import cache
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder, new_file, plain_disk_errors, sha256_file, sweep_partial
from allaprima.core.progress import progress
from allaprima.models.pretrained import Weights, Words

MEGABYTE = 10**6
SECONDS_WITHOUT_DATA = 30.0


@dataclass(frozen=True)
class PinnedFile:
    """One published file: its ``name`` in our cache, and all that proves it. ``repository``: on the Hugging Face hub."""

    name: str
    url: str
    sha256: str
    num_bytes: int
    repository: str = ""

    def describe(self) -> str:
        """Such as ``pt_inception-2015-12-05-6726825d.pth (96 MB)``."""
        return f"{self.name} ({self.num_bytes / MEGABYTE:,.0f} MB)"


def find(feature: str, pinned: Sequence[PinnedFile], weights: Weights) -> Path:
    """Where one of the ``pinned`` files is, of which the first is the one to download. The file is whole and the right one.

    Raises UserError when there is none, when the named one is another, and when the download fails; nothing is left
    half-written then.
    """
    if weights.file is not None:
        return _named(weights.file.expanduser(), pinned, weights.words)
    for one in pinned:
        for place in _places(one):
            if _is(place, one):
                return place
    first = pinned[0]
    kept = cache_folder() / first.name
    if not weights.download:
        damaged = f"; '{kept}' is damaged" if kept.exists() else ""
        raise UserError(
            f"{weights.words.missing.format(feature)}: {first.describe()}{damaged}",
            f"add {weights.words.download} to fetch them from {urlsplit(first.url).hostname}, or name a copy with "
            f"{weights.words.file}, {weights.words.instead}",
        )
    _download(first, kept, weights.words)
    return kept


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file or a PyTorch checkpoint, on the CPU. Nothing that it holds is executed."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # safetensors: eight bytes of length, then JSON
        import safetensors.torch

        return safetensors.torch.load_file(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}


def cache_folder() -> Path:
    """Where downloads are kept."""
    return cache.folder("weights")


def _named(path: Path, pinned: Sequence[PinnedFile], words: Words) -> Path:
    wanted = " or ".join(one.describe() for one in pinned)
    remedy = f"say {words.file} with the file {wanted}, from {pinned[0].url}; or leave it out and add {words.download}"
    if path.is_dir():
        raise UserError(f"'{path}' is a folder, not a file", remedy)
    try:
        size, digest = path.stat().st_size, sha256_file(path)
    except FileNotFoundError:
        raise UserError(f"There is no file '{path}'", remedy) from None
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}", remedy) from None
    if digest in [one.sha256 for one in pinned]:
        return path
    short = f" It holds {size / MEGABYTE:,.1f} MB: was it cut short?" if size < pinned[0].num_bytes else ""
    raise UserError(
        f"'{path}' is another file than {wanted}: its SHA-256 begins with {digest[:8]}, not "
        f"{pinned[0].sha256[:8]}.{short}",
        remedy,
    )


def _places(pinned: PinnedFile) -> Iterator[Path]:
    """Where the file may lie: our cache, then where PyTorch's hub and the Hugging Face hub leave their downloads."""
    yield cache_folder() / pinned.name
    published_as = urlsplit(pinned.url).path.rpartition("/")[2]
    if not pinned.repository:
        yield Path(torch.hub.get_dir()) / "checkpoints" / published_as
        return
    home = os.environ.get("HF_HOME") or cache.unix() / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = hub / f"models--{pinned.repository.replace('/', '--')}"
    yield folder / "blobs" / pinned.sha256  # the hub's cache names a large file by its hash
    yield from sorted(folder.glob(f"snapshots/*/{published_as}"))  # where the system has no links


def _is(path: Path, pinned: PinnedFile) -> bool:
    """Whether the file is there and is the right one."""
    with contextlib.suppress(OSError):
        return path.stat().st_size == pinned.num_bytes and sha256_file(path) == pinned.sha256
    return False


def _download(pinned: PinnedFile, target: Path, words: Words) -> None:
    """Fetch the file to ``target``, which appears whole and verified or not at all."""
    with plain_disk_errors(target), claim_folder(target.parent):
        sweep_partial(target.parent)  # ours alone: the folder is claimed
        total = math.ceil(pinned.num_bytes / MEGABYTE)
        with new_file(target) as file, progress(f"downloading {pinned.name}", total, "MB") as advance:
            for block in _blocks(pinned, words):
                file.write(block)
                advance(1)


def _blocks(pinned: PinnedFile, words: Words) -> Iterator[bytes]:
    """The file from the network, a megabyte at a time. Raises UserError unless all of it came, and nothing else."""
    by_hand = f"or fetch the file on any machine, {pinned.url}, and name it with {words.file}"
    request = urllib.request.Request(pinned.url, headers={"User-Agent": f"allaprima/{version('allaprima')}"})
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_WITHOUT_DATA) as response:
            while received <= pinned.num_bytes and (block := response.read(MEGABYTE)):
                digest.update(block)
                received += len(block)
                yield block
    except urllib.error.HTTPError as error:
        with error:
            raise UserError(
                f"The server refused {pinned.url}: {error.code} {error.reason}", f"try again later, {by_hand}"
            ) from None
    except http.client.IncompleteRead:
        pass  # told below, as a connection that simply ends is
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{pinned.describe()} could not be downloaded: {reason}", f"connect to the network and try again, {by_hand}"
        ) from None
    if received < pinned.num_bytes:
        raise UserError(
            f"The download of {pinned.describe()} ended after {received / MEGABYTE:,.1f} MB", f"try again, {by_hand}"
        )
    if digest.hexdigest() != pinned.sha256:
        raise UserError(
            f"What {urlsplit(pinned.url).hostname} sent is not {pinned.describe()}: its SHA-256 is another",
            f"something between it and this machine may have changed it; try elsewhere, {by_hand}",
        )
