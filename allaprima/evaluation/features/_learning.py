"""Trains the net behind the ``domain`` features, in seconds.

Two views of a picture shall lie near each other and far from all others (NT-Xent; Chen et al. 2020, "A simple
framework for contrastive learning of visual representations", eq. 1). With labels a linear classifier is trained on top
at the same time: labels alone would fold each class into a point, and a generator with one picture a class would look
complete.
"""

from __future__ import annotations

import math
import time

import torch
import torch.nn.functional as F
from torch import nn

from allaprima.core.device import Device
from allaprima.core.progress import progress
from allaprima.core.schedules import warm_cosine
from allaprima.core.seeds import torch_stream
from allaprima.evaluation.features._net import Backbone
from allaprima.evaluation.features._views import random_views

PEAK, WARM = 2e-3, 0.1  # learning rate, and its share of the training until there
FEWEST_IMAGES = 4096  # below, the features are hardly worth having
MOST_OVER = 2.5  # times the seconds may be taken for those


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over all 2N views of  −log( exp(sim(zᵢ,zⱼ)/τ) / Σₖ≠ᵢ exp(sim(zᵢ,zₖ)/τ) ), sim the cosine; ``[N,D]`` each."""
    z = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(-math.inf)
    count = len(first)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    return F.cross_entropy(similarity, partner)


def learn(
    net: Backbone,
    pictures: torch.Tensor,
    labels: torch.Tensor | None,
    device: Device,
    *,
    num_images: int,
    batch_size: int,
    seconds: float,
    seed: int,
) -> int:
    """Train ``net`` on ``pictures`` (uint8 ``[N,C,H,W]``, premultiplied) and ``labels`` (int64 ``[N]``, -1 unknown).

    Sees ``num_images`` pictures, or as many as ``seconds`` allow: only a machine too slow for the plan deviates from
    what the seed determines. Returns how many it saw.
    """
    dim = net.last_dim
    head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 64)).to(device.torch)
    classify = nn.Linear(dim, int(labels.max()) + 1).to(device.torch) if labels is not None else None
    modules = nn.ModuleList([net, head, *([classify] if classify else [])]).train()
    optimiser = torch.optim.AdamW(modules.parameters(), lr=0.0, weight_decay=0.02)
    batch_size = min(batch_size, len(pictures))
    planned = num_images = max(1, num_images // batch_size) * batch_size
    seen, start = 0, time.monotonic()
    with progress("learning what the pictures show", planned) as advance:
        while seen < num_images:
            for group in optimiser.param_groups:
                group["lr"] = warm_cosine(PEAK, seen / num_images, WARM)
            rows = _batch(len(pictures), batch_size, seed, seen // batch_size)
            optimiser.zero_grad(set_to_none=True)
            chosen = labels[rows].to(device.torch) if labels is not None else None
            loss = _loss(net, head, classify, pictures[rows].to(device.torch), chosen, device, seed, seen)
            loss.backward()
            nn.utils.clip_grad_norm_(modules.parameters(), 5.0)
            optimiser.step()
            seen += batch_size
            if seen % (8 * batch_size) == 0:  # fast enough? if not, the schedule shrinks to what the time allows
                affordable = seen * seconds / (time.monotonic() - start)
                fewest = min(FEWEST_IMAGES, int(MOST_OVER * affordable))
                num_images = min(planned, max(int(affordable), fewest, seen))
            advance(batch_size, total=num_images)
    net.eval()
    return seen


def _batch(count: int, batch_size: int, seed: int, step: int) -> torch.Tensor:
    """Which pictures step ``step`` sees: every epoch another order, its ragged end left out."""
    per_epoch = count // batch_size
    order = torch.randperm(count, generator=torch_stream(seed, "feature-order", step // per_epoch))
    return order[(step % per_epoch) * batch_size :][:batch_size]


def _loss(
    net: Backbone,
    head: nn.Module,
    classify: nn.Module | None,
    pictures: torch.Tensor,
    labels: torch.Tensor | None,
    device: Device,
    seed: int,
    seen: int,
) -> torch.Tensor:
    generator = torch_stream(seed, "feature-views", seen)
    # uint8 [N,C,H,W] → float32 [2N,C,H,W] in [-1,1], two views of each
    samples = pictures.float().div(127.5).sub(1).repeat(2, 1, 1, 1)
    views = random_views(samples, generator).contiguous(memory_format=torch.channels_last)
    with device.autocast():
        features = net.last(views)
        first, second = head(features).chunk(2)
        loss = nt_xent(first, second, temperature=0.2)
        if classify is not None and labels is not None and (labels >= 0).any():
            known = F.cross_entropy(classify(features).float(), labels.repeat(2), ignore_index=-1, label_smoothing=0.1)
            loss = loss + known
    return loss
