"""Picture to score: ``Config.build(shape, condition_dim)`` → net, ``net(x, y)`` → scores ``[N]``, higher is more real."""

from allaprima.core.catalog import Catalog

DISCRIMINATORS = Catalog("discriminator", __name__)
