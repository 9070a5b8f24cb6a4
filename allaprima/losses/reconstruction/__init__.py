"""How far a VAE's output lies from its input, in nats, one value a sample.

A file has ``reconstruction(samples, decoded)`` → ``[N]``: -log p(x | z), up to a constant where it says so.
"""

from allaprima.core.catalog import Catalog

RECONSTRUCTION = Catalog("reconstruction loss", __name__)
