"""Derivatives: what the perpetual's holders pay, hold and do, and the market around the pair.

Every series is measured on its own publications (a settlement, a snapshot, a record) and then
spread to the candles by the moment each became known, so a value neither repeats inside a window
nor appears before it was published. A column whose source is absent or too old is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from quorum.features.cross_market import CrossMarketConstants, add_cross_market
from quorum.features.series import ratio, shifted, window_sum
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market, Published
from quorum.typing import Floats, Ints

#: A deviation below this share of the root mean square is the rounding of equal values.
ROUNDING = 1e-6
#: Codes of ``oi_quadrant``; the mirror image of a market has the opposite sign.
NEW_LONGS, SHORT_COVERING, CAPITULATION, NEW_SHORTS = 2, 1, -1, -2


class FundingConstants(NamedTuple):
    """Funding rate and perpetual premium."""

    window: int = 90  # z-score of the funding rate over this many [settlements]
    min_count: int = 30  # settlements needed for it [settlements]
    min_deviation: float = 2e-5  # least standard deviation, as funding often rests [rate]
    interval: float = 8.0  # usual and longest time between settlements [h]
    premium_scale: float = 1.0  # premium per unit of funding over the usual interval (D1)


class OpenInterestConstants(NamedTuple):
    """Open interest and its quarrel with price."""

    window: int = 500  # z-scores over this many snapshots [snapshots]
    min_count: int = 100  # snapshots needed [snapshots]
    min_deviation: float = 1e-3  # least standard deviation of its changes [fraction]
    quadrant_hours: int = 4  # span over which price and open interest are compared [h]
    quadrant_z: float = 1.5  # change of open interest that counts [standard deviations]
    quadrant_move: float = 0.8  # price move that counts [ATR times square root of candles]


class FlowConstants(NamedTuple):
    """Long/short ratio, recorded taker flow and exchange reserves."""

    # records of the taker share are averaged over this long (at least a candle): the share of five
    # minutes is over 60 % one time in five, that of an hour one in a hundred [h]
    taker_span: float = 1.0
    reserves_years: float = 2.0  # span of a multi-year low of the reserves [years]
    reserves_window: int = 90  # z-score of the netflow over this many [records]
    reserves_min_count: int = 30  # records needed [records]


class DerivativesConstants(NamedTuple):
    """Windows and ages of the derivatives columns."""

    funding: FundingConstants = FundingConstants()
    open_interest: OpenInterestConstants = OpenInterestConstants()
    flow: FlowConstants = FlowConstants()
    cross: CrossMarketConstants = CrossMarketConstants()


def _zscore(values: Floats, window: int, min_count: int, floor: float, *, mean: bool) -> Floats:
    """Return values in standard deviations of the last ``window``, less their mean if asked.

    Of values that do not vary the deviation is ``floor``; with a floor of 0 it is unknown.
    """
    known = np.isfinite(values)

    def total(of: Floats) -> Floats:
        # Zeros in front make the first windows partial ones.
        return window_sum(np.concatenate([np.zeros(window - 1), of]), window)[window - 1 :]

    count = total(known.astype(np.float64))
    count = np.where(count >= min_count, count, np.nan)
    average = total(np.where(known, values, 0.0)) / count
    square = total(np.where(known, values, 0.0) ** 2) / count
    deviation = np.sqrt(np.maximum(square - average**2, 0.0))
    varied = deviation > ROUNDING * np.sqrt(square)
    deviation = np.where(varied | np.isnan(square), np.maximum(deviation, floor), floor)
    return ratio(values - average if mean else values, deviation)


def _spread(market: Market, series: Published, values: Floats, max_age_hours: float) -> Floats:
    """Spread values of one series' publications to the candles."""
    return Published(series.known_at, values).align(market.close_time, max_age_hours * HOUR_MS)


def _funding_interval(known_at: Ints, usual: float) -> Floats:
    """Return the hours since the settlement before, at most the usual ones."""
    hours = np.diff(known_at, prepend=known_at[:1] - int(usual * HOUR_MS)) / HOUR_MS
    return np.clip(hours, 1.0, usual)


def _add_funding(market: Market, out: Features, constants: FundingConstants) -> None:
    """Add the funding columns and the perpetual premium (D1)."""
    series = market.published.get("funding_rate")
    rate = zscore = np.full(len(market), np.nan)
    if series is not None and len(series.value):
        max_age = market.settings.funding_max_age
        hours = _funding_interval(series.known_at, constants.interval)
        rates = series.value / hours * constants.interval
        rate = _spread(market, series, rates, max_age)
        window, count, floor = constants.window, constants.min_count, constants.min_deviation
        zscore = _spread(market, series, _zscore(rates, window, count, floor, mean=True), max_age)
    out.add("funding_rate", rate)
    out.add("funding_z", zscore)
    out.add("perp_premium", _premium(market, out["funding_rate"], constants))


def _premium(market: Market, funding: Floats, constants: FundingConstants) -> Floats:
    """Return the best source of the premium per candle, as a fraction of the spot price."""
    spot = market.spot_close
    index = market.latest("index", market.settings.premium_max_age)
    premium = market.latest("premium_index", market.settings.premium_max_age)
    fallbacks = (
        ratio(market.candles.close, spot) - 1,
        ratio(market.mark, index) - 1,
        funding * constants.premium_scale,
    )
    for fallback in fallbacks:
        premium = np.where(np.isfinite(premium), premium, fallback)
    return premium


def _change(series: Published, hours: int, max_age_hours: float) -> Floats:
    """Return the fractional change of a series over ``hours``, per publication."""
    before = series.align(series.known_at - hours * HOUR_MS, max_age_hours * HOUR_MS)
    return ratio(series.value, before) - 1


def _add_open_interest(market: Market, out: Features, constants: OpenInterestConstants) -> None:
    """Add the changes of open interest and its quadrant against price."""
    n = len(market)
    series = market.published.get("open_interest")
    max_age = market.settings.open_interest_max_age
    present = series is not None and len(series.value) > 0
    for hours in (1, 4, 24):
        column = np.full(n, np.nan)
        if present and series is not None:
            column = _spread(market, series, _change(series, hours, max_age), max_age)
        out.add(f"oi_change_{hours}h", column)
    level_z = move_z = np.full(n, np.nan)
    if present and series is not None:
        window, count, floor = constants.window, constants.min_count, constants.min_deviation
        level = np.log(np.where(series.value > 0, series.value, np.nan))
        level_z = _spread(market, series, _zscore(level, window, count, floor, mean=True), max_age)
        moves = _change(series, constants.quadrant_hours, max_age)
        move_z = _spread(market, series, _zscore(moves, window, count, floor, mean=False), max_age)
    out.add("oi_z", level_z)
    out.add("oi_change_z", move_z)
    out.add("oi_quadrant", _quadrant(market, out["atr_unit"], move_z, constants))


def _quadrant(
    market: Market, atr: Floats, move_z: Floats, constants: OpenInterestConstants
) -> Floats:
    """Name what open interest says about the price move (NaN where either is unknown)."""
    close = market.candles.close
    span = max(1, constants.quadrant_hours * HOUR_MS // market.candles.step)
    move = close - shifted(close, span)
    unit = atr * np.sqrt(span)
    up, down = move >= constants.quadrant_move * unit, move <= -constants.quadrant_move * unit
    more, fewer = move_z >= constants.quadrant_z, move_z <= -constants.quadrant_z
    code = np.select(
        [up & more, up & fewer, down & fewer, down & more],
        [NEW_LONGS, SHORT_COVERING, CAPITULATION, NEW_SHORTS],
        0,
    ).astype(np.float64)
    return np.where(np.isfinite(move) & np.isfinite(move_z) & np.isfinite(unit), code, np.nan)


@njit(cache=True)
def _means(values: Floats, start: Ints, stop: Ints) -> Floats:
    """Mean of ``values[start:stop]`` per candle, NaN of none."""
    out = np.full(len(start), np.nan)
    for t in range(len(start)):
        if stop[t] > start[t]:
            total = 0.0
            for row in range(start[t], stop[t]):
                total += values[row]
            out[t] = total / (stop[t] - start[t])
    return out


def _taker_share(market: Market, out: Features, span_hours: float) -> Floats:
    """Return the takers' buy share: of the exchange's trades, else the mean of the records."""
    share = np.full(len(market), np.nan)
    series = market.published.get("taker_buy_share")
    if series is not None:
        span = max(int(span_hours * HOUR_MS), market.candles.step)
        start = np.searchsorted(series.known_at, market.close_time - span, side="right")
        stop = np.searchsorted(series.known_at, market.close_time, side="right")
        share = _means(series.value, start.astype(np.int64), stop.astype(np.int64))
    if market.taker_delta is None:
        return share
    return np.where(np.isfinite(market.taker_delta), out["taker_buy_share"], share)


def _reserves_low(series: Published, years: float) -> Floats:
    """Return per record 1 where it is the lowest of the span, NaN before the span is full."""
    span = pd.Timedelta(days=365 * years)
    dates = pd.to_datetime(series.known_at, unit="ms")
    lowest = pd.Series(series.value, index=dates).rolling(span).min().to_numpy()
    full = series.known_at - series.known_at[0] >= span.value // 1_000_000
    return np.where(full, (series.value <= lowest).astype(np.float64), np.nan)


def _add_flow(market: Market, out: Features, constants: FlowConstants) -> None:
    """Add crowd positioning, taker share and exchange reserves."""
    out.add("long_short_ratio", market.latest("long_short_ratio", market.settings.ratio_max_age))
    out.add("taker_share", _taker_share(market, out, constants.taker_span))
    max_age = market.settings.reserves_max_age
    low = zscore = np.full(len(market), np.nan)
    reserves = market.published.get("exchange_reserves")
    if reserves is not None and len(reserves.value):
        low = _spread(market, reserves, _reserves_low(reserves, constants.reserves_years), max_age)
    netflow = market.published.get("exchange_netflow")
    if netflow is not None and len(netflow.value):
        window, count = constants.reserves_window, constants.reserves_min_count
        scores = _zscore(netflow.value, window, count, 0.0, mean=False)
        zscore = _spread(market, netflow, scores, max_age)
    out.add("exchange_reserves_low", low)
    out.add("exchange_netflow_z", zscore)


def add_derivatives(market: Market, out: Features, constants: DerivativesConstants) -> None:
    """Add the derivatives columns; lag 0 (each value from the moment it was published).

    Columns: ``funding_rate`` (fraction per usual interval), ``funding_z``, ``perp_premium``
    (fraction, D1), ``oi_change_1h``, ``oi_change_4h``, ``oi_change_24h`` (fractions), ``oi_z``
    (log level), ``oi_change_z`` (change over ``quadrant_hours`` in standard deviations),
    ``oi_quadrant`` (+2 new longs, +1 short covering, -1 capitulation of longs, -2 new shorts,
    0 nothing of note), ``long_short_ratio``, ``taker_share`` (0-1, of the last candles' trades,
    else the mean of the last records), ``exchange_reserves_low`` (0/1 a multi-year low),
    ``exchange_netflow_z`` (inflow positive), and those of
    :func:`quorum.features.cross_market.add_cross_market`. Reads ``atr_unit`` and
    ``taker_buy_share``.
    """
    _add_funding(market, out, constants.funding)
    _add_open_interest(market, out, constants.open_interest)
    _add_flow(market, out, constants.flow)
    add_cross_market(market, out, constants.cross)
