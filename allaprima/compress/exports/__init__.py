"""Other programs' forms of a generator, one a file; each is proven equal before it counts (``compress.export``).

``SUMMARY`` says what comes out. ``write(bundle, folder, about, wanted)`` fills the folder and returns a callable ``(noise
[N, latent_dim], asked [N, condition_dim]) → uint8 [N, *spatial, C]`` that paints with what was written.
"""

from allaprima.core.catalog import Catalog

EXPORTS = Catalog("export", __name__)
ONNX_FILE = "generator.onnx"
ABOUT_FILE = "generator.json"
