"""Wyckoff: trading ranges, their phases and stages, and what the composite operator does.

The cycle (spec H6) is told by what came before a range, who is stronger inside it, and which
side it is left on:

=============  ==============  =====================  =====================
before         inside          phase                  left upward / downward
=============  ==============  =====================  =====================
decline        demand          accumulation           markup / markdown
decline        supply          redistribution         markup / markdown
advance        supply          distribution           markup / markdown
advance        demand          re-accumulation        markup / markdown
=============  ==============  =====================  =====================

Inside, stage A is the stopping action (climax, automatic reaction) before two-sided swings make
a range, B the range itself, C a test of an edge, D the move across the middle after the test,
E the trend out of the range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.candles import Candles
from quorum.features.climaxes import ClimaxConstants, stopping_action
from quorum.features.mirror import LONG, SHORT, Prices, prices_of
from quorum.features.series import ratio
from quorum.features.table import Features
from quorum.features.trading_ranges import (
    BOTTOM,
    START,
    TILT,
    TOP,
    TOUCHES,
    TREND,
    RangeConstants,
    find_ranges,
)
from quorum.features.volume import close_location
from quorum.features.wyckoff_events import (
    EVENT,
    LEFT_AT,
    STATUS,
    STOP,
    TEST_AT,
    TESTED,
    EventConstants,
    effect_of,
    follow_ranges,
)
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints

ACCUMULATION, REACCUMULATION, MARKUP = 1, 2, 3
STAGE_A, STAGE_B, STAGE_C, STAGE_D, STAGE_E = range(1, 6)


class OperatorConstants(NamedTuple):
    """How effort (volume) against result (price) is read inside a range."""

    window: int = 120  # most candles of the range read [candles]
    location: float = 0.4  # weight of the volume-weighted close location
    defence: float = 0.4  # weight of which edge is defended with volume
    ease: float = 0.2  # weight of the ease of movement, up against down
    location_scale: float = 0.2  # mean close location that counts as one-sided
    edge: float = 0.33  # how much of the range belongs to an edge [of the width]


class PhaseConstants(NamedTuple):
    """How the evidence inside a range is weighed and how far it carries."""

    min_trend: float = 0.5  # least move into a range that makes a trend [widths]
    min_lean: float = 0.15  # least evidence that tells demand from supply
    tilt: float = 0.5  # weight of rising or falling swings [per width]
    climax: float = 0.15  # weight of a climax at the range's start
    climax_slack: int = 10  # candles a climax may precede the first swing [candles]
    test: float = 0.25  # weight of the last test of an edge
    test_age: int = 30  # how long stage C lasts after a test [candles]


class WyckoffConstants(NamedTuple):
    """Ranges, stopping action, events, operator and phases."""

    ranges: RangeConstants = RangeConstants()
    climaxes: ClimaxConstants = ClimaxConstants()
    events: EventConstants = EventConstants()
    operator: OperatorConstants = OperatorConstants()
    phases: PhaseConstants = PhaseConstants()


@njit(cache=True)
def _balance(plus: float, minus: float) -> float:
    """Return which of two amounts is larger, -1 to 1."""
    total = plus + minus
    return (plus - minus) / total if total > 0 else 0.0


@njit(cache=True)
def _operator(
    prices: Prices, volume: Floats, location: Floats, rows: Floats, weights: OperatorConstants
) -> Floats:
    """Return the balance of demand (+1) and supply (-1) over each candle's range.

    It is read up to the present candle, or up to the one that left the range: what happens
    outside is effect, not cause.
    """
    high, low, close = prices.high, prices.low, prices.close
    top, bottom = rows[TOP], rows[BOTTOM]
    start = rows[START]
    n = len(close)
    out = np.full(n, np.nan)
    for t in range(1, n):
        if np.isnan(start[t]):
            continue
        end = t if rows[STATUS, t] == 0 else int(rows[LEFT_AT, t])
        edge = weights.edge * (top[t] - bottom[t])
        total = mean = held = capped = 0.0
        up = down = up_effort = down_effort = 0.0
        for j in range(max(int(start[t]), end + 1 - weights.window, 1), end + 1):
            v = volume[j]
            total += v
            mean += v * location[j]
            if location[j] > 0 and low[j] <= bottom[t] + edge:
                held += v * location[j]
            elif location[j] < 0 and high[j] >= top[t] - edge:
                capped -= v * location[j]
            move = close[j] - close[j - 1]
            if move > 0:
                up += move
                up_effort += v
            elif move < 0:
                down -= move
                down_effort += v
        if total <= 0:
            continue
        one_sided = mean / total / weights.location_scale
        ease = _balance(up * down_effort, down * up_effort)
        out[t] = (
            weights.location * min(max(one_sided, -1.0), 1.0)
            + weights.defence * _balance(held, capped)
            + weights.ease * ease
        )
    return out


def _lean(
    rows: Floats, operator: Floats, climax: dict[int, Ints], constants: PhaseConstants
) -> Floats:
    """Weigh what tells accumulation from distribution; positive for demand."""
    since = rows[START] - constants.climax_slack
    bought = (climax[LONG] >= 0) & (climax[LONG] >= since)
    sold = (climax[SHORT] >= 0) & (climax[SHORT] >= since)
    lean: Floats = (
        operator
        + constants.tilt * rows[TILT]
        + constants.climax * (bought.astype(np.float64) - sold)
        + constants.test * rows[TESTED]
    )
    return lean


def _phases(
    rows: Floats, lean: Floats, close: Floats, stopping: Bools, constants: PhaseConstants
) -> tuple[Floats, Floats]:
    """Return phase (signed code) and stage (1 to 5) per candle."""
    status, trend = rows[STATUS], rows[TREND]
    side = np.where(np.abs(lean) >= constants.min_lean, np.sign(lean), 0.0)
    # Demand after a decline, or supply after an advance, turns the trend; else it resumes.
    turns = np.where(side * trend < 0, ACCUMULATION, REACCUMULATION)
    phase = np.where(np.abs(trend) >= constants.min_trend, side * turns, 0.0)
    inside = status == 0
    phase = np.where(inside, phase, np.nan_to_num(status) * MARKUP)

    middle = (rows[TOP] + rows[BOTTOM]) / 2
    tested = rows[TESTED]
    test_age = np.arange(len(close)) - rows[TEST_AT]
    in_test = inside & (tested != 0) & (tested == side) & (test_age <= constants.test_age)
    stage = np.where(stopping, STAGE_A, 0)
    stage = np.where(inside, STAGE_B, stage)
    stage = np.where(in_test, STAGE_C, stage)
    stage = np.where(in_test & (side * (close - middle) > 0), STAGE_D, stage)
    stage = np.where(np.abs(status) == 1, STAGE_E, stage)
    return phase, stage.astype(np.float64)


def _target(rows: Floats, direction: Floats, constants: EventConstants) -> Floats:
    """Project the range (cause) beyond its edge (effect); NaN without a direction."""
    top, bottom = rows[TOP], rows[BOTTOM]
    left = rows[STATUS] != 0
    end = np.where(left, rows[LEFT_AT], np.arange(len(top)))
    length = end - rows[START]
    effect = effect_of(top - bottom, length, constants.cause, constants.max_effect)
    beyond = np.where(direction > 0, top + effect, bottom - effect)
    return np.where(direction != 0, beyond, np.nan)


def _stopping_both(
    c: Candles, out: Features, constants: ClimaxConstants
) -> tuple[Floats, Bools, dict[int, Ints]]:
    """Return the signed stopping events, where stage A is on, and the climaxes per side."""
    event, stage_a = np.zeros(len(c)), np.zeros(len(c), dtype=np.bool_)
    climax: dict[int, Ints] = {}
    for side in (LONG, SHORT):
        happened, stage, climax[side] = stopping_action(
            c, out["atr_unit"], out["volume_ratio"], constants, side
        )
        event = np.where(happened > 0, side * happened, event)
        stage_a |= stage > 0
    return event, stage_a, climax


def _add_range(out: Features, rows: Floats, close: Floats, lag: int) -> None:
    """Add the columns that describe the range itself."""
    top, bottom = rows[TOP], rows[BOTTOM]
    length = np.arange(len(close)) - rows[START]
    out.add("wyckoff_top", top, lag=lag, scale_free=False)
    out.add("wyckoff_bottom", bottom, lag=lag, scale_free=False)
    out.add("wyckoff_length", length, lag=lag)
    out.add("wyckoff_touches", rows[TOUCHES], lag=lag)
    out.add("wyckoff_trend", rows[TREND], lag=lag)
    out.add("wyckoff_position", ratio(close - bottom, top - bottom), lag=lag)


def add_wyckoff(market: Market, out: Features, constants: WyckoffConstants) -> None:
    """Add the current trading range, its phase and stage, events and target.

    Columns (ranges carry the lag of the swings they stand on; events inside a known range are
    known at their candle's close):

    * ``wyckoff_top``, ``wyckoff_bottom`` (price), ``wyckoff_length`` (candles since the first
      swing), ``wyckoff_touches`` (swings), ``wyckoff_trend`` (widths moved into the range),
      ``wyckoff_position`` (0 bottom, 1 top); NaN without a range;
    * ``wyckoff_operator`` (-1 supply to +1 demand), ``wyckoff_lean`` (all the evidence);
    * ``wyckoff_phase`` (+1 accumulation, +2 re-accumulation, +3 markup, -1 distribution,
      -2 redistribution, -3 markdown, 0 undetermined or none), ``wyckoff_stage`` (1 to 5 for
      A to E, 0 none);
    * ``wyckoff_stopping`` (+1 selling climax, +2 automatic rally, +3 secondary test of the low,
      negative for their counterparts at a high, 0 none);
    * ``wyckoff_event`` (+1 spring, +2 terminal shakeout, +3 sign of strength, -1 upthrust,
      -2 UTAD, -3 sign of weakness, 0 none), ``wyckoff_event_stop`` (price that refutes it);
    * ``wyckoff_target`` (price).
    """
    c, swings, atr = market.candles, out.swings["base"], out["atr_unit"]
    prices = prices_of(c, LONG)
    found = find_ranges(prices.close, atr, swings, constants.ranges)
    rows = follow_ranges(c, out["volume_ratio"], atr, swings.event, found, constants.events)

    stopping, stage_a, climax = _stopping_both(c, out, constants.climaxes)
    weights = constants.operator
    operator = _operator(prices, c.volume, close_location(c.high, c.low, c.close), rows, weights)
    lean = _lean(rows, operator, climax, constants.phases)
    phase, stage = _phases(rows, lean, c.close, stage_a, constants.phases)
    event = np.nan_to_num(rows[EVENT])
    direction = np.where(event != 0, np.sign(event), np.sign(phase))
    target = _target(rows, direction, constants.events)

    lag = swings.right
    _add_range(out, rows, c.close, lag)
    out.add("wyckoff_operator", operator, lag=lag)
    out.add("wyckoff_lean", lean, lag=lag)
    out.add("wyckoff_phase", phase, lag=lag)
    out.add("wyckoff_stage", stage, lag=lag)
    out.add("wyckoff_stopping", stopping)
    out.add("wyckoff_event", event)
    out.add("wyckoff_event_stop", rows[STOP], scale_free=False)
    out.add("wyckoff_target", target, lag=lag, scale_free=False)
