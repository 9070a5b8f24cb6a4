"""One optimiser for each phase, from the settings: Adam, AdamW, RMSprop or SGD, fused where torch can."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from allaprima.core.schedules import SCHEDULES
from allaprima.training.config import OptimizerConfig

EPSILON = 1e-8


def build(config: OptimizerConfig, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """The optimiser; its learning rate is set anew at every step by ``learning_rate``."""
    params, decay = list(parameters), config.weight_decay
    fused = device.type in ("cpu", "cuda")
    betas = (config.beta1, config.beta2)
    match config.algorithm:
        case "adam":
            return torch.optim.Adam(params, config.lr, betas, EPSILON, decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(params, config.lr, betas, EPSILON, decay, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(params, config.lr, config.beta2, EPSILON, decay, config.beta1)
        case "sgd":
            return torch.optim.SGD(params, config.lr, config.beta1, weight_decay=decay, fused=fused)


def learning_rate(config: OptimizerConfig, progress: float, num_images_seen: int) -> float:
    """The rate at a moment of the run: warm-up by images, then the schedule."""
    rate = SCHEDULES[config.schedule](config.lr, config.lr * config.lr_end, progress)
    if num_images_seen < config.warm_up_images:
        rate *= (num_images_seen + 1) / config.warm_up_images
    return rate
