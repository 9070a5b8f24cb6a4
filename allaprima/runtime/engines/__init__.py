"""Ways of running a generator; one a file, found by its name.

``painters(bundle)`` yields callables ``(z [N, latent_dim], y [N, condition_dim]) → float [N, C, *spatial]`` about
[-1, 1], the quickest first, each with a ``name`` to show. ``runtime/engine.py`` takes the first that is right.
"""

from allaprima.core.catalog import Catalog

ENGINES = Catalog("engine", __name__)
