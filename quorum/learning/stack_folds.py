"""What an ensemble is worth on rows its joining had not seen (spec M4 c, M9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorum.learning.folds import PurgedKFold
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.probabilities import codes_of, log_loss, shares
from quorum.learning.stack import fit_stack
from quorum.typing import Floats, Ints


def stack_out_of_fold(
    members: Mapping[str, Floats],
    y: Ints,
    weight: Floats,
    time: Ints,
    end_time: Ints,
    *,
    classes: Sequence[int],
    settings: EnsembleSettings,
    blocks: PurgedKFold,
) -> Floats:
    """Return the joined probabilities of rows that did not fit the joining.

    Parameters
    ----------
    members : mapping of member to ndarray of shape (n, n_classes), float64
        Calibrated, out of fold; NaN rows were not predicted.
    y, weight, time, end_time : ndarray of shape (n,)
    classes : sequence of int
    settings : EnsembleSettings
        Which of the members are joined, and how.
    blocks : PurgedKFold

    Returns
    -------
    ndarray of shape (n, n_classes), float64
        NaN where a member is.
    """
    out = np.full((len(y), len(classes)), np.nan)
    known = np.flatnonzero(
        np.isfinite([members[name] for name in settings.members]).all(axis=(0, 2))
    )
    if not len(known):
        return out
    for train, test in blocks.split(known, time=time[known], end_time=end_time[known]):
        rows = known[train]
        if weight[rows].sum() <= 0:
            continue
        stack = fit_stack(
            {name: members[name][rows] for name in settings.members},
            y[rows],
            weight[rows],
            classes=classes,
            settings=settings,
        )
        ahead = known[test]
        out[ahead] = stack.predict_proba({n: members[n][ahead] for n in settings.members})
    return out


def stack_metrics(
    out_of_fold: Floats, y: Ints, weight: Floats, classes: Sequence[int]
) -> dict[str, Any]:
    """Return log loss of the ensemble out of fold and of the base rates of the same rows [nats]."""
    rows = np.flatnonzero(np.isfinite(out_of_fold).all(axis=1))
    codes = codes_of(y, classes, "ensemble")[rows]
    own = weight[rows]
    if not len(rows) or own.sum() <= 0:
        return {}
    prior = np.tile(shares(codes, len(classes), own), (len(rows), 1))
    return {
        "calibrated": {"log_loss": log_loss(out_of_fold[rows], codes, own)},
        "prior": {"log_loss": log_loss(prior, codes, own)},
    }
