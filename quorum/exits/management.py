"""How open trades are managed: settings, columns, and the orders that take parts (spec P3, P4).

The rules themselves are in :mod:`quorum.exits.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.exits.rules import Rules
from quorum.features.table import Features
from quorum.section import Section
from quorum.typing import Floats

#: Tags of the orders that take a part of a trade out; a rung's number follows the first.
LADDER_TAG = "ladder_"
REVERSAL_TAG = "reversal_half"


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
    # an exit order at the market is priced anew after this long [min]
    exit_patience: ClassVar[float] = 10.0
    time_stop: float = Field(
        168.0, gt=0, description="leave a trade that is older, whatever its result [h]"
    )

    def rules(self) -> Rules:
        """Return what the rules read of it."""
        return Rules(*(getattr(self, name) for name in Rules._fields))


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
