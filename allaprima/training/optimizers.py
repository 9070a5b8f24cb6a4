"""One optimiser for each phase, from the settings: Adam, AdamW, RMSprop or SGD, fused where torch can."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from allaprima.core.schedules import SCHEDULES, settling
from allaprima.training.config import TrainingConfig

EPSILON = 1e-8


def build(config: TrainingConfig, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """The optimiser; its learning rate is set anew at every step by ``learning_rate``. ``config`` holds no ``auto``."""
    lr, beta1, beta2 = (number(value) for value in (config.lr, config.beta1, config.beta2))
    params, decay = list(parameters), config.weight_decay
    fused, cuda = device.type in ("cpu", "cuda"), device.type == "cuda"
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(params, lr, (beta1, beta2), EPSILON, decay, fused=fused, capturable=cuda)
        case "adamw":
            return torch.optim.AdamW(params, lr, (beta1, beta2), EPSILON, decay, fused=fused, capturable=cuda)
        case "rmsprop":
            return torch.optim.RMSprop(params, lr, beta2, EPSILON, decay, beta1)
        case "sgd":
            return torch.optim.SGD(params, lr, beta1, weight_decay=decay, fused=fused)


def step(optimizer: torch.optim.Optimizer, rate: float | torch.Tensor, fine: torch.Tensor) -> None:
    """One step at ``rate`` if ``fine``, a boolean scalar. Fused Adam looks at it on the device; others wait for it.

    Fused Adam takes a scalar tensor for ``rate`` too.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    if never_waits(optimizer):
        # made for gradient scaling, and just what is needed: a step with this set changes nothing
        optimizer.found_inf = (~fine).float()  # type: ignore[attr-defined]  # fused Adam reads it
        optimizer.step()
    elif bool(fine):
        optimizer.step()


def never_waits(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its step decides on the device whether to move."""
    return isinstance(optimizer, torch.optim.Adam) and bool(optimizer.defaults["fused"])  # AdamW is one


def learning_rate(config: TrainingConfig, progress: float, num_images_seen: int) -> float:
    """The rate at a moment of the run: warm-up by images, then the schedule."""
    lr = number(config.lr)
    end = lr * number(config.lr_end)
    if config.schedule == "settling":
        rate = settling(lr, end, progress, num_images_seen / progress if progress else 0.0)
    else:
        rate = SCHEDULES[config.schedule](lr, end, progress)
    if num_images_seen < config.warm_up_images:
        rate *= (num_images_seen + 1) / config.warm_up_images
    return rate


def number(value: float | str) -> float:
    """A setting that ``RunConfig.with_recommended`` has filled in."""
    assert not isinstance(value, str), "an 'auto' reached the optimiser: call with_recommended first"
    return value
