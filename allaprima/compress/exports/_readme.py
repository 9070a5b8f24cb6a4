"""The page beside an exported generator."""

from __future__ import annotations

from typing import Any


def readme(about: dict[str, Any], form: str, packages: str, program: str) -> str:
    """Markdown that says what lies here and how to paint with it."""
    height, width = about["spatial"]
    asked = (
        f"- `asked`, float32 `[N, {about['condition_dim']}]`: what is wished. `generator.json` has a row for each of its "
        f"{len(about['wishes'])} wishes; between two rows lie mixtures.\n"
        if about["wishes"]
        else ""
    )
    return f"""# {about["name"]}

A generator of {width} × {height} pictures, made with Alla Prima, as {form}.

- `noise`, float32 `[N, {about["latent_dim"]}]`: drawn from N(0, I), any N. Scaled down, pictures are safer and more alike.
{asked}- `pictures`, uint8 `[N, {height}, {width}, {about["channels"]}]`.

With {packages}:

```python
{program.strip()}
```

`directions` in `generator.json` are unit vectors that change a picture the most: add up to 3 times one to the noise.

Every picture of this generator is synthetic; say so where you show one.
"""
