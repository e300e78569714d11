"""Labels: what became of a trade entered after each candle (spec M2).

Labels look into the future by construction: they are targets and weights, never features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from quorum.candles import DAY_MS, Candles
from quorum.errors import DataError
from quorum.market import FUNDING_FILED_MS, Published
from quorum.section import Section
from quorum.typing import Floats, Ints

#: End of a label that is not known yet: later than every date, and safe to subtract from.
NEVER = np.int64(2**62)


class LabelSettings(Section):
    """What a trade must reach, by when, at which costs, and how much its row counts."""

    horizon: int = Field(
        48, ge=1, le=10_000, description="candles until the time barrier [candles]"
    )
    upper: float = Field(2.0, gt=0, le=50, description="upper barrier above the entry [ATR]")
    lower: float = Field(2.0, gt=0, le=50, description="lower barrier below the entry [ATR]")
    fee: float = Field(0.0005, ge=0, le=0.05, description="trading fee per side [share]")
    slippage: float = Field(
        0.0002, ge=0, le=0.05, description="price lost to the spread per side [share]"
    )
    half_life_days: float = Field(
        365.0, ge=0, le=10_000, description="age that halves a row's weight, 0: none does [days]"
    )


@dataclass(frozen=True)
class Labels:
    """Outcomes per candle of a trade entered at the next candle's open.

    Attributes
    ----------
    label : ndarray of shape (n_candles,), int8
        +1 the upper barrier came first, -1 the lower; 0 neither within the horizon, or both in
        one candle.
    end : ndarray of shape (n_candles,), int64
        Row of the candle that decided it, -1 where the horizon reaches beyond the data.
    r_long, r_short : ndarray of shape (n_candles,), float64
        Result in units of the stop's distance after fees, slippage and funding; a long's stop
        is the lower barrier, a short's the upper. NaN where ``end`` is -1.
    """

    label: NDArray[np.int8]
    end: Ints
    r_long: Floats
    r_short: Floats

    def __len__(self) -> int:
        return len(self.label)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Per candle whether there is a label, shape (n_candles,)."""
        known: NDArray[np.bool_] = self.end >= 0
        return known

    def end_time(self, candles: Candles) -> Ints:
        """When each label was known, ms since the epoch; ``NEVER`` where it is not."""
        time = np.append(candles.close_time, NEVER)
        return time[self.end]


@njit(cache=True)
def _first(
    opened: Floats, high: Floats, low: Floats, rows: tuple[int, int], up: float, down: float
) -> tuple[int, int]:
    """Return the first row of a range that touches a barrier, and which: 1, -1, 2 for both.

    A candle that opens beyond a barrier touched that one first. (last row, 0) without a touch.
    """
    for j in range(rows[0], rows[1]):
        if high[j] >= up:
            if low[j] > down or opened[j] >= up:
                return j, 1
            return j, (-1 if opened[j] <= down else 2)
        if low[j] <= down:
            return j, -1
    return rows[1] - 1, 0


@njit(cache=True)
def _barriers(
    coarse: tuple[Floats, Floats, Floats, Floats],
    fine: tuple[Floats, Floats, Floats],
    fine_rows: tuple[Ints, Ints],
    scale: Floats,
    paid: tuple[Floats, Floats],
    rules: tuple[int, float, float, float],
) -> tuple[NDArray[np.int8], Ints, Floats, Floats]:
    opened, high, low, close = coarse
    horizon, upper, lower, cost = rules
    n = len(opened)
    label = np.zeros(n, np.int8)
    end = np.full(n, -1, np.int64)
    r_long = np.full(n, np.nan)
    r_short = np.full(n, np.nan)
    for t in range(n - horizon):
        if not (np.isfinite(scale[t]) and scale[t] > 0):
            continue
        entry = opened[t + 1]
        up, down = entry + upper * scale[t], entry - lower * scale[t]
        j, side = _first(opened, high, low, (t + 1, t + 1 + horizon), up, down)
        if side == 2:
            inside = (fine_rows[0][j], fine_rows[1][j])
            resolved = _first(fine[0], fine[1], fine[2], inside, up, down)[1]
            side = resolved if resolved != 0 else 2
        end[t] = j
        if side == 0:
            sold = bought = close[j]
        else:
            # A target is filled at its price, a stop at the open where price jumped over it;
            # with both barriers in one candle (2) both sides are stopped out.
            sold = up if side == 1 else min(down, opened[j])
            bought = down if side == -1 else max(up, opened[j])
            label[t] = side if side != 2 else 0
        funding = paid[1][j] - paid[0][t + 1]
        r_long[t] = (sold - entry - cost * (entry + sold) - funding) / (entry - down)
        r_short[t] = (entry - bought - cost * (entry + bought) + funding) / (up - entry)
    return label, end, r_long, r_short


def triple_barrier(
    candles: Candles,
    scale: Floats,
    settings: LabelSettings | None = None,
    *,
    funding: Published | None = None,
    finer: Candles | None = None,
) -> Labels:
    """Label every candle by the barrier its trade meets first (Lopez de Prado 2018, ch. 3).

    1. Enter at the open of the next candle; barriers lie ``upper`` and ``lower`` times the scale
       away, the time barrier is the close of the last candle of the horizon.
    2. The first candle that touches a barrier decides. If both lie in it, a candle that opened
       beyond one touched that one first; else the finer candles within it decide; else the
       label is 0 and both sides are stopped out.
    3. Results count fee and slippage on both sides, and the funding settled from the entry to
       the open of the last candle, both included, as the host counts it.

    Parameters
    ----------
    candles : Candles
    scale : ndarray of shape (n_candles,)
        ATR at each candle's close, in the quote currency; a row where it is not positive has no
        label.
    settings : LabelSettings, default the defaults
    funding : Published, optional
        Settled funding rates, as ``market.published["funding_rate"]`` has them; where there is
        none, none is paid.
    finer : Candles, optional
        Of a shorter timeframe; they need not cover everything.

    Raises
    ------
    DataError
        If ``scale`` has another length, or ``finer`` is not finer.
    """
    s = settings or LabelSettings()
    if len(scale) != len(candles):
        raise DataError(f"labels: {len(scale)} rows of scale for {len(candles)} candles")
    if finer is not None and finer.step >= candles.step:
        raise DataError(f"labels: {finer.timeframe} is not finer than {candles.timeframe}")
    fine = finer if finer is not None else candles.head(0)
    label, end, r_long, r_short = _barriers(
        (candles.open, candles.high, candles.low, candles.close),
        (fine.open, fine.high, fine.low),
        (np.searchsorted(fine.time, candles.time), np.searchsorted(fine.time, candles.close_time)),
        np.array(scale, dtype=np.float64),
        _funding_paid(candles, funding),
        (s.horizon, s.upper, s.lower, s.fee + s.slippage),
    )
    return Labels(label, end, r_long, r_short)


def _funding_paid(candles: Candles, funding: Published | None) -> tuple[Floats, Floats]:
    """Return what a long of one coin has paid before, and up to, the open of each candle.

    A settlement costs its rate times the last price before it, in the quote currency.
    """
    if funding is None or len(funding.value) == 0 or len(candles) == 0:
        nothing = np.zeros(len(candles))
        return nothing, nothing
    settled = funding.known_at - FUNDING_FILED_MS
    row = np.searchsorted(candles.close_time, settled, side="right") - 1
    price = np.where(row >= 0, candles.close[np.maximum(row, 0)], candles.open[0])
    rate = np.where(np.isfinite(funding.value), funding.value, 0.0)
    total = np.concatenate([[0.0], np.cumsum(rate * price)])
    before = total[np.searchsorted(settled, candles.time, side="left")]
    upto = total[np.searchsorted(settled, candles.time, side="right")]
    return before, upto


def uniqueness(start_rows: Ints, end_rows: Ints, n: int) -> Floats:
    """Return how much of its span each label has to itself (Lopez de Prado 2018, ch. 4).

    The mean, over the rows of a label's span, of one over the number of labels that span them.

    Parameters
    ----------
    start_rows, end_rows : ndarray of shape (n_events,), int64
        First and last row of each span; a label of candle *t* begins at *t + 1*.
    n : int
        Number of rows.

    Returns
    -------
    ndarray of shape (n_events,), float64
        Within (0, 1].

    Raises
    ------
    DataError
        If a span ends before it begins or leaves the rows.
    """
    start, end = np.asarray(start_rows, np.int64), np.asarray(end_rows, np.int64)
    if len(start) and (start.min() < 0 or end.max() >= n or bool(np.any(end < start))):
        raise DataError(f"uniqueness: spans must lie within {n} rows and end after they begin")
    change = np.bincount(start, minlength=n + 1) - np.bincount(end + 1, minlength=n + 1)
    count = np.cumsum(change[:n])
    share = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(count, 1))])
    mean: Floats = (share[end + 1] - share[start]) / (end + 1 - start)
    return np.clip(mean, 0.0, 1.0)


def recency(time: Ints, now: int, half_life_days: float) -> Floats:
    """Return the weight of rows by their age: 1 now, half of it each half-life earlier.

    Parameters
    ----------
    time : ndarray of shape (n_rows,), int64
        Milliseconds since the epoch.
    now : int
        When the model is fitted; later rows weigh 1 too.
    half_life_days : float
        0 weighs every row 1.
    """
    if half_life_days <= 0:
        return np.ones(len(time))
    age = np.maximum(now - time, 0) / DAY_MS
    weight: Floats = np.exp2(-age / half_life_days)
    return weight
