"""Follow trades candle by candle, in the order in which the host's backtest looks. Kernels only.

Per candle, as ``freqtrade.optimize.backtesting`` does it:

1. An entry order that has waited too long is withdrawn; one whose price lies in the candle fills.
2. A turn of the near trend takes a part out at the open. Else, where no rung rests, the next one
   is placed, and if its price lies in the candle it fills - before the stop is looked at.
3. The stop is tightened by what is known from closed candles, unless price has already been
   beyond it.
4. The trade ends, by what comes first: at the open by an opposite quorum, by age or by a turn of
   the far trend; at a stop that was never moved; at the last target; at a stop that was.
5. A rung that rested from an earlier candle fills.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.typing import Floats, Ints

#: How a trade stands or ended, by code.
(
    OPEN,
    EXPIRED,
    STOP_LOSS,
    TRAILING_STOP,
    LAST_TARGET,
    OPPOSITE,
    TIME_STOP,
    REVERSAL,
) = range(8)
#: Rows of the matrix of what candles say.
(
    PRICE_OPEN,
    PRICE_HIGH,
    PRICE_LOW,
    PRICE_CLOSE,
    CHANDELIER_LONG,
    CHANDELIER_SHORT,
    NEAR_TURN,
    FAR_TURN,
    DIVERGENCE,
    SIGNAL,
    FUNDING,
) = range(11)
#: Columns of the matrix of what is asked for each entry.
ROW, DIRECTION, LIMIT, WAITS, STOP, RUNGS, TRAILING, LOTS, TARGET, SHARE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 11
#: Columns of the result.
(
    FILL_ROW,
    EXIT_ROW,
    REASON,
    EXIT_PRICE,
    PROFIT,
    BEST,
    WORST,
    FILLED_RUNGS,
    ORDER_END,
    HALVED,
) = range(10)
RESULTS = 10


class Rules(NamedTuple):
    """Numbers of the kernel; see the settings of the same names.

    ``expiry`` and ``time_stop`` are in candles, switches are 0 or 1, ``market`` and ``resting``
    are the costs of a fill at the market and of one at a limit, fractions of its value.
    """

    breakeven_at: float
    breakeven_on_divergence: bool
    trail: bool
    half_on_reversal: bool
    reversal_share: float
    exit_on_reversal: bool
    time_stop: float
    opposite: bool
    expiry: int
    tick: float
    market: float
    resting: float


@njit(cache=True)
def _on_tick(price: float, d: float, tick: float) -> float:
    """Round a stop towards the entry."""
    if tick == 0.0:
        return price
    ticks = np.ceil(price / tick - 1e-9) if d > 0 else np.floor(price / tick + 1e-9)
    return np.round(ticks * tick, 10)


@njit(cache=True)
def _wanted_stop(
    market: Floats,
    ask: Floats,
    rules: Rules,
    k: int,
    news: bool,
    stop: float,
    best: float,
    close: float,
    rungs: int,
) -> float:
    """Return the stop that belongs to a trade at the opening of candle ``k`` (``stop_now``)."""
    d, entry = ask[DIRECTION], ask[LIMIT]
    wanted = stop
    winning = d * (close - entry) > 0
    diverges = rules.breakeven_on_divergence and news and winning
    diverges = diverges and market[DIVERGENCE, k - 1] == -d
    if d * (best / entry - 1.0) * 100.0 >= rules.breakeven_at or diverges:
        wanted = max(d * wanted, d * entry) * d
    if rules.trail and rungs > 0:
        chandelier = market[CHANDELIER_LONG if d > 0 else CHANDELIER_SHORT, k - 1]
        if np.isfinite(chandelier):
            wanted = max(d * wanted, d * chandelier) * d
    if np.isfinite(ask[TRAILING]):
        wanted = max(d * wanted, d * best * (1.0 - d * ask[TRAILING])) * d
    return wanted


@njit(cache=True)
def _fill_row(market: Floats, ask: Floats, expiry: int, n: int) -> tuple[int, int]:
    """Return the candle an entry fills in (-1: none) and the last one its order stands in."""
    first = int(ask[ROW]) + 1
    if ask[WAITS] == 0:
        return (first, first) if first < n else (-1, -1)
    for k in range(first, min(first + expiry, n)):
        if market[PRICE_LOW, k] <= ask[LIMIT] <= market[PRICE_HIGH, k]:
            return k, k
    return -1, (first + expiry - 1 if first + expiry - 1 < n else -1)


@njit(cache=True)
def _part(left: float, rung: int, ask: Floats) -> float:
    """Return the part of the position that a rung takes out of what is left, in whole lots."""
    total = 0.0
    for j in range(rung, int(ask[RUNGS])):
        total += ask[SHARE + j]
    return _in_lots(left * ask[SHARE + rung] / total, ask[LOTS])


@njit(cache=True)
def _in_lots(part: float, lots: float) -> float:
    """Round a part of a position of so many lots down to whole ones; 0 lots round nothing."""
    return part if lots == 0.0 else np.floor(part * lots + 1e-6) / lots


@njit(cache=True)
def _gain(value: float, share: float, price: float, d: float, entry: float, cost: float) -> float:
    """Return the profit so far with a share of the position taken out at a price, per unit."""
    return value + share * (d * (price - entry) - cost * price)


@njit(cache=True)
def _follow(
    market: Floats, ask: Floats, rules: Rules, n: int, out: Floats, worth: Floats
) -> None:
    """Follow one trade to its end; ``worth`` (if not empty) is its profit per unit by candle."""
    d, entry = ask[DIRECTION], ask[LIMIT]
    first = int(ask[ROW]) + 1
    out[FILL_ROW] = out[EXIT_ROW] = out[ORDER_END] = -1.0
    out[REASON] = OPEN
    begin, end_of_order = _fill_row(market, ask, rules.expiry, n)
    out[ORDER_END] = end_of_order
    if begin < 0:
        out[REASON] = EXPIRED if end_of_order >= 0 else OPEN
        return
    out[FILL_ROW] = begin
    count = int(ask[RUNGS])
    target = ask[TARGET + count - 1]
    counts_from = begin if ask[WAITS] == 0 else begin + 1
    opening = rules.market if ask[WAITS] == 0 else rules.resting
    stop, moved = ask[STOP], False
    if np.isfinite(ask[TRAILING]):
        stop = max(d * stop, d * _on_tick(entry * (1 - d * ask[TRAILING]), d, rules.tick)) * d
    # The host keeps the stop also as a fraction of the price at which it was set, and after a
    # partial exit lays that fraction off from the entry: after one at a loss the stop is nearer.
    distance = abs(1 - stop / entry)
    left, profit, rungs, before, halved = 1.0, -opening * entry, 0, 0, False
    resting, best, close, paid_to = False, entry, entry, begin - 1
    high_water, low_water = entry, entry
    for k in range(begin, n):
        opened, high, low = market[PRICE_OPEN, k], market[PRICE_HIGH, k], market[PRICE_LOW, k]
        ahead, behind = (high, low) if d > 0 else (low, high)
        news = k - 1 >= first
        if k - 1 >= counts_from:
            seen = market[PRICE_HIGH if d > 0 else PRICE_LOW, k - 1]
            best = max(d * best, d * seen) * d
            close = market[PRICE_CLOSE, k - 1]
        before = rungs
        placed = False
        part, price, cost = 0.0, 0.0, rules.resting
        if rules.half_on_reversal and news and not halved and market[NEAR_TURN, k - 1] == -d:
            part = _in_lots(left * rules.reversal_share, ask[LOTS])
            price, cost = opened, rules.market
            halved, resting, placed = True, False, True
        elif not resting and rungs < count - 1:
            price = max(d * ask[TARGET + rungs], d * behind) * d
            placed = True
            if low <= price <= high:
                part = _part(left, rungs, ask)
                rungs += 1
            else:
                resting = True
        if part > 0.0:
            profit = _gain(profit, part, price, d, entry, cost)
            profit -= d * left * _funding(market, paid_to, k)
            paid_to = k - 1
            left -= part
            if d * (price - stop) > 0:
                wanted = _wanted_stop(market, ask, rules, k, news, stop, best, close, before)
                if d * (price - wanted) > 0:
                    stop, distance = _on_tick(wanted, d, rules.tick), abs(1 - wanted / price)
            pulled = _on_tick(entry * (1 - d * distance), d, rules.tick)
            if d * (pulled - stop) > 0:
                stop, moved = pulled, True
        high_water, low_water = max(high_water, high), min(low_water, low)
        if d * (behind - stop) > 0:
            wanted = _wanted_stop(market, ask, rules, k, news, stop, best, close, before)
            if d * (wanted - stop) > 0 and d * (ahead - wanted) > 0:
                stop, moved = _on_tick(wanted, d, rules.tick), True
                distance = abs(1 - wanted / ahead)
        hit = d * (stop - behind) >= 0
        reached = rungs >= count - 1 and d * (ahead - target) > 0
        if k == first and reached and ask[WAITS] != 0:
            # Within the candle of a waiting entry a target beyond the close came before the fill.
            shut = market[PRICE_CLOSE, k]
            against = d * (opened - shut) > 0 and d * (opened - entry) > 0
            reached = not (against and d * (target - shut) > 0)
        reason, price, cost = OPEN, opened, rules.market
        if rules.opposite and news and market[SIGNAL, k - 1] == -d:
            reason = OPPOSITE
        elif k - first >= rules.time_stop:
            reason = TIME_STOP
        elif rules.exit_on_reversal and news and market[FAR_TURN, k - 1] == -d:
            reason = REVERSAL
        elif hit and not moved:
            reason = STOP_LOSS
        elif reached:
            reason, cost = LAST_TARGET, rules.resting
        elif hit:
            reason = TRAILING_STOP
        if reason == STOP_LOSS or reason == TRAILING_STOP:
            price = opened if d * (stop - ahead) > 0 else stop
        elif reason == LAST_TARGET:
            price = target
            if k > first and d * (opened - target) > 0:
                price = opened
            price = min(max(price, low), high)
        if reason != OPEN:
            profit = _gain(profit, left, price, d, entry, cost)
            profit -= d * left * _funding(market, paid_to, k)
            out[EXIT_ROW], out[REASON], out[EXIT_PRICE] = k, reason, price
            if len(worth) > 0:
                worth[k] = profit
            break
        if resting and not placed and low <= ask[TARGET + rungs] <= high:
            part, price = _part(left, rungs, ask), ask[TARGET + rungs]
            profit = _gain(profit, part, price, d, entry, rules.resting)
            profit -= d * left * _funding(market, paid_to, k)
            paid_to = k - 1
            left -= part
            rungs, resting = rungs + 1, False
            if d * (price - stop) > 0:
                wanted = _wanted_stop(market, ask, rules, k, news, stop, best, close, before)
                if d * (price - wanted) > 0:
                    stop, distance = _on_tick(wanted, d, rules.tick), abs(1 - wanted / price)
            pulled = _on_tick(entry * (1 - d * distance), d, rules.tick)
            if d * (pulled - stop) > 0:
                stop, moved = pulled, True
        if len(worth) > 0:
            shut = market[PRICE_CLOSE, k]
            open_funding = d * left * _funding(market, paid_to, k)
            worth[k] = _gain(profit, left, shut, d, entry, rules.market) - open_funding
    out[PROFIT] = profit
    out[BEST], out[WORST] = (high_water, low_water) if d > 0 else (low_water, high_water)
    out[FILLED_RUNGS], out[HALVED] = rungs, halved


@njit(cache=True)
def _funding(market: Floats, after: int, until: int) -> float:
    """Return what a long pays per unit at the openings after one candle, up to another."""
    total = market[FUNDING, until]
    return total - market[FUNDING, after] if after >= 0 else total


@njit(cache=True)
def follow_all(market: Floats, asks: Floats, rules: Rules) -> Floats:
    """Follow every trade to its end, each for itself.

    Parameters
    ----------
    market : ndarray of shape (11, n_candles), float64
        What candles say; funding is summed up to and with each candle.
    asks : ndarray of shape (n_entries, 13), float64
    rules : Rules

    Returns
    -------
    ndarray of shape (n_entries, 10), float64
        NaN and -1 where the candles end first.
    """
    out = np.full((len(asks), RESULTS), np.nan)
    nothing = np.empty(0)
    for i in range(len(asks)):
        _follow(market, asks[i], rules, market.shape[1], out[i], nothing)
    return out


@njit(cache=True)
def follow_worth(market: Floats, ask: Floats, rules: Rules) -> Floats:
    """Return what one trade is worth at every close, profit per unit; NaN before and after it."""
    worth = np.full(market.shape[1], np.nan)
    out = np.full(RESULTS, np.nan)
    _follow(market, ask, rules, market.shape[1], out, worth)
    return worth


__all__ = ["Ints", "Rules", "follow_all", "follow_worth"]
