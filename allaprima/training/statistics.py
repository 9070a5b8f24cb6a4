"""Batch normalisation's running statistics for averaged weights, which have never seen a batch: they are measured anew.

Those that training keeps belong to the last weights, not to their average, and are the mean of a few batches only (Izmailov et
al. 2018, "Averaging weights leads to wider optima", section 3.2). It matters most early in a run, little at its end
(``LOG.md``).

Use: ``nets = with_own_statistics(run, learner)``.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from allaprima.core.seeds import torch_stream
from allaprima.training.learner import Learner
from allaprima.training.run import Run

BATCHES, BATCH_SIZE = 16, 128


def with_own_statistics(run: Run, learner: Learner) -> dict[str, nn.Module]:
    """Copies of the moving averages that know their own statistics, in evaluation mode; themselves where none are kept.

    The result is a function of the weights, the pictures and the seed, and bounded work.
    """
    nets = learner.ema.nets
    if not any(isinstance(layer, _BatchNorm) for net in nets.values() for layer in net.modules()):
        return nets
    nets = copy.deepcopy(nets)
    norms = [layer for net in nets.values() for layer in net.modules() if isinstance(layer, _BatchNorm)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, rather than a moving one
        norm.train()
    device, seed = learner.device, run.config.seed
    loader = run.loader("train", BATCH_SIZE, device.torch)
    try:
        with torch.no_grad(), device.autocast():
            for step in range(BATCHES):
                random = torch_stream(seed, "statistics", step, device=device.torch)
                learner.method.replay(nets, loader.batch(step), random)
    finally:
        loader.close()
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
        norm.eval()
    return nets
