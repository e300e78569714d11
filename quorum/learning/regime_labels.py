"""Regime labels: which of the eight regimes a candle lay in, told with hindsight (spec T2, M2).

The notions are those of :mod:`quorum.context.regime` - volatility against its usual size, drift,
its strength and its side - but seen from both sides of the candle. They are targets, never
features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import bottleneck
import numpy as np
from numpy.typing import NDArray

from quorum.candles import Candles, timeframe_ms
from quorum.context.regime import REGIMES
from quorum.errors import DataError
from quorum.features.series import shifted, window_sum
from quorum.features.volatility import GARMAN_KLASS
from quorum.typing import Bools, Floats

#: Candles the labels are read from; other timeframes would need other spans.
TIMEFRAME = "4h"
UNKNOWN = -1
_RANGES = (REGIMES.index("bull_range"), REGIMES.index("bear_range"))


class RegimeLabelConstants(NamedTuple):
    """What the regimes look like, in candles of 4h and in units of the usual volatility."""

    window: int = 42  # candles seen on each side [candles]
    duration: float = 42.0  # mean stay in a regime [candles]
    reference: int = 1080  # usual volatility, the past's median [candles]
    reference_min: int = 180  # candles needed to know the usual volatility [candles]
    volatility: int = 6  # span of the current volatility, each side [candles]
    strong: float = 0.25  # drift of a strong trend per candle [usual volatility]
    weak: float = 0.10  # drift of a weak trend per candle [usual volatility]
    pull: float = 0.15  # share of the way to its middle a range goes per candle
    middle: int = 21  # past whose mean price is a range's middle [candles]
    strong_volatility: float = 1.3  # volatility of a strong trend, over the usual [factor]
    weak_volatility: float = 1.0  # volatility of a weak trend, over the usual [factor]
    range_volatility: float = 0.85  # volatility of a range, over the usual [factor]
    high: float = 2.3  # high volatility, over the usual [factor]
    low: float = 0.42  # low volatility, over the usual [factor]
    softness: float = 0.35  # how far volatility strays within a regime [log volatility]


@dataclass(frozen=True)
class Profiles:
    """How a candle looks under each regime, arrays of shape (8,) in the order of ``REGIMES``.

    Attributes
    ----------
    volatility : ndarray
        Over the usual.
    drift : ndarray
        Per candle, in the regime's own volatility.
    pull : ndarray
        Share of the way to the middle price that is gone per candle.
    """

    volatility: Floats
    drift: Floats
    pull: Floats

    @classmethod
    def of(cls, s: RegimeLabelConstants) -> Profiles:
        """Lay the constants out by regime."""
        trend, slow, calm = s.strong_volatility, s.weak_volatility, s.range_volatility
        volatility = np.array([trend, slow, calm, calm, slow, trend, s.high, s.low])
        drift = np.array([s.strong, s.weak, 0.0, 0.0, -s.weak, -s.strong, 0.0, 0.0])
        # A quiet market keeps to its middle as a range does.
        pull = s.pull * np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0])
        return cls(volatility, drift / volatility, pull)


def regime_reach(constants: RegimeLabelConstants | None = None) -> int:
    """Return how far into the future a label looks from its candle's close [ms]."""
    s = constants or RegimeLabelConstants()
    # The volatility around the window's last candle reaches beyond it.
    return (s.window + s.volatility) * timeframe_ms(TIMEFRAME)


def regime_labels(
    candles: Candles, constants: RegimeLabelConstants | None = None
) -> NDArray[np.int8]:
    """Return the regime each candle lay in, by what came before and after it.

    1. Every regime has a drift, a volatility over the usual, and a pull to the middle price;
       they say how likely each candle's return and the volatility around it are.
    2. A regime is followed by itself, or after ``duration`` candles by any other.
    3. Each candle's label is the regime that is most probable given the ``window`` candles on
       either side: the forward-backward algorithm (Rabiner 1989) on that window alone, so that
       nothing further away counts.
    4. A range takes the side of the window's move, as the causal rules give it.

    Parameters
    ----------
    candles : Candles
        Of 4h.
    constants : RegimeLabelConstants, default the defaults

    Returns
    -------
    ndarray of shape (n_candles,), int8
        Code in the order of ``REGIMES``; -1 where unknown: too near either end of the data, or
        price stood still.

    Raises
    ------
    DataError
        If the candles are of another timeframe.
    """
    s = constants or RegimeLabelConstants()
    if candles.timeframe != TIMEFRAME:
        raise DataError(f"regime labels: need {TIMEFRAME} candles, got {candles.timeframe}")
    n, w = len(candles), s.window
    label = np.full(n, UNKNOWN, np.int8)
    likelihood, known = _evidence(candles, s)
    if n <= 2 * w:
        return label
    code = _smoothed(likelihood, s).argmax(axis=1)
    price = np.log(candles.close)
    rising = price[2 * w :] > price[: n - 2 * w]
    code = np.where(np.isin(code, _RANGES), np.where(rising, *_RANGES), code)
    # A label may rest on neighbours without evidence, but not on nothing.
    label[w : n - w] = np.where(known[w : n - w], code, UNKNOWN)
    return label


def _evidence(c: Candles, s: RegimeLabelConstants) -> tuple[Floats, Bools]:
    """Return the likelihood of each candle under each regime, shape (n, 8), and where known."""
    price = np.log(c.close)
    spread, body = np.log(c.high / c.low), np.log(c.close / c.open)
    variance = np.maximum(0.5 * spread**2 - GARMAN_KLASS * body**2, 0.0)
    volatility = _centred(variance, s.volatility)
    own = np.sqrt(np.where(volatility > 0, volatility, np.nan))
    usual = _usual(variance, s)
    before = shifted(price, 1)
    # A middle that knew the future would make every walk look pulled back to it.
    middle = shifted(window_sum(price, s.middle) / s.middle, 1)
    step, away = (price - before) / own, (before - middle) / own
    kinds = Profiles.of(s)
    surprise = step[:, None] - (kinds.drift - kinds.pull * away[:, None])
    stress = (np.log(own / usual)[:, None] - np.log(kinds.volatility)) / s.softness
    # Neighbours share most of the volatility they are judged by: each counts its own part.
    share = 1.0 / (2 * s.volatility)
    evidence = -0.5 * (surprise**2 + share * stress**2)
    known = np.asarray(np.isfinite(evidence).all(axis=1), dtype=np.bool_)
    evidence[~known] = 0.0
    return np.exp(evidence - evidence.max(axis=1, keepdims=True)), known


def _centred(values: Floats, side: int) -> Floats:
    """Return the mean of the ``side`` values up to each row and the ``side`` after it."""
    out = np.full(len(values), np.nan)
    if len(values) >= 2 * side:
        out[: len(values) - side] = window_sum(values, 2 * side)[side:] / (2 * side)
    return out


def _usual(variance: Floats, s: RegimeLabelConstants) -> Floats:
    """Return the median of the past volatility, NaN where there is too little of it."""
    span = 2 * s.volatility
    mean = window_sum(variance, span) / span
    past = np.sqrt(np.where(mean > 0, mean, np.nan))
    window, least = min(s.reference, len(past)), min(s.reference_min, s.reference)
    if window < least:
        return np.full(len(past), np.nan)
    median: Floats = bottleneck.move_median(past, window, min_count=least)
    return median


def _smoothed(likelihood: Floats, s: RegimeLabelConstants) -> Floats:
    """Return the probabilities per candle that has a full window, shape (n - 2 window, 8)."""
    w, kinds = s.window, len(REGIMES)
    n = len(likelihood) - 2 * w
    leave = 1.0 / s.duration
    # One regime's probability flows evenly to the others: a rank-one step, no matrix needed.
    stay, move = 1.0 - leave - leave / (kinds - 1), leave / (kinds - 1)
    forward = np.full((n, kinds), 1.0 / kinds)
    for offset in range(w + 1):
        forward = (stay * forward + move) * likelihood[offset : offset + n]
        forward /= forward.sum(axis=1, keepdims=True)
    backward = np.ones((n, kinds))
    for offset in range(2 * w, w, -1):
        backward *= likelihood[offset : offset + n]
        backward /= backward.sum(axis=1, keepdims=True)
        backward = stay * backward + move
    both = forward * backward
    both /= both.sum(axis=1, keepdims=True)
    return both
