"""What becomes of an open trade: breakeven, trail, reversals, time (spec P3, P4).

Pure functions of the trade as it stands and of the last closed candle. Which rungs of the
ladder are filled and whether half is out is read from the trade's own orders, so a restart
forgets nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from quorum.features.table import Features
from quorum.section import Section
from quorum.typing import Floats

#: Tags of the orders that take a part of a trade out; a rung's number follows the first.
LADDER_TAG = "ladder_"
REVERSAL_TAG = "reversal_half"
#: Reasons for which a trade ends at the market.
TIME_STOP = "time_stop"
REVERSAL_EXIT = "reversal"
STOP_PASSED = "stop_passed"
#: The host keeps stops on the exchange's grid and as fractions: what may be lost that way.
GRACE = 1e-9


class ManagementSettings(Section):
    """How a trade is managed between its entry and its end."""

    breakeven_at: float = Field(
        3.0, gt=0, le=100, description="gain that moves the stop to the entry [% of the price]"
    )
    breakeven_on_divergence: bool = Field(
        True, description="move the stop of a winning trade to the entry on a divergence"
    )
    trail: bool = Field(
        True, description="follow with the chandelier exit once the first target is filled"
    )
    half_on_reversal: bool = Field(
        True, description="take a part out when the base or 4h trend turns against the trade"
    )
    reversal_share: float = Field(
        0.5, gt=0, lt=1, description="part taken out then [share of what is left]"
    )
    exit_on_reversal: bool = Field(
        True, description="leave when the 1d or 1w trend turns against the trade"
    )
    exit_patience: float = Field(
        10.0, gt=0, description="an exit order at the market is priced anew after this long [min]"
    )
    time_stop: float = Field(
        168.0, gt=0, description="leave a trade that is older, whatever its result [h]"
    )


@dataclass(frozen=True)
class Standing:
    """An open trade as it stands.

    Attributes
    ----------
    direction : int
        +1 long, -1 short.
    entry, stop : float
        Average entry price, stop now in force.
    best : float
        Best price reached since the entry.
    rate : float
        Price now.
    rungs : int
        Rungs of the ladder that are filled.
    halved : bool
        Whether a reversal has already taken a part out.
    """

    direction: int
    entry: float
    stop: float
    best: float
    rate: float
    rungs: int
    halved: bool


@dataclass(frozen=True)
class Candle:
    """What the last closed candle says to an open trade.

    Attributes
    ----------
    chandelier : float
        Chandelier exit of the trade's side, NaN when unknown.
    near_reversal, far_reversal : int
        +1 or -1 when the base / 4h, or the 1d / 1w trend turned up or down with this candle.
    divergence : int
        +1 bullish, -1 bearish, 0 none.
    """

    chandelier: float = math.nan
    near_reversal: int = 0
    far_reversal: int = 0
    divergence: int = 0


def management_columns(features: Features) -> dict[str, Floats]:
    """Return what open trades are managed by, per candle.

    ``chandelier_long``, ``chandelier_short`` (prices), ``near_reversal`` and ``far_reversal``
    (+1, -1 on the candle whose close turned the base or 4h, or the 1d or 1w trend),
    ``divergence`` (+1 bullish, -1 bearish on the candle that confirmed it). NaN or 0 where
    the features are missing. Lag: that of the swings behind the structure.
    """
    n = features.n_candles
    unknown, none = np.full(n, np.nan), np.zeros(n)
    bull = features.get("cvd_divergence_bull", none)
    bear = features.get("cvd_divergence_bear", none)
    return {
        "chandelier_long": features.get("chandelier_long", unknown),
        "chandelier_short": features.get("chandelier_short", unknown),
        "near_reversal": _turns(features, ("base", "4h")),
        "far_reversal": _turns(features, ("1d", "1w")),
        "divergence": _appears(bull) - _appears(bear),
    }


def _turns(features: Features, timeframes: Sequence[str]) -> Floats:
    """Return the sign of a trend on the candle where it turned, 0 elsewhere."""
    turned = np.zeros(features.n_candles)
    for timeframe in timeframes:
        trend = features.get(f"structure_trend_{timeframe}")
        if trend is None:
            continue
        before = np.concatenate([[np.nan], trend[:-1]])
        # From unknown or none to a trend is a beginning, not a turn.
        turn = np.where(trend * before < 0, np.sign(trend), 0.0)
        turned = np.where(turn != 0, turn, turned)
    return turned


def _appears(strength: Floats) -> Floats:
    """Return 1 on the candle where a fading reading is renewed, 0 elsewhere."""
    before = np.concatenate([[0.0], strength[:-1]])
    renewed = np.nan_to_num(strength) > np.nan_to_num(before)
    return np.where(renewed, 1.0, 0.0)


def stop_now(
    trade: Standing,
    candle: Candle,
    settings: ManagementSettings,
    trailing: float | None = None,
) -> float:
    """Return the stop that belongs to a trade now: it only ever tightens.

    1. The stop in force.
    2. The entry, after a gain of ``breakeven_at`` or, for a winning trade, a divergence.
    3. The chandelier exit, once the first target is filled.
    4. The trailing stop the sizing asks for (spec S2), a fraction of the best price.
    """
    d = trade.direction
    candidates = [trade.stop]
    gain = d * (trade.best / trade.entry - 1) * 100
    winning = d * (trade.rate - trade.entry) > 0
    diverges = settings.breakeven_on_divergence and candle.divergence == -d and winning
    if gain >= settings.breakeven_at or diverges:
        candidates.append(trade.entry)
    if settings.trail and trade.rungs > 0 and math.isfinite(candle.chandelier):
        candidates.append(candle.chandelier)
    if trailing is not None:
        candidates.append(trade.best * (1 - d * trailing))
    return max(candidates) if d > 0 else min(candidates)


def passes_stop(direction: int, in_force: float, wanted: float, price: float) -> bool:
    """Whether a price lies beyond a stop that belongs to a trade but is not in force yet.

    The host refuses a stop that the price has passed already, live until the price comes back,
    in a backtest unless it comes back within the candle: such a trade must end at the market.
    """
    nearer = direction * (wanted - in_force) > GRACE * wanted
    return nearer and direction * (price - wanted) <= 0


def takes_half(trade: Standing, candle: Candle, settings: ManagementSettings) -> bool:
    """Whether a reversal of the base or 4h trend takes a part of the trade out now."""
    turned = candle.near_reversal == -trade.direction
    return settings.half_on_reversal and turned and not trade.halved


def exit_now(
    trade: Standing, candle: Candle, age_hours: float, settings: ManagementSettings
) -> str | None:
    """Return the reason to leave at the market now, None to stay."""
    if age_hours >= settings.time_stop:
        return TIME_STOP
    if settings.exit_on_reversal and candle.far_reversal == -trade.direction:
        return REVERSAL_EXIT
    return None


def rung_share(shares: Sequence[float], rung: int) -> float:
    """Return the part of what is left that a rung takes out (the last takes all).

    Parameters
    ----------
    shares : sequence of float
        Shares of the whole position, for example ``(0.7, 0.2, 0.1)``.
    rung : int
        Rungs filled so far.
    """
    return shares[rung] / sum(shares[rung:])


def merge_rungs(
    targets: Sequence[float],
    shares: Sequence[float],
    notional: float,
    min_order: float,
    cut: Callable[[float], float] = float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Drop the rungs that the exchange's smallest order does not allow.

    A rung that is too small goes to the one before it; the first takes what is left over.
    Returns the targets and the shares of the rungs that remain. ``cut`` takes the value of an
    order to that of the whole lots in it.
    """

    def too_small(share: float) -> bool:
        value = cut(share * notional)
        return value <= 0 or value < min_order

    kept_targets, kept_shares = list(targets), list(shares)
    while len(kept_shares) > 1 and too_small(min(kept_shares)):
        small = kept_shares.index(min(kept_shares))
        into = small - 1 if small > 0 else 1
        kept_shares[into] += kept_shares[small]
        del kept_shares[small], kept_targets[small]
    return tuple(kept_targets), tuple(kept_shares)
