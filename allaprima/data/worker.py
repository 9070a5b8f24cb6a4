"""What runs in the worker processes: read, decode, check, fit, and write into the shared array.

Imports no torch and no settings library: a worker that is spawned must be at work in a fraction of a second.
"""

from __future__ import annotations

import copy
import gc
import os
import signal
import threading
import warnings
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from io import SEEK_END
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from allaprima.data import faces
from allaprima.data.checks import Limits, Sight, reasons
from allaprima.data.decoding import decode, open_picture
from allaprima.data.fitting import fit, fitted_scale, inner_box, needed_size, stored
from allaprima.data.hashing import channels_differ, digest, perceptual
from allaprima.data.refused import Refused
from allaprima.data.sources import Reader

_job: Job | None = None  # of this worker process

GREY_LEVELS = 2  # channels that differ by no more are grey with a rounding error


@dataclass(frozen=True)
class Job:
    """Everything a worker needs. ``array`` is the path of a ``.npy`` uint8 ``[M, H, W, C]``, each row written once."""

    reader: Reader
    array: str
    size: tuple[int, int]
    fit: str
    mode: str
    limits: Limits
    faces: faces.Faces | None = None  # to be filled


class Outcome(NamedTuple):
    """What became of one picture: ``check`` and ``reason`` if it is left out, else its prints."""

    check: str | None
    reason: str | None
    digest: bytes = b""
    hash: int = 0
    grey: bool = False
    area: int = 0
    transparent: bool = False  # and no longer so, as it is stored
    faces: int = 0  # that were filled
    doubt: str | None = None  # whether those were all


def begin(job: Job) -> None:
    """Once in each worker: Ctrl-C is for the parent to handle, and nobody outlives it.

    The job is handed over here and kept: its reader holds open archives, which would be opened anew with every chunk.
    It is copied, which leaves open files behind: one that a fork inherits shares its position with the parent's.
    """
    global _job
    _job = copy.deepcopy(job)
    gc.freeze()  # what a fork inherits is not ours to collect: walking it would copy all its pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing
    from multiprocessing.connection import wait

    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def work_on(start: int, names: Sequence[str], keys: Sequence[Any]) -> list[Outcome]:
    """``work`` on the job that this process was begun with."""
    assert _job is not None
    return work(_job, start, names, keys)


def work(job: Job, start: int, names: Sequence[str], keys: Sequence[Any]) -> list[Outcome]:
    """Pictures ``start``, ``start + 1``, …: their rows are in the array when this returns."""
    rows = _array(job.array)
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # strangers' files; what matters in them becomes an outcome
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for row, name, key in zip(range(start, start + len(keys)), names, keys, strict=True):
            array, outcome = examine(job, name, key)
            if array is not None:
                rows[row] = array
            outcomes.append(outcome)
    return outcomes


@lru_cache(maxsize=1)
def _array(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r+")


def forget() -> None:
    """Let go of the shared array (where pictures were examined in the calling process itself)."""
    _array.cache_clear()
    faces.let_go()


def examine(job: Job, name: str, key: Any) -> tuple[np.ndarray | None, Outcome]:
    """One picture: its row uint8 ``[H, W, C]``, or None if it is left out, and what became of it. Never raises."""
    try:
        content = job.reader.read(key)
        with nullcontext() if isinstance(content, np.ndarray) else closing(content):
            if not isinstance(content, np.ndarray) and content.seek(0, SEEK_END) == 0:
                raise EOFError("empty")
            if not isinstance(content, np.ndarray):
                content.seek(0)
            return _examine(job, open_picture(content))
    except Refused as refused:
        return None, Outcome(refused.check, refused.reason)
    except Exception as error:  # decoders of strangers' files raise anything
        check, reason = next(_explanations(error, name))
        return None, Outcome(check, reason)


def _examine(job: Job, picture: Image.Image) -> tuple[np.ndarray | None, Outcome]:
    area = picture.width * picture.height
    for check, reason in reasons("header", picture, job.limits):
        raise Refused(check, reason)
    decoded = decode(picture, lambda size: _needed(job, size))
    seen = faces.Seen(0, None)
    if job.faces:
        decoded, seen = faces.fill(decoded, job.faces, fitted_scale(decoded.size, job.size, job.fit))
    fitted = fit(decoded, job.size, job.fit, job.mode)
    array = stored(fitted)
    scale = (decoded.width * decoded.height / area) ** 0.5
    left, top, right, bottom = inner_box(decoded.size, job.size) if job.fit == "pad" else (0, 0, *job.size)
    for check, reason in reasons("pixels", Sight(decoded, array[top:bottom, left:right], scale), job.limits):
        raise Refused(check, reason)
    grey = channels_differ(array) <= GREY_LEVELS
    painted_over = job.mode != "RGBA" and decoded.mode == "RGBA" and np.asarray(decoded)[..., 3].min() < 255
    return array, Outcome(None, None, digest(array), perceptual(fitted), grey, area, painted_over, *seen)


def _needed(job: Job, size: tuple[int, int]) -> tuple[int, int]:
    needed = needed_size(size, job.size, job.fit)
    return faces.needed_size(size, needed) if job.faces else needed


def _explanations(error: Exception, name: str) -> Any:
    found = dict(reasons("explain", error, name))
    last = found.pop("unreadable")  # it has a word for everything
    yield from found.items()
    yield "unreadable", last
