"""Losses, one a file: tensors → one value for each sample, ``[N]``. The caller takes the mean."""
