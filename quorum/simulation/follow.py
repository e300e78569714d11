"""Follow trades candle by candle, in the order in which the host's backtest looks. Kernels only.

Per candle, as ``freqtrade.optimize.backtesting`` does it:

1. An entry order that has waited too long is withdrawn; one whose price lies in the candle fills.
2. A turn of the near trend takes a part out at the open. Else, where no rung rests, the next one
   is placed, and if its price lies in the candle it fills - before the stop is looked at.
3. The stop is tightened by what is known from closed candles, unless price has already been
   beyond it.
4. The trade ends, by what comes first: at the open by an opposite quorum, by age, by a turn of
   the far trend or because price has passed where the stop belongs; at a stop that was never
   moved; at the last target; at a stop that was.
5. A rung that rested from an earlier candle fills.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.exits import rules
from quorum.exits.rules import Candle, Rules, Standing, better
from quorum.market import HOUR_MS
from quorum.simulation.matrices import (
    AT_CLOSE,
    AT_WORST,
    AWAY,
    BEST,
    BEST_SEEN,
    CHANDELIER_LONG,
    CHANDELIER_SHORT,
    CLOSE,
    DIRECTION,
    DIVERGENCE,
    EXIT_PRICE,
    EXIT_ROW,
    FAR_TURN,
    FILL_ROW,
    FILLED_RUNGS,
    FUNDING,
    GAIN,
    HALVED_NOW,
    LEFT,
    LIMIT,
    LOTS,
    MOVED,
    NEAR_TURN,
    ORDER_END,
    PAID_TO,
    PRICE_CLOSE,
    PRICE_HIGH,
    PRICE_LOW,
    PRICE_OPEN,
    PROFIT,
    REASON,
    RESTING,
    RESULTS,
    ROW,
    RUNGS,
    RUNGS_BEFORE,
    RUNGS_NOW,
    SHARE,
    SIGNAL,
    STANDING,
    STOP,
    STOP_NOW,
    TARGET,
    TRAILING,
    WAITS,
    WORST,
)
from quorum.typing import Floats


class Terms(NamedTuple):
    """What trades of a pair are followed by.

    ``rules`` are those of an open trade, ``opposite`` says whether a quorum on the other side ends
    it, ``expiry`` is in candles, ``step`` the length of one [ms], ``tick`` the grid of stops,
    ``market`` and ``resting`` are the costs of a fill at the market and of one at a limit,
    fractions of its value.
    """

    rules: Rules
    opposite: bool
    expiry: int
    step: float
    tick: float
    market: float
    resting: float


@njit(cache=True)
def _on_tick(price: float, d: float, tick: float) -> float:
    """Round a stop towards the entry."""
    if tick == 0.0:
        return price
    ticks = np.ceil(price / tick - 1e-9) if d > 0 else np.floor(price / tick + 1e-9)
    return float(np.round(ticks * tick, 10))


@njit(cache=True)
def _standing(ask: Floats, s: Floats, rungs: float) -> Standing:
    """Return how a trade stands, of whose rungs so many count."""
    return Standing(
        ask[DIRECTION],
        ask[LIMIT],
        s[STOP_NOW],
        s[BEST_SEEN],
        s[CLOSE],
        ask[TRAILING],
        int(rungs),
        s[HALVED_NOW] != 0,
    )


@njit(cache=True)
def _candle_before(market: Floats, ask: Floats, k: int) -> Candle:
    """Return what the candle before ``k`` says to a trade, but for the one of its signal."""
    chandelier = market[CHANDELIER_LONG if ask[DIRECTION] > 0 else CHANDELIER_SHORT, k - 1]
    if k - 1 <= ask[ROW]:
        return Candle(chandelier, 0.0, 0.0, 0.0)
    return Candle(
        chandelier, market[NEAR_TURN, k - 1], market[FAR_TURN, k - 1], market[DIVERGENCE, k - 1]
    )


@njit(cache=True)
def _fill_row(market: Floats, ask: Floats, expiry: int) -> tuple[int, int]:
    """Return the candle an entry fills in (-1: none) and the last one its order stands in."""
    first, n, waits = int(ask[ROW]) + 1, market.shape[1], ask[WAITS] != 0
    for k in range(first, n + 1):
        if rules.order_expired(waits, k - first, expiry):
            return -1, k - 1
        if k < n and (not waits or market[PRICE_LOW, k] <= ask[LIMIT] <= market[PRICE_HIGH, k]):
            return k, k
    return -1, -1


@njit(cache=True)
def _part(ask: Floats, s: Floats) -> float:
    """Return the part of the position that the next rung takes out of what is left."""
    share = rules.rung_share(ask[SHARE : SHARE + int(ask[RUNGS])], int(s[RUNGS_NOW]))
    return _in_lots(s[LEFT] * share, ask[LOTS])


@njit(cache=True)
def _in_lots(part: float, lots: float) -> float:
    """Round a part of a position of so many lots down to whole ones; 0 lots round nothing."""
    return part if lots == 0.0 else float(np.floor(part * lots + 1e-6) / lots)


@njit(cache=True)
def _sell(
    market: Floats, ask: Floats, k: int, s: Floats, part: float, price: float, cost: float
) -> None:
    """Take a part of the position out at a price and settle the funding so far."""
    s[GAIN] += part * (ask[DIRECTION] * (price - ask[LIMIT]) - cost * price)
    s[GAIN] -= _owed(market, ask, k, s)
    s[PAID_TO] = k - 1
    s[LEFT] -= part


@njit(cache=True)
def _owed(market: Floats, ask: Floats, k: int, s: Floats) -> float:
    """Return the funding of what is left that is due at the opening of candle ``k``."""
    paid_to = int(s[PAID_TO])
    due = market[FUNDING, k] - (market[FUNDING, paid_to] if paid_to >= 0 else 0.0)
    return float(ask[DIRECTION] * s[LEFT] * due)


@njit(cache=True)
def _after_part(ask: Floats, terms: Terms, s: Floats) -> None:
    """Set the stop after a part was taken out.

    The host keeps the stop also as a fraction of the price at which it was set, and after a
    partial exit lays that fraction off from the entry: after one at a loss the stop is nearer.
    """
    d = ask[DIRECTION]
    pulled = _on_tick(ask[LIMIT] * (1.0 - d * s[AWAY]), d, terms.tick)
    if d * (pulled - s[STOP_NOW]) > 0:
        s[STOP_NOW], s[MOVED] = pulled, 1.0


@njit(cache=True)
def _adjust(market: Floats, ask: Floats, terms: Terms, k: int, s: Floats) -> bool:
    """Take half out or place the next rung at the opening; return whether an order was placed."""
    d, low, high = ask[DIRECTION], market[PRICE_LOW, k], market[PRICE_HIGH, k]
    standing, candle = _standing(ask, s, s[RUNGS_NOW]), _candle_before(market, ask, k)
    due = rules.part_now(standing, candle, int(ask[RUNGS]), s[RESTING] != 0, terms.rules)
    if due == rules.NOTHING:
        return False
    if due == rules.HALF:
        part = _in_lots(s[LEFT] * terms.rules.reversal_share, ask[LOTS])
        if part > 0:
            s[HALVED_NOW], s[RESTING] = 1.0, 0.0
            _sell(market, ask, k, s, part, market[PRICE_OPEN, k], terms.market)
            _after_part(ask, terms, s)
        return part > 0
    price = better(d, ask[TARGET + int(s[RUNGS_NOW])], low if d > 0 else high)
    if low <= price <= high:
        _take_rung(market, ask, terms, k, s, price)
    else:
        s[RESTING] = 1.0
    return True


@njit(cache=True)
def _take_rung(market: Floats, ask: Floats, terms: Terms, k: int, s: Floats, price: float) -> None:
    """Fill the next rung of the ladder."""
    part = _part(ask, s)
    s[RUNGS_NOW] += 1
    s[RESTING] = 0.0
    _sell(market, ask, k, s, part, price, terms.resting)
    _after_part(ask, terms, s)


@njit(cache=True)
def _tighten(market: Floats, ask: Floats, terms: Terms, k: int, s: Floats) -> bool:
    """Move the stop by what closed candles tell; return whether price has passed it already.

    The host moves a stop to where price is on the near side of it within the candle, unless the
    one in force is hit.
    """
    d, high, low = ask[DIRECTION], market[PRICE_HIGH, k], market[PRICE_LOW, k]
    ahead, behind = (high, low) if d > 0 else (low, high)
    standing, candle = _standing(ask, s, s[RUNGS_BEFORE]), _candle_before(market, ask, k)
    stop, wanted = standing.stop, rules.stop_now(standing, candle, terms.rules)
    if not rules.is_tighter(d, stop, wanted):
        return False
    passed = rules.passes_stop(d, stop, wanted, standing.close)
    if not passed and d * (behind - stop) > 0 and d * (ahead - wanted) > 0:
        s[STOP_NOW], s[MOVED] = _on_tick(wanted, d, terms.tick), 1.0
        s[AWAY] = abs(1.0 - wanted / ahead)
        return False
    return passed or rules.passes_stop(d, stop, wanted, market[PRICE_OPEN, k])


@njit(cache=True)
def _reached(market: Floats, ask: Floats, k: int, s: Floats) -> bool:
    """Whether the last target lies in the candle, and did so after the entry."""
    d, count = ask[DIRECTION], int(ask[RUNGS])
    target = ask[TARGET + count - 1]
    ahead = market[PRICE_HIGH if d > 0 else PRICE_LOW, k]
    if not rules.at_last_rung(int(s[RUNGS_NOW]), count) or d * (ahead - target) <= 0:
        return False
    if k > ask[ROW] + 1 or ask[WAITS] == 0:
        return True
    # In a candle against the trade a waiting entry filled after the target had been passed.
    opened, shut = market[PRICE_OPEN, k], market[PRICE_CLOSE, k]
    against = d * (opened - shut) > 0 and d * (opened - ask[LIMIT]) > 0
    return not (against and d * (target - shut) > 0)


@njit(cache=True)
def _why(market: Floats, ask: Floats, terms: Terms, k: int, s: Floats, passed: bool) -> int:
    """Return why a trade ends in candle ``k``, ``OPEN`` if it does not."""
    d, first = ask[DIRECTION], int(ask[ROW]) + 1
    if terms.opposite and k > first and market[SIGNAL, k - 1] == -d:
        return rules.OPPOSITE
    standing, candle = _standing(ask, s, s[RUNGS_NOW]), _candle_before(market, ask, k)
    reason = rules.exit_now(
        standing, candle, (k - first) * terms.step / HOUR_MS, passed, terms.rules
    )
    if reason != rules.OPEN:
        return reason
    hit = d * (s[STOP_NOW] - market[PRICE_LOW if d > 0 else PRICE_HIGH, k]) >= 0
    if hit and s[MOVED] == 0:
        return rules.STOP_LOSS
    if _reached(market, ask, k, s):
        return rules.LAST_TARGET
    return rules.TRAILING_STOP if hit else rules.OPEN


@njit(cache=True)
def _price_of_end(market: Floats, ask: Floats, k: int, s: Floats, reason: int) -> float:
    """Return the price at which a trade ends."""
    d, opened = ask[DIRECTION], market[PRICE_OPEN, k]
    high, low = market[PRICE_HIGH, k], market[PRICE_LOW, k]
    if reason in (rules.STOP_LOSS, rules.TRAILING_STOP):
        beyond = d * (s[STOP_NOW] - (high if d > 0 else low)) > 0
        return float(opened if beyond else s[STOP_NOW])
    if reason == rules.LAST_TARGET:
        target = ask[TARGET + int(ask[RUNGS]) - 1]
        if k > ask[ROW] + 1 and d * (opened - target) > 0:
            target = opened
        return float(min(max(target, low), high))
    return float(opened)


@njit(cache=True)
def _opened(ask: Floats, terms: Terms, begin: int) -> Floats:
    """Return a trade as it stands when its entry has filled."""
    entry, s = ask[LIMIT], np.zeros(STANDING)
    s[LEFT], s[PAID_TO], s[BEST_SEEN], s[CLOSE] = 1.0, begin - 1, entry, entry
    s[STOP_NOW] = ask[STOP]
    stop = rules.stop_now(_standing(ask, s, 0.0), Candle(np.nan, 0.0, 0.0, 0.0), terms.rules)
    s[STOP_NOW] = _on_tick(stop, ask[DIRECTION], terms.tick)
    s[AWAY] = abs(1.0 - s[STOP_NOW] / entry)
    s[GAIN] = -(terms.market if ask[WAITS] == 0 else terms.resting) * entry
    return s


@njit(cache=True)
def _worth(market: Floats, ask: Floats, terms: Terms, k: int, s: Floats, price: float) -> float:
    """Return the profit so far if what is left were sold at a price in candle ``k``."""
    if s[LEFT] <= 0:
        return float(s[GAIN])
    gain = s[LEFT] * (ask[DIRECTION] * (price - ask[LIMIT]) - terms.market * price)
    return float(s[GAIN] + gain - _owed(market, ask, k, s))


@njit(cache=True)
def _follow(market: Floats, ask: Floats, terms: Terms, out: Floats, worth: Floats) -> None:
    """Follow one trade to its end; ``worth`` (if not empty): see :func:`follow_worth`."""
    d = ask[DIRECTION]
    out[EXIT_ROW], out[REASON] = -1.0, rules.OPEN
    begin, out[ORDER_END] = _fill_row(market, ask, terms.expiry)
    out[FILL_ROW] = begin
    if begin < 0:
        out[REASON] = rules.EXPIRED if out[ORDER_END] >= 0 else rules.OPEN
        return
    s = _opened(ask, terms, begin)
    counts_from = rules.first_counted(begin, ask[WAITS] != 0)
    highest, lowest = ask[LIMIT], ask[LIMIT]
    for k in range(begin, market.shape[1]):
        high, low = market[PRICE_HIGH, k], market[PRICE_LOW, k]
        if k - 1 >= counts_from:
            seen = market[PRICE_HIGH if d > 0 else PRICE_LOW, k - 1]
            s[BEST_SEEN] = better(d, s[BEST_SEEN], seen)
            s[CLOSE] = market[PRICE_CLOSE, k - 1]
        s[RUNGS_BEFORE] = s[RUNGS_NOW]
        placed = _adjust(market, ask, terms, k, s)
        highest, lowest = max(highest, high), min(lowest, low)
        passed = _tighten(market, ask, terms, k, s)
        reason = _why(market, ask, terms, k, s, passed)
        if reason != rules.OPEN:
            price = _price_of_end(market, ask, k, s, reason)
            cost = terms.resting if reason == rules.LAST_TARGET else terms.market
            _sell(market, ask, k, s, s[LEFT], price, cost)
            out[EXIT_ROW], out[REASON], out[EXIT_PRICE] = k, reason, price
        elif s[RESTING] == 1 and not placed:
            rung = ask[TARGET + int(s[RUNGS_NOW])]
            if low <= rung <= high:
                _take_rung(market, ask, terms, k, s, rung)
        if len(worth) > 0:
            shut = market[PRICE_CLOSE, k]
            worst = better(-d, better(d, low if d > 0 else high, s[STOP_NOW]), shut)
            worth[AT_CLOSE, k] = _worth(market, ask, terms, k, s, shut)
            worth[AT_WORST, k] = _worth(market, ask, terms, k, s, worst)
        if reason != rules.OPEN:
            break
    out[PROFIT], out[FILLED_RUNGS] = s[GAIN], s[RUNGS_NOW]
    out[BEST], out[WORST] = (highest, lowest) if d > 0 else (lowest, highest)


@njit(cache=True)
def follow_all(market: Floats, asks: Floats, terms: Terms) -> Floats:
    """Follow every trade to its end, each for itself.

    Parameters
    ----------
    market : ndarray of shape (11, n_candles), float64
        What candles say; funding is summed up to and with each candle.
    asks : ndarray of shape (n_entries, 14), float64
    terms : Terms

    Returns
    -------
    ndarray of shape (n_entries, 9), float64
        NaN and -1 where the candles end first.
    """
    out = np.full((len(asks), RESULTS), np.nan)
    nothing = np.empty((0, 0))
    for i in range(len(asks)):
        _follow(market, asks[i], terms, out[i], nothing)
    return out


@njit(cache=True)
def follow_worth(market: Floats, ask: Floats, terms: Terms) -> Floats:
    """Return what one trade is worth at every close and at its worst price in every candle.

    The worst price is no worse than the stop in force (spec G5).

    Returns
    -------
    ndarray of shape (2, n_candles), float64
        Profit per unit; NaN before and after the trade.
    """
    worth = np.full((2, market.shape[1]), np.nan)
    out = np.full(RESULTS, np.nan)
    _follow(market, ask, terms, out, worth)
    return worth
