"""How good class probabilities are: one number of each kind, and by class (spec M5, M9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from quorum.evidence.forecasts import auc, brier, calibration_error
from quorum.learning.probabilities import log_loss
from quorum.typing import Floats, Ints


def forecast_metrics(
    p: Floats, codes: Ints, weight: Floats | None, classes: Sequence[int]
) -> dict[str, Any]:
    """Return log loss, Brier score, calibration error and AUC, JSON-like.

    ``brier`` is the sum over the classes (Brier 1950: 0 perfect, 2 at worst); ``auc`` and ``ece``
    are means over the classes that have rows, one against the rest; None where not defined.

    Parameters
    ----------
    p : ndarray of shape (n, n_classes), float64
    codes : ndarray of shape (n,), int64
        Column of the true class.
    weight : ndarray of shape (n,), float64, optional
        Of log loss and Brier score.
    classes : sequence of int
    """
    by_class: dict[str, dict[str, float | None]] = {}
    for k, label in enumerate(classes):
        happened = codes == k
        by_class[str(label)] = {
            "brier": brier(p[:, k], happened, weight),
            "auc": _number(auc(p[:, k], happened).estimate),
            "ece": calibration_error(p[:, k], happened),
            "rate": float(np.mean(happened)),
        }
    present = [found for found in by_class.values() if found["rate"]]
    return {
        "log_loss": log_loss(p, codes, weight),
        "brier": sum(found["brier"] or 0.0 for found in by_class.values()),
        "auc": _mean([found["auc"] for found in present]),
        "ece": _mean([found["ece"] for found in present]),
        "classes": by_class,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
