"""The market around a pair: bitcoin's lead, relative strength, and the alt-season index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorum.candles import DAY_MS, Candles
from quorum.features.series import shifted, window_sum
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market, Published
from quorum.typing import Floats, Ints

BITCOIN, ETHER = "BTC", "ETH"
#: Variance of candle returns below which a price stands still and correlation means nothing.
MIN_VARIANCE = 1e-14


class CrossMarketConstants(NamedTuple):
    """Spans of the comparisons between pairs."""

    short: int = 4  # short span of returns [candles]
    medium: int = 24  # medium span of returns [candles]
    long: int = 168  # long span, correlation [candles]
    alt_season_days: int = 90  # return compared with bitcoin's over [days]
    alt_season_min_coins: int = 5  # alts needed for the index [coins]


def _log_return(close: Floats, span: int) -> Floats:
    """Return the log return over ``span`` candles."""
    log = np.log(close)
    return log - shifted(log, span)


def _correlation(a: Floats, b: Floats, window: int) -> Floats:
    """Return the rolling correlation over ``window``, NaN unless half of it is known."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    count = window_sum(known.astype(np.float64), window)
    count = np.where(count >= window / 2, count, np.nan)
    mean_a, mean_b = window_sum(a, window) / count, window_sum(b, window) / count
    covariance = window_sum(a * b, window) / count - mean_a * mean_b
    variance_a = window_sum(a * a, window) / count - mean_a**2
    variance_b = window_sum(b * b, window) / count - mean_b**2
    usable = (variance_a > MIN_VARIANCE) & (variance_b > MIN_VARIANCE)
    scale = np.sqrt(np.where(usable, variance_a * variance_b, np.nan))
    return np.clip(covariance / scale, -1.0, 1.0)


def _return_over(candles: Candles, days: Ints, span: int) -> Floats:
    """Return each day's return over ``span`` days, NaN where the coin lacks either day."""
    return candles.close_on(days) / candles.close_on(days - span * DAY_MS) - 1


def alt_season(market: Market, constants: CrossMarketConstants) -> Published | None:
    """Return the alt-season index: the share of alts that beat bitcoin, 0-100, per day.

    Days are bitcoin's; each value is known when its day has closed. NaN on days with fewer
    than ``alt_season_min_coins`` alts; None without bitcoin in the universe.
    """
    bitcoin = market.universe.get(BITCOIN)
    if bitcoin is None or len(bitcoin) == 0:
        return None
    span = constants.alt_season_days
    benchmark = _return_over(bitcoin, bitcoin.time, span)
    count = np.zeros(len(bitcoin))
    ahead = np.zeros(len(bitcoin))
    for name, candles in market.universe.items():
        if name == BITCOIN or len(candles) == 0:
            continue
        returns = _return_over(candles, bitcoin.time, span)
        count += np.isfinite(returns) & np.isfinite(benchmark)
        ahead += returns > benchmark
    enough = count >= constants.alt_season_min_coins
    return Published(
        bitcoin.close_time, np.where(enough, 100 * ahead / np.maximum(count, 1), np.nan)
    )


def add_cross_market(market: Market, out: Features, constants: CrossMarketConstants) -> None:
    """Add the columns of the market around the pair; lag 0.

    Columns, spans in candles: ``btc_return_<span>`` (log return of bitcoin, its lead),
    ``relative_strength_<span>`` (log return of the pair over bitcoin's), ``btc_correlation`` (of
    candle returns over the long span), ``eth_btc_return`` (log return of ether over bitcoin's,
    long span, rotation) for the spans ``short``, ``medium``, ``long`` by name; and
    ``alt_season`` (0-100, from closed days).
    """
    close = market.candles.close
    bitcoin = market.context_close(BITCOIN)
    spans = {"short": constants.short, "medium": constants.medium, "long": constants.long}
    for name, span in spans.items():
        lead = out.add(f"btc_return_{name}", _log_return(bitcoin, span))
        out.add(f"relative_strength_{name}", _log_return(close, span) - lead)
    out.add(
        "btc_correlation",
        _correlation(_log_return(close, 1), _log_return(bitcoin, 1), constants.long),
    )
    ether = _log_return(market.context_close(ETHER), constants.long)
    out.add("eth_btc_return", ether - out["btc_return_long"])
    season = alt_season(market, constants)
    out.add(
        "alt_season",
        np.full(len(close), np.nan)
        if season is None
        else season.align(market.close_time, market.settings.alt_season_max_age * HOUR_MS),
    )
