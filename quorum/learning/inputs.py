"""Inputs: what a model is given of a candle, its row or the window that ends there (spec M10).

A window is the last ``length`` candles of one pair, with no gap inside and nothing of another
pair; a candle without a full one has none. Training and prediction find them by the same rule, in
the same columns that rows are made of, so nothing is filled in and nothing comes from later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quorum.features import Features
from quorum.learning.dataset import feature_matrix
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints


@dataclass(frozen=True)
class Rows:
    """A model that eats one candle at a time."""


@dataclass(frozen=True)
class Windows:
    """A model that eats the last ``length`` candles of a pair."""

    length: int


@dataclass(frozen=True, eq=False)
class WindowedRows:
    """Windows over rows that are kept once.

    Attributes
    ----------
    source : ndarray of shape (n_source, n_features), float32
    places : ndarray of shape (n, length), int64
        Rows of ``source`` that each window is made of, oldest first.
    """

    source: NDArray[np.float32]
    places: Ints

    @property
    def shape(self) -> tuple[int, int, int]:
        """Windows, candles of each, features."""
        n, length = self.places.shape
        return n, length, self.source.shape[1]

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> WindowedRows:
        """Return some of the windows."""
        return WindowedRows(self.source, self.places[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all windows side by side, shape (n, length, n_features)."""
        return np.asarray(self.source[self.places], dtype)


#: What ``Member`` and ``FittedClassifier`` are given.
ModelRows: TypeAlias = NDArray[np.float32] | WindowedRows


def infinite_columns(X: ModelRows) -> Bools:
    """Return which features hold an infinite value, shape (n_features,)."""
    values = X.source if isinstance(X, WindowedRows) else X
    return np.asarray(np.isinf(values).any(axis=0))


def window_places(
    time: Ints, pair: NDArray[np.int16], wanted: Ints, length: int, step: int
) -> Ints:
    """Return the rows that the window of each wanted row is made of.

    Parameters
    ----------
    time : ndarray of shape (n,), int64
        Close time of every row [ms], ascending; of each pair only candles that may be learned from.
    pair : ndarray of shape (n,), int16
        Index of each row's pair.
    wanted : ndarray of shape (n_wanted,), int64
        Rows, ascending.
    length : int
        Candles of a window.
    step : int
        Length of a candle [ms]; further apart is a gap.

    Returns
    -------
    ndarray of shape (n_wanted, length), int64
        Oldest first; all -1 where a candle is missing.
    """
    n_pairs = int(pair.max()) + 1 if len(pair) else 0
    return np.asarray(_places(time, pair.astype(np.int64), wanted, length, step, n_pairs))


@njit(cache=True)
def _places(
    time: Ints, pair: Ints, wanted: Ints, length: int, step: int, n_pairs: int
) -> Ints:  # pragma: no cover
    out = np.full((len(wanted), length), -1, np.int64)
    ring = np.full((n_pairs, length), -1, np.int64)
    seen = np.zeros(n_pairs, np.int64)
    unbroken = np.zeros(n_pairs, np.int64)
    last = np.zeros(n_pairs, np.int64)
    k = 0
    for i in range(len(time)):
        p = pair[i]
        follows = unbroken[p] > 0 and time[i] - last[p] == step
        unbroken[p] = unbroken[p] + 1 if follows else 1
        last[p] = time[i]
        ring[p, seen[p] % length] = i
        seen[p] += 1
        if k < len(wanted) and wanted[k] == i:
            if unbroken[p] >= length:
                for j in range(length):
                    out[k, j] = ring[p, (seen[p] + j) % length]
            k += 1
    return out


class MarketInputs:
    """What models are given of one market at some of its candles.

    Parameters
    ----------
    market, features : Market, Features
    names : sequence of str
        Columns that models learn from.
    rows : ndarray of shape (n_rows,), int64
        Candles, ascending.
    """

    def __init__(
        self, market: Market, features: Features, names: Sequence[str], rows: Ints
    ) -> None:
        self._market = market
        self._features = features
        self._names = tuple(names)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """The rows, shape (n_rows, n_names), float32."""
        return feature_matrix(self._features, self._names, self._rows)

    def given(self, eats: Rows | Windows, names: Sequence[str]) -> tuple[ModelRows, Bools]:
        """Return what a model eats, and of which of the rows; it is silent on the others.

        Parameters
        ----------
        eats : Rows or Windows
        names : sequence of str
            Columns the model knows.
        """
        if isinstance(eats, Rows):
            everywhere = np.ones(len(self), dtype=np.bool_)
            same = tuple(names) == self._names
            return self.matrix if same else self._chosen(names, self._rows), everywhere
        usable = np.flatnonzero(learnable(self._market, self._features))
        at = np.searchsorted(usable, self._rows)
        there = np.isin(self._rows, usable)
        full = np.zeros(len(self), dtype=np.bool_)
        places = window_places(
            self._market.close_time[usable],
            np.zeros(len(usable), np.int16),
            at[there],
            eats.length,
            self._market.candles.step,
        )
        full[there] = places[:, 0] >= 0
        places = places[places[:, 0] >= 0]
        first = int(places.min()) if len(places) else 0
        last = int(places.max()) + 1 if len(places) else 0
        return WindowedRows(self._chosen(names, usable[first:last]), places - first), full

    def _chosen(self, names: Sequence[str], rows: Ints) -> NDArray[np.float32]:
        return feature_matrix(self._features, names, rows)


def learnable(market: Market, features: Features) -> Bools:
    """Return the candles that models learn from and speak of, shape (n_candles,)."""
    return np.asarray(market.tradable & np.isfinite(features["atr"]))


def spread(values: Floats, rows: Bools) -> Floats:
    """Return values of some rows as those of all, NaN elsewhere."""
    if rows.all():
        return values
    out = np.full((len(rows), *values.shape[1:]), np.nan)
    out[rows] = values
    return out
