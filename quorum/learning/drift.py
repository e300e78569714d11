"""Drift: how far the newest rows lie from those a model mostly learned from (spec M8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.typing import Bools, Floats

#: Bins of the comparison; each holds the same share of the older rows.
BINS = 10
#: A share under which no bin counts as empty.
SMALLEST = 1e-3
#: Features whose index exceeds this have drifted, by the usual rule of thumb (Siddiqi 2006).
DRIFTED = 0.25


def stability_index(older: NDArray[np.float32], newer: NDArray[np.float32]) -> Floats:
    """Return the population stability index of every column, shape (n_features,).

    The sum over bins of the difference of shares times the log of their ratio: under 0.1 the
    columns are alike, over 0.25 they have drifted. Missing values are a bin of their own.

    Parameters
    ----------
    older, newer : ndarray of shape (n_rows, n_features), float32
    """
    out = np.zeros(older.shape[1])
    cuts = np.linspace(0, 1, BINS + 1)[1:-1]
    for j in range(older.shape[1]):
        known = older[:, j][np.isfinite(older[:, j])].astype(np.float64)
        edges: Floats = np.unique(np.quantile(known, cuts)) if len(known) else known
        a, b = _shares(older[:, j], edges), _shares(newer[:, j], edges)
        out[j] = float(np.sum((a - b) * np.log(a / b)))
    return out


def _shares(values: NDArray[np.float32], edges: Floats) -> Floats:
    known = np.isfinite(values)
    place = np.searchsorted(edges, values[known], side="right")
    counts = np.append(np.bincount(place, minlength=len(edges) + 1), np.sum(~known))
    shares: Floats = np.maximum(counts.astype(np.float64) / max(len(values), 1), SMALLEST)
    return shares


def drift_metrics(X: NDArray[np.float32], newest: Bools, names: Sequence[str]) -> dict[str, Any]:
    """Return the share of features that drifted in the newest rows, and the worst of them."""
    if not newest.any() or newest.all():
        return {"share": 0.0, "worst": {}}
    index = stability_index(X[~newest], X[newest])
    worst = np.argsort(-index)[:5]
    return {
        "share": float(np.mean(index > DRIFTED)),
        "worst": {names[j]: float(index[j]) for j in worst},
    }
