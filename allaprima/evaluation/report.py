"""The page ``report.html``: one file that needs nothing else, not even a script; its sections are found by their names.

Each module of ``sections/`` has ``PLACE`` (its order on the page) and ``section(material) -> str``, HTML or nothing.
Use: ``write_atomic(path, page(material))``.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from importlib.resources import files

from PIL import Image

from allaprima.core.catalog import Catalog
from allaprima.evaluation.material import Material

SECTIONS = Catalog("section", "allaprima.evaluation.sections")
MOST_PIXELS_SHOWN = 192
WAY = {"lower": "lower is better ↓", "higher": "higher is better ↑", "neither": "best near real pictures’ own"}


def page(material: Material) -> str:
    """The whole document."""
    modules = sorted((SECTIONS.get(name) for name in SECTIONS.names()), key=lambda module: module.PLACE)
    parts = [module.section(material) for module in modules]
    notice = """<p class="private" role="note"><strong>Contains training pictures: keep it private.</strong>
Real pictures of the dataset are shown below.</p>"""
    return document(material.run.resolve().name, "evaluation", "".join(parts), notice)


def document(name: str, kind: str, body: str, notice: str = "") -> str:
    """A page in the house's style: ``body`` and ``notice``, which stands first, are HTML; ``kind`` says what it reports."""
    style = (files("allaprima.evaluation") / "report.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{escape(name)} · Alla Prima</title>
<style>
{style}
</style>
</head>
<body>
<header>
<p class="kicker">Alla Prima · {escape(kind)}</p>
<h1>{escape(name)}</h1>
{notice}
</header>
<main>
{body}
</main>
</body>
</html>
"""


def escape(text: object) -> str:
    """Text made safe inside HTML and its attributes: file and class names are a stranger's input."""
    return html.escape(str(text), quote=True)


def block(title: str, body: str, words: str = "") -> str:
    """One section of the page; ``words`` explain it and are HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{f'<p>{words}</p>' if words else ''}\n{body}\n</section>\n"


def image(picture: Image.Image, alt: str) -> str:
    """An ``<img>`` that carries its bytes: lossless up to 64 px, WebP above."""
    longest = max(picture.size)
    if longest > MOST_PIXELS_SHOWN:
        ratio = MOST_PIXELS_SHOWN / longest
        picture = picture.resize(
            (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))), Image.Resampling.LANCZOS
        )
    buffer = io.BytesIO()
    small = longest <= 64
    picture.save(buffer, "PNG" if small else "WEBP", **({"optimize": True} if small else {"quality": 90}))
    data = base64.b64encode(buffer.getvalue()).decode()
    kind = "png" if small else "webp"
    sharp = ' class="sharp"' if longest <= 96 else ""
    return (
        f'<img{sharp} width="{picture.width}" height="{picture.height}" alt="{escape(alt)}" '
        f'src="data:image/{kind};base64,{data}">'
    )


def wall(pictures: Sequence[Image.Image], alt: str, kind: str = "wall") -> str:
    """Pictures side by side, wrapped to the width of the screen (``wall``) or kept in one row (``strip``)."""
    shown = "".join(image(picture, f"{alt} {place}") for place, picture in enumerate(pictures, 1))
    large = " large" if kind == "wall" and pictures and max(pictures[0].size) > 48 else ""
    return f'<div class="{kind}{large}">{shown}</div>'


def number(value: float) -> str:
    """Three digits that count, four decimals at most."""
    if abs(value) >= 99.95 or (abs(value) >= 2 and value == int(value)):  # three digits before the point, or a count
        return f"{value:,.0f}"
    if abs(value) >= 9.9995:
        return f"{value:.1f}"
    words = f"{value:.4f}" if 0.00005 <= abs(value) < 0.0095 else f"{value:.3f}"
    return "0.000" if words == "-0.000" else words
