"""What makes numbers of texts. One encoder a file.

    fitted(captions)   the Config that knows the training captions' words, where that matters
    encode(texts)      texts that are not blank → float32 ``[N, size]``, each row by its own text alone, none of zeros
    build(width)       the net that learns with the generator: such rows, or zeros for no text → float32 ``[N, width]``
    thinned(rows, draws)   optional: such rows for a step of training, which say less; draws in [0, 1) ``[N, 1 + size]``
    identity           changes with everything that the rows depend on and the Config does not tell

Use: ``config = TEXT_ENCODERS.get("words").Config().fitted(captions); config.encode(["a blue bird"])``.
"""

from allaprima.core.catalog import Catalog

TEXT_ENCODERS = Catalog("text encoder", __name__)
