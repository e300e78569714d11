"""Consensus models: what one fold learns from past consensus signals (spec M4 d, C11).

The signals are those the strategy would have given with the market models that were live then;
their outcomes are simulated trades, after costs. So the meta-model answers the question its user
has: how often does a signal like this one win, with these stops and targets, and what does it pay?
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.consensus import valid_votes
from quorum.learning.classifier import FittedClassifier
from quorum.learning.fitting import fit_classifier
from quorum.learning.labels import NEVER
from quorum.learning.promotion import excess_loss
from quorum.learning.settings import LearningSettings
from quorum.learning.signal_rows import signal_columns, signal_rows
from quorum.learning.vintage import META, RETURNS_FILE
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.simulation import Venue, funding_paid, simulate
from quorum.typing import Bools, Floats, Ints

#: A trade won if it paid anything after costs.
WIN_CLASSES = (0, 1)
META_MEMBER = "lightgbm"


@dataclass(frozen=True)
class SignalRows:
    """Consensus signals and what became of them; arrays of shape (n_signals,), by time.

    Attributes
    ----------
    names : tuple of str
        Columns of ``X``.
    X : ndarray of shape (n_signals, n_columns), float32
    time : ndarray, int64
        Close time of the signal's candle, ms.
    known_at : ndarray, int64
        When its outcome was known, ``NEVER`` where it is not yet.
    r : ndarray, float64
        Result after costs in R, NaN where the trade never began or has not ended.
    pair : ndarray, int16
        Index of the pair.
    direction : ndarray, int8
    votes : ndarray of shape (n_signals, n_heads), int8
        Direction of each head's valid vote, 0 for none.
    """

    names: tuple[str, ...]
    X: NDArray[np.float32]
    time: Ints
    known_at: Ints
    r: Floats
    pair: NDArray[np.int16]
    direction: NDArray[np.int8]
    votes: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time)


def pair_signals(table: SignalTable, market: Market, settings: Settings, pair: int) -> SignalRows:
    """Return the signals of one pair with their simulated outcomes.

    Signals that the context or the ladder refuses count too: they teach the same, and refusals
    change with the settings.
    """
    rows = np.flatnonzero(table.entry)
    s = settings.learning.labels
    venue = Venue(fee=s.fee, slippage=s.slippage, funding=funding_paid(market))
    outcome = simulate(table, market.candles, settings, rows=rows, venue=venue)
    close_time = np.append(market.close_time, NEVER)
    return SignalRows(
        names=signal_columns(table.votes.heads),
        X=signal_rows(table, rows),
        time=market.close_time[rows],
        known_at=close_time[outcome.known_row],
        r=outcome.r,
        pair=np.full(len(rows), pair, np.int16),
        direction=table.entry[rows],
        votes=valid_votes(table.votes, settings.consensus)[rows],
    )


def pool_signals(parts: Sequence[SignalRows]) -> SignalRows:
    """Put the signals of all pairs together, by time and pair."""
    time = np.concatenate([p.time for p in parts])
    pair = np.concatenate([p.pair for p in parts])
    order = np.lexsort((pair, time))

    def joined(name: str) -> NDArray[Any]:
        values: NDArray[Any] = np.concatenate([getattr(p, name) for p in parts])[order]
        return values

    fields = ("X", "time", "known_at", "r", "pair", "direction", "votes")
    return SignalRows(parts[0].names, *(joined(name) for name in fields))


def ended(signals: SignalRows, valid_from: int, settings: LearningSettings) -> Bools:
    """Return which signals may train a fold's meta-model, shape (n_signals,).

    Given long enough before the fold speaks that *every* trade had ended: a rule by the trade's
    own end would prefer those that end fast, which are the losers.
    """
    meta = settings.meta
    oldest = valid_from - meta.window_days * DAY_MS if meta.window_days else 0
    latest = valid_from - settings.folds.embargo_ms - int(meta.horizon_days * DAY_MS)
    done = (signals.known_at <= valid_from - settings.folds.embargo_ms) & np.isfinite(signals.r)
    rows: Bools = done & (signals.time >= oldest) & (signals.time <= latest)
    return rows


def fit_meta(
    signals: SignalRows, valid_from: int, settings: LearningSettings
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Fit the meta-model of one fold; no files where it must not be the promise.

    That is where too few signals have ended, or where it is worse than the base rate.

    Signals of one pair overlap: each weighs one over the number of its pair's signals within the
    day around it.

    Returns
    -------
    files : dict of file name to bytes
    metrics : dict
    """
    rows = np.flatnonzero(ended(signals, valid_from, settings))
    meta = settings.meta
    if len(rows) < meta.min_signals:
        return {}, {"fallback": f"{len(rows)} signals have ended, {meta.min_signals} are needed"}
    r = signals.r[rows]
    won = (r > 0).astype(np.int64)
    weight = _spread_weight(signals, rows)
    time = signals.time[rows]
    fitted: FittedClassifier = fit_classifier(
        signals.X[rows],
        won,
        weight,
        time,
        signals.known_at[rows],
        classes=WIN_CLASSES,
        member=META_MEMBER,
        settings=meta.fitting,
        embargo_ms=settings.folds.embargo_ms,
        n_splits=settings.folds.inner_splits,
        features=signals.names,
    )
    returns = {
        name: float(np.average(r[side], weights=weight[side])) if side.any() else 0.0
        for name, side in (("win", won == 1), ("loss", won == 0))
    }
    metrics = {
        **fitted.metrics,
        "signals": len(rows),
        "win_rate": float(np.average(won, weights=weight)),
        "mean_r": float(np.average(r, weights=weight)),
        "cut_off": int(time[-1]),
        "horizon_ms": int(meta.horizon_days * DAY_MS),
    }
    excess = excess_loss(metrics)
    if excess is not None and excess > settings.promotion.worse_than_prior:
        why = f"its log loss out of fold is {excess:.4f} over that of the base rate"
        return {}, {**metrics, "left_out": why}
    return {**fitted.files(META), RETURNS_FILE: json.dumps(returns).encode()}, metrics


def _spread_weight(signals: SignalRows, rows: Ints) -> Floats:
    """Return one over the signals of the same pair and side within a day, shape (n_rows,)."""
    time, key = signals.time[rows], signals.pair[rows] * 4 + signals.direction[rows]
    weight = np.ones(len(rows))
    for k in np.unique(key):
        own = np.flatnonzero(key == k)
        first = np.searchsorted(time[own], time[own] - DAY_MS // 2, side="left")
        last = np.searchsorted(time[own], time[own] + DAY_MS // 2, side="right")
        weight[own] = 1.0 / (last - first)
    return weight
