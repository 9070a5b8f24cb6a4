"""What a picture is asked to be: nothing, a class; later text and sound.

A condition's ``Config`` holds what it must remember (class names); ``prepare(raw)`` turns a person's or a dataset's
values into a tensor, the same in training and in serving; ``build(dim)`` makes the net that embeds that tensor.
"""

from allaprima.core.catalog import Catalog

CONDITIONS = Catalog("condition", __name__)
