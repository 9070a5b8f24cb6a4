"""What a VAE's encoder makes of the training pictures, and the prior that is fitted to it.

The result is a function of the nets, the pictures and the seed: a run that was resumed fits the same prior. It is
bounded work, whatever the size of the dataset.

Use: ``nets = nets | fitted_prior(run, learner, nets)``, where ``nets`` are the moving averages.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from allaprima.core.seeds import numpy_stream
from allaprima.data.conditions import Asked
from allaprima.evaluation.features import choose
from allaprima.models.conditions import classes_of, parts_of
from allaprima.models.priors import Posteriors
from allaprima.training.learner import Learner
from allaprima.training.run import Run

MOST_PICTURES = 8192
AT_ONCE = 256


def fitted_prior(run: Run, learner: Learner, nets: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """``{"prior": …}`` on the learner's device, in evaluation mode; nothing for a method without an encoder or a prior."""
    config = getattr(run.config.method, "prior", None)
    if config is None:
        return {}
    posteriors = posteriors_of(run, learner, nets)
    method = learner.method
    with torch.random.fork_rng(devices=[]):  # initial weights are fitted away: they shall not move what others draw
        prior = config.build(method.latent_dim, method.condition_dim, len(classes_of(run.condition)))
    prior.fit(posteriors, run.config.seed)
    return {"prior": prior.eval().requires_grad_(False).to(learner.device.torch)}


@torch.no_grad()
def posteriors_of(run: Run, learner: Learner, nets: dict[str, nn.Module]) -> Posteriors:
    """q(z|x) by ``nets``, of at most ``MOST_PICTURES`` training pictures; with classes, of those that have one."""
    device, dataset = learner.device, run.dataset
    places = dataset.indices("train")
    classes = classes_of(run.condition)
    if classes:
        places = places[np.asarray(dataset.labels[places]) >= 0]
    places = choose(places, MOST_PICTURES, numpy_stream(run.config.seed, "prior/pictures"))
    asked = Asked(dataset, run.condition).rows(places) if parts_of(run.condition) else torch.zeros(len(places)).long()
    parts, each = [], []
    for rows in torch.arange(len(places)).split(AT_ONCE):
        samples = dataset.domain.to_tensor(dataset.images[places[rows.numpy()]])
        y = nets["condition"](asked[rows].to(device.torch))
        each.append(y.float().cpu())
        with device.autocast():
            parts.append(torch.cat(nets["encoder"](samples.to(device.torch), y), dim=1).float().cpu())
    mean, log_variance = torch.cat(parts).chunk(2, dim=1)
    deviation = (0.5 * log_variance.clamp(-20, 20)).exp()
    if classes or not parts_of(run.condition):
        embedded = nets["condition"](torch.arange(max(1, len(classes)), device=device.torch)).float().cpu()
        return Posteriors(mean.contiguous(), deviation, asked, embedded)
    nobody = torch.zeros(1, learner.method.condition_dim)
    return Posteriors(mean.contiguous(), deviation, torch.zeros(len(places)).long(), nobody, torch.cat(each))
