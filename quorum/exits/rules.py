"""What an open trade does next: breakeven, trail, reversals, parts, time, expiry (spec Z2, P3, P4).

Scalar functions of a trade as it stands and of what the last closed candle says. The bot calls them
as they are, for one trade at a time; the simulation's kernel has them compiled into it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba.extending import register_jitable

from quorum.typing import Floats

#: How a trade stands or has ended, by code.
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
#: The same in words; those of ended trades are the host's exit reasons.
REASONS = (
    "open",
    "expired",
    "stop_loss",
    "trailing_stop_loss",
    "roi",
    "opposite_quorum",
    "time_stop",
    "reversal",
    "stop_passed",
)
#: What is taken out of a trade now.
NOTHING, HALF, RUNG = range(3)
#: The host keeps stops on the exchange's grid and as fractions: what may be lost that way.
GRACE = 1e-9


class Rules(NamedTuple):
    """The settings of :class:`~quorum.exits.management.ManagementSettings` that rules read."""

    breakeven_at: float
    breakeven_on_divergence: bool
    trail: bool
    half_on_reversal: bool
    reversal_share: float
    exit_on_reversal: bool
    time_stop: float


class Standing(NamedTuple):
    """An open trade as it stands.

    Attributes
    ----------
    direction : float
        +1 long, -1 short.
    entry, stop : float
        Average entry price, stop now in force.
    best, close : float
        Best price and last close of the candles closed since the entry; the entry before one is.
    trailing : float
        Distance of the trailing stop that the sizing asks for, a fraction of the best price (spec
        S2); NaN for none.
    rungs : int
        Rungs of the ladder that are filled.
    halved : bool
        Whether a reversal has already taken a part out.
    """

    direction: float
    entry: float
    stop: float
    best: float
    close: float
    trailing: float
    rungs: int
    halved: bool


class Candle(NamedTuple):
    """What the last closed candle says to an open trade.

    Attributes
    ----------
    chandelier : float
        Chandelier exit of the trade's side, NaN when unknown.
    near_reversal, far_reversal : float
        +1 or -1 when the base / 4h, or the 1d / 1w trend turned up or down with this candle.
    divergence : float
        +1 bullish, -1 bearish, 0 none.
    """

    chandelier: float = math.nan
    near_reversal: float = 0.0
    far_reversal: float = 0.0
    divergence: float = 0.0


@register_jitable
def better(direction: float, a: float, b: float) -> float:
    """Return the better of two prices of a trade: the higher of a long's, the lower of a short's.

    Of two stops it is the tighter.
    """
    return max(a, b) if direction > 0 else min(a, b)


@register_jitable
def first_counted(filled: int, waits: bool) -> int:
    """Return the first candle that counts for a trade that filled in candle ``filled``.

    Within the candle in which a waiting order filled, it is not known what came after.
    """
    return filled + 1 if waits else filled


@register_jitable
def order_expired(waits: bool, age: int, expiry: int) -> bool:
    """Whether an entry order is withdrawn after ``age`` candles (spec Z2).

    An immediate entry is given one candle.
    """
    return age >= (expiry if waits else 1)


@register_jitable
def stop_now(trade: Standing, candle: Candle, rules: Rules) -> float:
    """Return the stop that belongs to a trade now: it only ever tightens (spec P4).

    1. The stop in force.
    2. The entry, after a gain of ``breakeven_at`` or, for a winning trade, a divergence.
    3. The chandelier exit, once the first target is filled.
    4. The trailing stop the sizing asks for (spec S2).
    """
    d, stop = trade.direction, trade.stop
    gain = d * (trade.best / trade.entry - 1.0) * 100.0
    winning = d * (trade.close - trade.entry) > 0
    diverges = rules.breakeven_on_divergence and candle.divergence == -d and winning
    if gain >= rules.breakeven_at or diverges:
        stop = better(d, stop, trade.entry)
    if rules.trail and trade.rungs > 0 and math.isfinite(candle.chandelier):
        stop = better(d, stop, candle.chandelier)
    if math.isfinite(trade.trailing):
        stop = better(d, stop, trade.best * (1.0 - d * trade.trailing))
    return stop


@register_jitable
def is_tighter(direction: float, in_force: float, wanted: float) -> bool:
    """Whether a stop is nearer to the price than the one in force, by more than rounding."""
    return direction * (wanted - in_force) > GRACE * wanted


@register_jitable
def passes_stop(direction: float, in_force: float, wanted: float, price: float) -> bool:
    """Whether a price lies beyond a stop that belongs to a trade but is not in force yet.

    The host refuses a stop that the price has passed already, live until the price comes back,
    in a backtest unless it comes back within the candle: such a trade must end at the market.
    """
    return is_tighter(direction, in_force, wanted) and direction * (price - wanted) <= 0


@register_jitable
def at_last_rung(rungs: int, ladder: int) -> bool:
    """Whether the next of ``ladder`` rungs is the last, at which all that is left goes."""
    return rungs >= ladder - 1


@register_jitable
def part_now(trade: Standing, candle: Candle, ladder: int, rests: bool, rules: Rules) -> int:
    """Return what is taken out of a trade now: ``HALF``, the next ``RUNG`` or ``NOTHING``.

    1. A turn of the base or 4h trend takes its part once (spec P4).
    2. Else the next of ``ladder`` rungs, where no order rests; but for the last (spec P3).
    """
    turned = candle.near_reversal == -trade.direction
    if rules.half_on_reversal and turned and not trade.halved:
        return HALF
    return NOTHING if rests or at_last_rung(trade.rungs, ladder) else RUNG


@register_jitable
def exit_now(trade: Standing, candle: Candle, age: float, passed: bool, rules: Rules) -> int:
    """Return why a trade ends at the market now, ``OPEN`` to keep it (spec P4).

    By precedence: its age [h], a turn of the 1d or 1w trend, a stop that price has passed.
    """
    if age >= rules.time_stop:
        return TIME_STOP
    if rules.exit_on_reversal and candle.far_reversal == -trade.direction:
        return REVERSAL
    return STOP_PASSED if passed else OPEN


@register_jitable
def rung_share(shares: Floats, rung: int) -> float:
    """Return the part of what is left that a rung takes out; the last takes all.

    ``shares`` are those of the whole position, ``rung`` counts the rungs filled so far.
    """
    return float(shares[rung] / shares[rung:].sum())
