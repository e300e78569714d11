"""Level map: the nearest supports and resistances, from everything a trader draws (spec P1).

Zones come from confirmed swings; what else traders watch confirms a zone or makes one of its own:

1. whenever a pivot of the base timeframe or of 4h is confirmed, the pivots of the lookback are
   gathered: one with the most company within ``tolerance`` ATR is the centre of a zone (of equals
   the newest), which lies at the mean price of its company. Highs and lows count alike, since a
   broken resistance is expected to hold as support;
2. per candle the *marks* - volume-profile nodes, prior-day and prior-week extremes, Fibonacci
   retracements of the last confirmed impulse, round numbers, levels of advisors - join the
   nearest zone within the tolerance. The others are gathered outward from the close and lie at
   their heaviest mark;
3. strength 0-1 from touches (a mark counts as a part of one), recency and volume;
4. outward from the close the zones with ``min_strength`` are taken, of two nearer to each other
   than ``separation`` the stronger one.

The map forgets what is older than its lookback, so it does not depend on where the history starts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorum.features.advice import advised_levels
from quorum.features.level_marks import NEVER, Marks
from quorum.features.level_search import LEVELS, Rules, map_levels
from quorum.features.level_zones import Pivots
from quorum.features.series import ratio
from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.features.volume import mean_before
from quorum.market import Market
from quorum.typing import Floats

#: Timeframe whose swings are drawn beside those of the base timeframe.
HIGHER = "4h"
#: The columns of the family, nearest level first.
LEVEL_COLUMNS = tuple(
    f"{side}{what}_{i}"
    for side in ("support", "resistance")
    for i in range(1, LEVELS + 1)
    for what in ("", "_edge", "_strength", "_touches")
)
#: Half-lives after which a touch is not recent at all.
FADED = 20


class LevelMapConstants(NamedTuple):
    """What makes a zone, and what makes it strong."""

    lookback: int = 500  # age of the oldest touch [candles]
    higher_lookback: int = 150  # age of the oldest touch of a 4h swing [4h candles]
    tolerance: float = 0.5  # distance of touches of one zone from its centre [ATR]
    separation: float = 1.0  # of two zones nearer than this the stronger is told [ATR]
    min_strength: float = 0.25  # weakest zone that is told [0-1]
    full_touches: float = 10.0  # touches of full strength [touches]
    half_life: float = 150.0  # age of the last touch that halves recency [candles]
    full_volume: float = 3.0  # mean volume ratio at the touches of full strength [x mean]
    volume_mean: int = 20  # candles before a 4h pivot its volume is held against [4h]
    touch_weight: float = 0.5  # share of touches in the strength
    recency_weight: float = 0.25  # share of recency in it
    volume_weight: float = 0.25  # share of volume in it
    point_of_control: float = 2.0  # weight of the point of control [touches]
    value_area: float = 1.0  # weight of an edge of the value area [touches]
    prior_day: float = 2.0  # weight of the prior day's high or low [touches]
    prior_week: float = 3.0  # weight of the prior week's high or low [touches]
    fibonacci: float = 1.0  # weight of a retracement [touches]
    # Fibonacci retracements drawn [fraction of the impulse]
    retracements: tuple[float, ...] = (0.382, 0.5, 0.618, 0.786)
    round_number: float = 1.0  # weight of a round number [touches]
    big_round_number: float = 5.0  # weight of a multiple of ten steps of the grid [touches]
    round_spacing: float = 4.0  # narrowest 1-2-5 grid of round numbers [ATR]


def add_level_map(market: Market, out: Features, constants: LevelMapConstants) -> None:
    """Add the nearest levels under and over the close (spec P1); needs structure and profile.

    Columns for i = 1 ... 4, nearest first, lag that of the swings:
    ``support_<i>``, ``resistance_<i>`` (price, NaN if none), ``support_edge_<i>``,
    ``resistance_edge_<i>`` (the far end of the zone, beyond which a stop stands) and
    ``support_strength_<i>``, ``resistance_strength_<i>`` (0-1, 0 if none) and
    ``support_touches_<i>``, ``resistance_touches_<i>`` (swings and marks that made it, NaN if
    none).
    """
    c, s = market.candles, constants
    clock = ((c.time - c.time[0]) // c.step).astype(np.float64) if len(c) else np.empty(0)
    swings = out.swings["base"]
    base = Pivots(
        swings.price,
        clock[swings.row],
        clock[swings.row] + s.lookback,
        np.nan_to_num(out["volume_ratio"][swings.row]),
        swings.event,
    )
    found = map_levels(
        c.close,
        out["atr"],
        clock,
        base,
        _higher_pivots(market, out.swings.get(HIGHER), s),
        _marks(market, out, clock, s),
        _rules(s),
        0.5 ** (np.arange(FADED * s.half_life) / s.half_life),
    )
    for side, name in enumerate(("support", "resistance")):
        for i in range(LEVELS):
            price, edge, strength, touches = found[side, i]
            out.add(f"{name}_{i + 1}", price, lag=swings.right, scale_free=False)
            out.add(f"{name}_edge_{i + 1}", edge, lag=swings.right, scale_free=False)
            # Round numbers count, and they are others in another currency unit.
            strength = np.nan_to_num(strength)
            out.add(f"{name}_strength_{i + 1}", strength, lag=swings.right, scale_free=False)
            out.add(f"{name}_touches_{i + 1}", touches, lag=swings.right, scale_free=False)


def _rules(s: LevelMapConstants) -> Rules:
    """Return the numbers of the kernels; the shares of the strength add up to one."""
    whole = max(s.touch_weight + s.recency_weight + s.volume_weight, np.finfo(np.float64).tiny)
    return Rules(
        tolerance=s.tolerance,
        separation=s.separation,
        min_strength=s.min_strength,
        touch_share=s.touch_weight / whole,
        recency_share=s.recency_weight / whole,
        volume_share=s.volume_weight / whole,
        full_touches=s.full_touches,
        full_volume=s.full_volume,
        round=s.round_number,
        big_round=s.big_round_number,
        round_spacing=s.round_spacing,
    )


def _higher_pivots(market: Market, swings: Swings | None, s: LevelMapConstants) -> Pivots:
    """Return the 4h pivots on the clock of the base timeframe; none where there is no 4h."""
    if swings is None or HIGHER not in market.higher or len(swings.event) == 0:
        none = np.empty(0)
        return Pivots(none, none, none, none, np.full(len(market), -1))
    higher, step = market.higher[HIGHER], market.candles.step
    candles = higher.candles
    # The last base candle inside the pivot candle: a pivot is as old as the end of its candle.
    last = (candles.close_time - market.candles.time[0]) // step - 1
    row = last[swings.row].astype(np.float64)
    volume = ratio(candles.volume, mean_before(candles.volume, s.volume_mean))
    event = swings.known_at(higher.row)
    return Pivots(
        swings.price,
        row,
        row + s.higher_lookback * (candles.step // step),
        np.nan_to_num(volume[swings.row]),
        event,
    )


def _marks(market: Market, out: Features, clock: Floats, s: LevelMapConstants) -> Marks:
    """Return what is drawn beside the swings, one column per mark.

    Value nodes are of now and traded in full; a prior day's or week's extreme is as old as its
    candle's close; a retracement is geometry and makes nothing recent.
    """
    drawn: list[tuple[Floats, Floats, float, float]] = [
        (out["poc"], clock, s.point_of_control, s.full_volume),
        (out["value_area_high"], clock, s.value_area, 0.0),
        (out["value_area_low"], clock, s.value_area, 0.0),
    ]
    for timeframe, weight in (("1d", s.prior_day), ("1w", s.prior_week)):
        higher = market.higher.get(timeframe)
        if higher is None or len(higher.candles) == 0:
            continue
        closed = higher.candles.close_time - market.candles.time[0]
        row = higher.align((closed // market.candles.step - 1).astype(np.float64))
        drawn += [
            (higher.align(extreme), row, weight, 0.0)
            for extreme in (higher.candles.high, higher.candles.low)
        ]
    never = np.full(len(market), NEVER)
    drawn += [(price, never, s.fibonacci, 0.0) for price in _retracements(out, s.retracements)]
    drawn += [(price, never, share * s.full_touches, 0.0) for share, price in advised_levels(out)]
    return Marks(
        np.column_stack([price for price, _, _, _ in drawn]),
        np.column_stack([row for _, row, _, _ in drawn]),
        np.array([touches for _, _, touches, _ in drawn]),
        np.array([volume for _, _, _, volume in drawn]),
    )


def _retracements(out: Features, fractions: tuple[float, ...]) -> list[Floats]:
    """Return the retracements of the last confirmed impulse, from its end back."""
    swings = out.swings["base"]
    low, high = out["dealing_range_low"], out["dealing_range_high"]
    if len(swings.kind) == 0:
        return []
    # The dealing range ends at the newest swing of the sequence: up to a high, down to a low.
    newest = swings.chain[np.maximum(swings.event, 0), 0]
    rising = swings.kind[newest] > 0
    end, start = np.where(rising, high, low), np.where(rising, low, high)
    return [end + fraction * (start - end) for fraction in fractions]
