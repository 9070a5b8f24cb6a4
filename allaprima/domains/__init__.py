"""What one sample is: bytes ↔ stored array ↔ tensor ↔ a picture to look at. One domain a file."""

from dataclasses import dataclass

from allaprima.core.catalog import Catalog

DOMAINS = Catalog("domain", __name__)


@dataclass(frozen=True)
class Shape:
    """What a net needs to know of a sample: channels and the extent of each spatial dimension."""

    channels: int
    spatial: tuple[int, ...]
