"""What discriminator and generator play for, on scores (logits) ``[N]`` of real and of generated samples.

A file has ``discriminator(real, fake)`` and ``generator(real, fake)``, both → ``[N]``, and names the ``PENALTY`` that it
is used with when nobody asks for another. Both get the scores of both and leave out what they do not need.
"""

from allaprima.core.catalog import Catalog

ADVERSARIAL = Catalog("adversarial loss", __name__)
