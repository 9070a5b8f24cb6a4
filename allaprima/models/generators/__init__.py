"""Latent to picture: ``Config.build(shape, latent_dim, condition_dim)`` → net, ``net(z, y)`` → ``[N, C, *spatial]``.

``z`` is float ``[N, latent_dim]``, ``y`` float ``[N, condition_dim]``; the result lies about [-1, 1]. A VAE's decoder is one.
"""

from allaprima.core.catalog import Catalog

GENERATORS = Catalog("generator", __name__)
