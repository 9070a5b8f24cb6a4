"""Picture to latent: ``Config.build(shape, latent_dim, condition_dim)`` → net, ``net(x, y)`` → (mean, log variance).

Both are float ``[N, latent_dim]``.
"""

from allaprima.core.catalog import Catalog

ENCODERS = Catalog("encoder", __name__)
