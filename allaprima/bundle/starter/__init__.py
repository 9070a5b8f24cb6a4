"""The generator that comes with the package, something to play with at once: pictures of the built-in ``studies``
at 64 px, asked for in words. Trained by ``recipes/starter.py``, put here by ``tools/starter.py``.

Use: ``Bundle.load(STARTER).sample(16, text="a blue pen-drawn bird")``.
"""

from pathlib import Path

STARTER = Path(__file__).resolve().parent
