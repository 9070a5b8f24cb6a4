"""From a typed text to the new frame, as a person at the studio has it: over a real socket, each text a new one.

Starts ``allaprima studio`` on a generator of random weights that follows texts, sends states with another text each, and takes
the time until the frame is there. Milliseconds, p50, p95 and p99; the encoder is ``words``, or ``--encoder bert``.

    python benchmarks/prompt.py [--size 64] [--texts 300] [--encoder words]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.bundle.untrained import save, untrained
from allaprima.models.conditions import CONDITIONS
from allaprima.server.protocol import unpack

WARM_UP = 20
SUBJECTS = ("bird", "boat", "cat", "fish", "flower", "house", "leaf", "moon", "pear", "tree")
STYLES = ("a pen-drawn", "an oil-painted", "a paper-cut")


def texts(count: int) -> list[str]:
    """Different ones, as a person may type them: some with words that nobody has learned."""
    return [f"{STYLES[i % 3]} {SUBJECTS[i // 3 % 10]} number {i} on the way to somewhere" for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--encoder", default="words")
    asked = parser.parse_args()
    condition = CONDITIONS.get("text").Config(encoder=asked.encoder).fitted(texts(60))
    with tempfile.TemporaryDirectory() as folder:
        save(untrained(asked.size, condition=condition), Path(folder) / "bundle")
        command = [sys.executable, "-m", "allaprima", "studio", folder, "--port", "0", "--no-browser"]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert studio.stdout is not None
            address = re.search(r"http://(\S+?)/", studio.stdout.readline())
            assert address is not None, "the studio did not start"
            taken = measure(f"ws://{address[1]}/ws", texts(WARM_UP + asked.texts))
        finally:
            studio.terminate()
            studio.wait()
    found = {f"p{share}_ms": round(float(np.percentile(taken, share)), 2) for share in (50, 95, 99)}
    print(
        json.dumps({"benchmark": "prompt", "size": asked.size, "encoder": asked.encoder, "texts": asked.texts, **found})
    )


def measure(address: str, wanted: list[str]) -> np.ndarray:
    """Milliseconds from each text to its frame, without the first ones."""
    from websockets.sync.client import connect

    taken = []
    with connect(address) as socket:
        socket.recv()  # hello
        for sequence, text in enumerate(wanted):
            begun = time.perf_counter()
            socket.send(json.dumps({"type": "state", "sequence": sequence, "state": {"seed": 1, "text": text}}))
            while True:
                message = socket.recv()
                assert isinstance(message, bytes), message
                if unpack(message).sequence == sequence:
                    break
            taken.append((time.perf_counter() - begun) * 1000)
            socket.send(json.dumps({"type": "shown", "sequence": sequence}))
    return np.array(taken[WARM_UP:])


if __name__ == "__main__":
    main()
