"""Picture to score: ``Config.build(shape, condition_dim)`` → net, ``net(x, y)`` → scores ``[N]``, higher is more real.

A net has two halves: ``net.grids(x)``, its features as maps ``[N, F, *grid]``, finest first, and ``net.judge(grids, y)``, the
scores of samples that have them; features serve other losses too. ``net.layers()``: the modules that fine-tuning may freeze,
from the picture upwards. A ``Config`` may name the ``PENALTY`` that suits its net better than the loss's.
"""

from allaprima.core.catalog import Catalog

DISCRIMINATORS = Catalog("discriminator", __name__)
