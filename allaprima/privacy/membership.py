"""How well scores tell training pictures (members) from others: the figures of every attack, whatever its scores are.

    AUC        = P(a member scores higher than another picture), ties count half: .5 is a coin's
    TPR at 1 % = share of members above the score that at most 1 % of the others reach (Carlini et al. 2022, "Membership
                 inference attacks from first principles"); a coin's is .01. An average hides a few that are given away
    advantage  = max over thresholds of TPR − FPR (Yeom et al. 2018); 0 or more even by chance
    exposure   = log₂ n − log₂ rank of one picture among n (Carlini et al. 2019, "The secret sharer", section 4.2)

Use: ``told = tell_apart(scores_of_members, scores_of_others, seed=0, name="discriminator")``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from allaprima.core.errors import UserError
from allaprima.core.seeds import numpy_stream

REPLICATES = 1000
FALSE_ALARMS = 0.01  # the share of others that may be taken for members; what a coin would find, too
COIN = 0.5
NOTHING_SEEN, POSITIVE = 0.55, 0.9  # AUC at most of an attack that sees nothing; at least of one that works
RAISED = 2 * FALSE_ALARMS  # recognised so often at the least, a few pictures are given away

Interval = tuple[float, float]


@dataclass(frozen=True)
class Told:
    """What an attack achieves; each interval holds 95 % of what other pictures would give."""

    auc: float
    auc_interval: Interval
    tpr: float
    tpr_interval: Interval
    advantage: float
    members: int
    others: int

    @property
    def sees(self) -> bool:
        """Whether a signal is there: more than ``NOTHING_SEEN`` and more than chance, or a few pictures that stand out."""
        return (self.auc > NOTHING_SEEN and self.auc_interval[0] > COIN) or self.stands_out

    @property
    def stands_out(self) -> bool:
        """Whether some members are recognised, however the others mix: it takes 100 others to know what 1 % of them is."""
        return self.others >= round(1 / FALSE_ALARMS) and self.tpr_interval[0] > RAISED

    @property
    def unclear(self) -> bool:
        """Neither seen nor not: too few pictures."""
        return not self.sees and self.auc > NOTHING_SEEN

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def tell_apart(members: torch.Tensor, others: torch.Tensor, seed: int, name: str) -> Told:
    """Scores ``[N]`` and ``[M]``, higher for what is taken for a member. Raises UserError without scikit-learn.

    The intervals are percentiles of a bootstrap that draws members and others anew, each from their own (Efron 1979).
    """
    metrics = sklearn_metrics()
    scores = torch.cat([members, others]).double().numpy()
    if not np.isfinite(scores).all():
        raise UserError(
            f"Scores of the attack '{name}' are not finite numbers", "look at the samples: are they broken?"
        )
    truth = np.repeat([1, 0], [len(members), len(others)])
    rates = metrics.roc_curve(truth, scores)[:2]
    found = _replicates(scores, len(members), numpy_stream(seed, f"audit/{name}"))
    low, high = np.quantile(found, [0.025, 0.975], axis=0).tolist()
    auc, tpr = float(metrics.roc_auc_score(truth, scores)), _recognised(*rates)
    return Told(
        auc=auc,
        auc_interval=(min(low[0], auc), max(high[0], auc)),
        tpr=tpr,
        tpr_interval=(min(low[1], tpr), max(high[1], tpr)),
        advantage=float(np.max(rates[1] - rates[0])),
        members=len(members),
        others=len(others),
    )


def exposure(rank: int, count: int) -> float:
    """log₂ n − log₂ rank: log₂ n bits for the first of all, 0 for the last, 1 in the middle."""
    return math.log2(count) - math.log2(rank)


def rank_among(scores: torch.Tensor, place: int) -> int:
    """The rank of one among ``scores`` ``[N]``, 1 for the highest; of equal ones the middle, rounded up."""
    above, equal = int((scores > scores[place]).sum()), int((scores == scores[place]).sum())
    return above + (equal + 2) // 2


def sklearn_metrics() -> Any:
    """``sklearn.metrics``. Raises UserError where it is not installed."""
    try:
        from sklearn import metrics
    except ImportError:
        raise UserError(
            "An audit needs scikit-learn, which is not installed", "pip install 'allaprima[evaluate]'"
        ) from None
    return metrics


def _replicates(scores: np.ndarray, members: int, draw: np.random.Generator) -> np.ndarray:
    """AUC and TPR of members and others (``scores[members:]``) drawn anew: float64 ``[REPLICATES, 2]``.

    All curves at once, since scikit-learn takes a second for a thousand: how often each picture was drawn, added up from the
    highest score down; equal scores are one step of the curve.
    """
    order = np.argsort(-scores, kind="stable")
    steps = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    curves = []
    for count, own in ((len(scores) - members, order >= members), (members, order < members)):
        drawn = np.zeros((REPLICATES, len(scores)))
        drawn[:, own] = draw.multinomial(count, np.full(count, 1 / count), REPLICATES)
        shares = np.add.reduceat(drawn, steps, axis=1).cumsum(1) / count
        curves.append(np.pad(shares, ((0, 0), (1, 0))))
    false_alarms, recognised = curves
    auc = np.trapezoid(recognised, false_alarms, axis=1)
    return np.stack([auc, np.where(false_alarms <= FALSE_ALARMS, recognised, 0).max(1)], axis=1)


def _recognised(false_alarms: np.ndarray, recognised: np.ndarray) -> float:
    """TPR at the last threshold with at most ``FALSE_ALARMS``."""
    return float(recognised[false_alarms <= FALSE_ALARMS].max())
