"""LSTMs for the tests that need no training, and windows in which the order decides."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from quorum.learning.inputs import WindowedRows
from quorum.learning.lstm import LENGTH, Lstm

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="PyTorch (extra sequence) is not installed"
)
CLASSES = (-1, 0, 1)
#: Few and short: what is tested is not how much is learned.
SMALL = {"epochs": 3, "units": 8, "seeds": 2}


def candles(n: int = 300, n_features: int = 5, seed: int = 0):
    """Return columns of one pair with some values not known."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_features)).astype(np.float32) * 2.0
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


def windows(source) -> WindowedRows:
    """Return the windows of all candles that have one."""
    last = np.arange(LENGTH - 1, len(source))
    return WindowedRows(source, last[:, None] + np.arange(-LENGTH + 1, 1))


def drawn(n_features: int = 5, units: int = 8, seeds: int = 2, seed: int = 3) -> Lstm:
    """Return an LSTM with weights of chance."""
    rng = np.random.default_rng(seed)

    def values(*shape: int):
        return (0.4 * rng.standard_normal(shape)).astype(np.float32)

    arrays = {
        "centre": values(n_features),
        "scale": np.abs(values(n_features)) + np.float32(0.5),
        "w_in": values(seeds, n_features, 4 * units),
        "w_state": values(seeds, units, 4 * units),
        "bias": values(seeds, 4 * units),
        "w_out": 3 * values(seeds, units, 3),
        "b_out": values(seeds, 3),
    }
    return Lstm(CLASSES, epochs=4, units=units, seeds=seeds)._adopt(arrays, 4)


def planted(n: int = 4000, seed: int = 0):
    """Return windows and labels that follow from the order of two events, not from any candle.

    Somewhere within the last 12 candles an event of each of two kinds happens; which came first
    decides. Every single candle has the same distribution whatever the label.
    """
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((n * LENGTH, 3)).astype(np.float32) * 0.3
    places = np.arange(n * LENGTH).reshape(n, LENGTH)
    gaps = np.array([rng.choice(12, 2, replace=False) for _ in range(n)]) + 1
    rows = np.arange(n)
    source[places[rows, -1 - gaps[:, 0]], 0] += 3.0
    source[places[rows, -1 - gaps[:, 1]], 1] += 3.0
    y = np.where(gaps[:, 0] > gaps[:, 1], 1, -1).astype(np.int64)
    return WindowedRows(source, places), y
