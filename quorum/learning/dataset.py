"""Dataset: one pair's rows for learning, and all pairs' rows in one pool (spec M1, M2, M4).

One model sees every pair, so all columns are scale-free; what a model may learn from a row is
decided by the folds, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.errors import DataError
from quorum.features import Features, compute_features
from quorum.learning.labels import triple_barrier, uniqueness
from quorum.learning.regime_labels import TIMEFRAME, regime_labels, regime_reach
from quorum.learning.settings import LearningSettings
from quorum.market import Market
from quorum.settings import Settings
from quorum.typing import Ints


@dataclass(frozen=True)
class PairRows:
    """What models may learn from one pair; arrays of shape (n_rows,).

    Attributes
    ----------
    pair : str
    names : tuple of str
        Columns of ``X``.
    X : ndarray of shape (n_rows, n_features), float32
    known_at : ndarray, int64
        Close time of each row's candle, ms since the epoch.
    label : ndarray, int8
        Barrier that came first (spec M2).
    label_known : ndarray, bool
    r_long, r_short : ndarray, float32
        Realised R after costs.
    weight : ndarray, float32
        Uniqueness of the label's span, 0 where there is none.
    regime : ndarray, int8
        Regime seen from both sides of the row, -1 unknown.
    """

    pair: str
    names: tuple[str, ...]
    X: NDArray[np.float32]
    known_at: Ints
    label: NDArray[np.int8]
    label_known: NDArray[np.bool_]
    r_long: NDArray[np.float32]
    r_short: NDArray[np.float32]
    weight: NDArray[np.float32]
    regime: NDArray[np.int8]


def feature_names(features: Features) -> tuple[str, ...]:
    """Return the columns models learn from: the scale-free ones, in their order."""
    return tuple(name for name, column in features.columns.items() if column.scale_free)


def feature_matrix(
    features: Features, names: Sequence[str], rows: slice | Ints = slice(None)
) -> NDArray[np.float32]:
    """Return the models' inputs at some rows; one definition for training, backtest and live.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32
        C-ordered; NaN where unknown, also where a ratio overflowed.

    Raises
    ------
    DataError
        Naming the first columns that the market lacks.
    """
    missing = [name for name in names if name not in features]
    if missing:
        raise DataError(f"features the models need and are not there: {', '.join(missing[:5])}")
    columns = [features[name][rows] for name in names]
    matrix = np.column_stack(columns).astype(np.float32) if columns else np.empty((0, 0), "f4")
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def pair_rows(market: Market, settings: Settings) -> PairRows:
    """Return the rows of one pair from which a signal could be given.

    Raises
    ------
    DataError
        If a feature family failed: models must not learn from half the columns.
    """
    features = compute_features(market)
    rows = np.flatnonzero(market.tradable & np.isfinite(features["atr"]))
    names = feature_names(features)
    s = settings.learning.labels
    labels = triple_barrier(
        market.candles, features["atr"], s, funding=market.published.get("funding_rate")
    )
    weight = np.zeros(len(market), dtype=np.float32)
    known = np.flatnonzero(labels.known)
    if len(known):
        weight[known] = uniqueness(known + 1, labels.end[known], len(market))
    return PairRows(
        pair=market.pair,
        names=names,
        X=feature_matrix(features, names, rows),
        known_at=market.close_time[rows],
        label=labels.label[rows],
        label_known=labels.known[rows],
        r_long=labels.r_long[rows].astype(np.float32),
        r_short=labels.r_short[rows].astype(np.float32),
        weight=weight[rows],
        regime=_regimes(market, settings.learning)[rows],
    )


def _regimes(market: Market, settings: LearningSettings) -> NDArray[np.int8]:
    """Return the regime label of each base candle, -1 where unknown, shape (n_candles,)."""
    if market.candles.timeframe == TIMEFRAME:
        return regime_labels(market.candles, settings.regimes)
    source = market.higher.get(TIMEFRAME)
    if source is None or len(source.candles) == 0:
        return np.full(len(market), -1, dtype=np.int8)
    labels = regime_labels(source.candles, settings.regimes)
    return np.where(source.row >= 0, labels[np.maximum(source.row, 0)], -1).astype(np.int8)


@dataclass(frozen=True)
class Pool:
    """The rows of all pairs, ordered by time, then by pair.

    Attributes
    ----------
    names, pairs : tuple of str
    arrays : mapping of name to ndarray
        The fields of :class:`PairRows` of shape (n_rows, ...), and ``pair``, the index of each
        row's pair (int16).
    """

    names: tuple[str, ...]
    pairs: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.arrays["known_at"])


FIELDS = ("X", "known_at", "label", "label_known", "r_long", "r_short", "weight", "regime")


def pool(rows: Sequence[PairRows]) -> Pool:
    """Put the pairs' rows together.

    Raises
    ------
    DataError
        If there are none, or a pair has other columns than the first.
    """
    if not rows or not any(len(r.known_at) for r in rows):
        raise DataError("no pair has a row to learn from: the candles are too few")
    for r in rows[1:]:
        if r.names != rows[0].names:
            differ = sorted(set(r.names) ^ set(rows[0].names))
            raise DataError(f"{r.pair}: other features than {rows[0].pair}: {', '.join(differ)}")
    index = np.concatenate([np.full(len(r.known_at), i, np.int16) for i, r in enumerate(rows)])
    known_at = np.concatenate([r.known_at for r in rows])
    order = np.lexsort((index, known_at))
    arrays = {name: np.concatenate([getattr(r, name) for r in rows])[order] for name in FIELDS}
    return Pool(rows[0].names, tuple(r.pair for r in rows), {**arrays, "pair": index[order]})


def horizons(settings: LearningSettings, step: int) -> tuple[int, int]:
    """Return how far the barrier labels and the regime labels look ahead [ms]."""
    return settings.labels.horizon * step, regime_reach(settings.regimes)
