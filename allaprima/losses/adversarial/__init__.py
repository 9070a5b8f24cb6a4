"""What discriminator and generator play for, on scores (logits) ``[N]`` of real and of generated samples.

A file has ``discriminator(real, fake)`` and ``generator(real, fake)``, both → ``[N]``, and names the ``PENALTY`` that it
is used with when nobody asks for another. ``GENERATOR_SEES_REAL = True`` if the generator's loss needs the real scores;
otherwise it is given the fake ones twice.
"""

from allaprima.core.catalog import Catalog

ADVERSARIAL = Catalog("adversarial loss", __name__)
