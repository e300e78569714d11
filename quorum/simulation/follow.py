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

from quorum.exits.management import GRACE
from quorum.typing import Floats

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
    STOP_PASSED,
) = range(9)
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
ROW, DIRECTION, LIMIT, WAITS, STOP, RUNGS, TRAILING, LOTS, TARGET, SHARE = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    11,
)
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
) = range(9)
RESULTS = 9
#: What is kept of a trade between candles: its stop, whether that was moved and as which fraction
#: of a price it was set, what is left of the position, profit and funding so far, and what the
#: closed candles said.
(
    STOP_NOW,
    MOVED,
    AWAY,
    LEFT,
    GAIN,
    PAID_TO,
    RUNGS_NOW,
    RUNGS_BEFORE,
    RESTING,
    HALVED_NOW,
    BEST_SEEN,
    CLOSE,
) = range(12)
STANDING = 12


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
    return float(np.round(ticks * tick, 10))


@njit(cache=True)
def _wanted_stop(market: Floats, ask: Floats, rules: Rules, k: int, s: Floats) -> float:
    """Return the stop that belongs to a trade at the opening of candle ``k`` (``stop_now``)."""
    d, entry, wanted = ask[DIRECTION], ask[LIMIT], s[STOP_NOW]
    winning = d * (s[CLOSE] - entry) > 0
    news = k - 1 > ask[ROW]
    diverges = rules.breakeven_on_divergence and news and winning
    diverges = diverges and market[DIVERGENCE, k - 1] == -d
    if d * (s[BEST_SEEN] / entry - 1.0) * 100.0 >= rules.breakeven_at or diverges:
        wanted = max(d * wanted, d * entry) * d
    if rules.trail and s[RUNGS_BEFORE] > 0:
        chandelier = market[CHANDELIER_LONG if d > 0 else CHANDELIER_SHORT, k - 1]
        if np.isfinite(chandelier):
            wanted = max(d * wanted, d * chandelier) * d
    if np.isfinite(ask[TRAILING]):
        wanted = max(d * wanted, d * s[BEST_SEEN] * (1.0 - d * ask[TRAILING])) * d
    return float(wanted)


@njit(cache=True)
def _fill_row(market: Floats, ask: Floats, expiry: int) -> tuple[int, int]:
    """Return the candle an entry fills in (-1: none) and the last one its order stands in."""
    first, n = int(ask[ROW]) + 1, market.shape[1]
    if ask[WAITS] == 0:
        return (first, first) if first < n else (-1, -1)
    for k in range(first, min(first + expiry, n)):
        if market[PRICE_LOW, k] <= ask[LIMIT] <= market[PRICE_HIGH, k]:
            return k, k
    return -1, (first + expiry - 1 if first + expiry - 1 < n else -1)


@njit(cache=True)
def _part(ask: Floats, s: Floats) -> float:
    """Return the part of the position that the next rung takes out of what is left."""
    rung, total = int(s[RUNGS_NOW]), 0.0
    for j in range(rung, int(ask[RUNGS])):
        total += ask[SHARE + j]
    return _in_lots(s[LEFT] * ask[SHARE + rung] / total, ask[LOTS])


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
def _after_part(ask: Floats, rules: Rules, s: Floats) -> None:
    """Set the stop after a part was taken out.

    The host keeps the stop also as a fraction of the price at which it was set, and after a
    partial exit lays that fraction off from the entry: after one at a loss the stop is nearer.
    """
    d = ask[DIRECTION]
    pulled = _on_tick(ask[LIMIT] * (1.0 - d * s[AWAY]), d, rules.tick)
    if d * (pulled - s[STOP_NOW]) > 0:
        s[STOP_NOW], s[MOVED] = pulled, 1.0


@njit(cache=True)
def _adjust(market: Floats, ask: Floats, rules: Rules, k: int, s: Floats) -> bool:
    """Take half out or place the next rung at the opening; return whether an order was placed."""
    d, low, high = ask[DIRECTION], market[PRICE_LOW, k], market[PRICE_HIGH, k]
    turned = k - 1 > ask[ROW] and market[NEAR_TURN, k - 1] == -d
    if rules.half_on_reversal and turned and s[HALVED_NOW] == 0:
        part, price = _in_lots(s[LEFT] * rules.reversal_share, ask[LOTS]), market[PRICE_OPEN, k]
        if part > 0:
            s[HALVED_NOW], s[RESTING] = 1.0, 0.0
            _sell(market, ask, k, s, part, price, rules.market)
            _after_part(ask, rules, s)
        return part > 0
    if s[RESTING] == 1 or s[RUNGS_NOW] >= ask[RUNGS] - 1:
        return False
    price = max(d * ask[TARGET + int(s[RUNGS_NOW])], d * (low if d > 0 else high)) * d
    if low <= price <= high:
        _take_rung(market, ask, rules, k, s, price)
    else:
        s[RESTING] = 1.0
    return True


@njit(cache=True)
def _take_rung(market: Floats, ask: Floats, rules: Rules, k: int, s: Floats, price: float) -> None:
    """Fill the next rung of the ladder."""
    part = _part(ask, s)
    s[RUNGS_NOW] += 1
    s[RESTING] = 0.0
    _sell(market, ask, k, s, part, price, rules.resting)
    _after_part(ask, rules, s)


@njit(cache=True)
def _tighten(market: Floats, ask: Floats, rules: Rules, k: int, s: Floats) -> bool:
    """Move the stop by what closed candles tell; return whether price has passed it already."""
    d, high, low = ask[DIRECTION], market[PRICE_HIGH, k], market[PRICE_LOW, k]
    ahead, behind = (high, low) if d > 0 else (low, high)
    wanted = _wanted_stop(market, ask, rules, k, s)
    if d * (wanted - s[STOP_NOW]) <= GRACE * wanted:
        return False
    closed_before = d * (s[CLOSE] - wanted) > 0
    if closed_before and d * (behind - s[STOP_NOW]) > 0 and d * (ahead - wanted) > 0:
        s[STOP_NOW], s[MOVED] = _on_tick(wanted, d, rules.tick), 1.0
        s[AWAY] = abs(1.0 - wanted / ahead)
        return False
    return not closed_before or d * (market[PRICE_OPEN, k] - wanted) <= 0


@njit(cache=True)
def _reached(market: Floats, ask: Floats, k: int, s: Floats) -> bool:
    """Whether the last target lies in the candle, and did so after the entry."""
    d, count = ask[DIRECTION], int(ask[RUNGS])
    target = ask[TARGET + count - 1]
    ahead = market[PRICE_HIGH if d > 0 else PRICE_LOW, k]
    if s[RUNGS_NOW] < count - 1 or d * (ahead - target) <= 0:
        return False
    if k > ask[ROW] + 1 or ask[WAITS] == 0:
        return True
    # In a candle against the trade a waiting entry filled after the target had been passed.
    opened, shut = market[PRICE_OPEN, k], market[PRICE_CLOSE, k]
    against = d * (opened - shut) > 0 and d * (opened - ask[LIMIT]) > 0
    return not (against and d * (target - shut) > 0)


@njit(cache=True)
def _why(market: Floats, ask: Floats, rules: Rules, k: int, s: Floats, passed: bool) -> int:
    """Return why a trade ends in candle ``k``, OPEN if it does not."""
    d, news, first = ask[DIRECTION], k - 1 > ask[ROW], int(ask[ROW]) + 1
    if rules.opposite and news and market[SIGNAL, k - 1] == -d:
        return OPPOSITE
    if k - first >= rules.time_stop:
        return TIME_STOP
    if rules.exit_on_reversal and news and market[FAR_TURN, k - 1] == -d:
        return REVERSAL
    if passed:
        return STOP_PASSED
    hit = d * (s[STOP_NOW] - market[PRICE_LOW if d > 0 else PRICE_HIGH, k]) >= 0
    if hit and s[MOVED] == 0:
        return STOP_LOSS
    if _reached(market, ask, k, s):
        return LAST_TARGET
    return TRAILING_STOP if hit else OPEN


@njit(cache=True)
def _price_of_end(market: Floats, ask: Floats, k: int, s: Floats, reason: int) -> float:
    """Return the price at which a trade ends."""
    d, opened = ask[DIRECTION], market[PRICE_OPEN, k]
    high, low = market[PRICE_HIGH, k], market[PRICE_LOW, k]
    if reason in (STOP_LOSS, TRAILING_STOP):
        beyond = d * (s[STOP_NOW] - (high if d > 0 else low)) > 0
        return float(opened if beyond else s[STOP_NOW])
    if reason == LAST_TARGET:
        target = ask[TARGET + int(ask[RUNGS]) - 1]
        if k > ask[ROW] + 1 and d * (opened - target) > 0:
            target = opened
        return float(min(max(target, low), high))
    return float(opened)


@njit(cache=True)
def _opened(ask: Floats, rules: Rules, begin: int) -> Floats:
    """Return a trade as it stands when its entry has filled."""
    d, entry, s = ask[DIRECTION], ask[LIMIT], np.zeros(STANDING)
    s[STOP_NOW] = ask[STOP]
    if np.isfinite(ask[TRAILING]):
        trail = _on_tick(entry * (1.0 - d * ask[TRAILING]), d, rules.tick)
        s[STOP_NOW] = max(d * ask[STOP], d * trail) * d
    s[AWAY] = abs(1.0 - s[STOP_NOW] / entry)
    s[LEFT], s[PAID_TO], s[BEST_SEEN], s[CLOSE] = 1.0, begin - 1, entry, entry
    s[GAIN] = -(rules.market if ask[WAITS] == 0 else rules.resting) * entry
    return s


@njit(cache=True)
def _follow(market: Floats, ask: Floats, rules: Rules, out: Floats, worth: Floats) -> None:
    """Follow one trade to its end; ``worth`` (if not empty) is its profit per unit by candle."""
    d = ask[DIRECTION]
    out[EXIT_ROW], out[REASON] = -1.0, OPEN
    begin, out[ORDER_END] = _fill_row(market, ask, rules.expiry)
    out[FILL_ROW] = begin
    if begin < 0:
        out[REASON] = EXPIRED if out[ORDER_END] >= 0 else OPEN
        return
    s = _opened(ask, rules, begin)
    counts_from = begin if ask[WAITS] == 0 else begin + 1
    highest, lowest = ask[LIMIT], ask[LIMIT]
    for k in range(begin, market.shape[1]):
        high, low = market[PRICE_HIGH, k], market[PRICE_LOW, k]
        if k - 1 >= counts_from:
            seen = market[PRICE_HIGH if d > 0 else PRICE_LOW, k - 1]
            s[BEST_SEEN] = max(d * s[BEST_SEEN], d * seen) * d
            s[CLOSE] = market[PRICE_CLOSE, k - 1]
        s[RUNGS_BEFORE] = s[RUNGS_NOW]
        placed = _adjust(market, ask, rules, k, s)
        highest, lowest = max(highest, high), min(lowest, low)
        passed = _tighten(market, ask, rules, k, s)
        reason = _why(market, ask, rules, k, s, passed)
        if reason != OPEN:
            price = _price_of_end(market, ask, k, s, reason)
            cost = rules.resting if reason == LAST_TARGET else rules.market
            _sell(market, ask, k, s, s[LEFT], price, cost)
            out[EXIT_ROW], out[REASON], out[EXIT_PRICE] = k, reason, price
        elif s[RESTING] == 1 and not placed:
            rung = ask[TARGET + int(s[RUNGS_NOW])]
            if low <= rung <= high:
                _take_rung(market, ask, rules, k, s, rung)
        if len(worth) > 0:
            shut = market[PRICE_CLOSE, k]
            open_part = s[LEFT] * (d * (shut - ask[LIMIT]) - rules.market * shut)
            worth[k] = s[GAIN] + open_part - (_owed(market, ask, k, s) if s[LEFT] > 0 else 0.0)
        if reason != OPEN:
            break
    out[PROFIT], out[FILLED_RUNGS] = s[GAIN], s[RUNGS_NOW]
    out[BEST], out[WORST] = (highest, lowest) if d > 0 else (lowest, highest)


@njit(cache=True)
def follow_all(market: Floats, asks: Floats, rules: Rules) -> Floats:
    """Follow every trade to its end, each for itself.

    Parameters
    ----------
    market : ndarray of shape (11, n_candles), float64
        What candles say; funding is summed up to and with each candle.
    asks : ndarray of shape (n_entries, 14), float64
    rules : Rules

    Returns
    -------
    ndarray of shape (n_entries, 9), float64
        NaN and -1 where the candles end first.
    """
    out = np.full((len(asks), RESULTS), np.nan)
    nothing = np.empty(0)
    for i in range(len(asks)):
        _follow(market, asks[i], rules, out[i], nothing)
    return out


@njit(cache=True)
def follow_worth(market: Floats, ask: Floats, rules: Rules) -> Floats:
    """Return what one trade is worth at every close, profit per unit; NaN before and after it."""
    worth = np.full(market.shape[1], np.nan)
    out = np.full(RESULTS, np.nan)
    _follow(market, ask, rules, out, worth)
    return worth
