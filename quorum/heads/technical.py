"""H1 technical: a table of indicators, scored, grouped and counted."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from quorum.features.series import ratio
from quorum.features.table import Features
from quorum.heads.base import DECIMALS, Head, HeadSettings, Votes, abstain, make_votes
from quorum.heads.technical_table import GROUPS, Indicator, Scale, Scales, table
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints


class TechnicalConstants(NamedTuple):
    """Weights, lines and scales of the technical head."""

    trend_weight: float = 0.40  # weight of the trend group
    momentum_weight: float = 0.35  # weight of the momentum group
    volatility_weight: float = 0.25  # weight of the volatility group
    variation_weight: float = 0.5  # weight of a variation in its group [of a core indicator's]
    long_above: float = 0.55  # bullish score over which a score is long
    short_below: float = 0.45  # bullish score under which a score is short
    line_score: float = 0.70  # bullish score of a full reading (RSI 70, %B 1) [0-1]
    exhausted_score: float = 0.60  # the same of an oscillator twice as far or more [0-1]
    group_penalty: float = 0.25  # confidence lost when every group disagrees [share]
    min_known: float = 0.9  # indicators that must be known [share of the table]
    strong_adx: float = 25.0  # ADX of a trend [points]
    scales: Scales = Scales()


@njit(cache=True)
def _score(
    values: Floats, centre: float, full: float, at_line: float, at_twice: float,
    strength: Floats, strength_centre: float, strength_full: float, fires: bool,
) -> Floats:  # fmt: skip
    """Bullish score of one indicator, 0-1, NaN where it is silent or unknown."""
    n = len(values)
    score = np.full(n, np.nan)
    for t in range(n):
        reading = (values[t] - centre) / full
        if np.isnan(reading) or (fires and reading == 0.0):
            continue
        distance = min(abs(reading), 2.0)
        if distance <= 1.0:
            size = at_line * distance
        else:
            size = at_line + (at_twice - at_line) * (distance - 1.0)
        if len(strength) > 0:
            share = (strength[t] - strength_centre) / strength_full
            if np.isnan(share):
                continue
            size *= min(max(share, 0.0), 1.0)
        score[t] = 0.5 + 0.5 * size if reading > 0.0 else 0.5 - 0.5 * size
    return score


@njit(cache=True)
def _tally(
    score: Floats, weight: float, long_above: float, short_below: float,
    total: Floats, weights: Floats, counts: Floats,
) -> None:  # fmt: skip
    """Add one indicator to its group's sums and to the counts (known, long, short), in place."""
    for t in range(len(score)):
        if np.isnan(score[t]):
            continue
        total[t] += weight * score[t]
        weights[t] += weight
        counts[0, t] += 1.0
        if score[t] > long_above:
            counts[1, t] += 1.0
        elif score[t] < short_below:
            counts[2, t] += 1.0


class TechnicalHead(Head[HeadSettings]):
    """Indicators of trend, momentum and volatility, scored and counted (spec H1).

    1. Every indicator of :data:`~quorum.heads.technical_table.INDICATORS` gives a bullish
       score. Its reading ``r = (value - centre) / full`` is 0 when neutral and 1 at its line
       (overbought, the band, ...), and the score runs straight from 0.5 at ``r = 0`` over
       ``line_score`` 0.70 at ``r = 1`` to 1.0 at ``r = 2``, and the same way down to 0. So
       an RSI of 70 scores 0.70. Oscillators are read as confirmation of momentum, bullish above
       their middle; beyond their line they run back to ``exhausted_score`` 0.60: what is
       overstretched argues less, but not for the other side.
    2. A group's score is the weighted mean of its indicators (a variation counts half a core
       indicator), the technical score the weighted mean of the groups. Long above 0.55, short
       below 0.45; probability is the score, or one minus it.
    3. Confidence is the share of the indicators whose own score lies beyond the same line in
       the same direction (45 of 50: 0.90), less a penalty for each group that does not.

    Columns that the features do not have are left out of the table. The head abstains where
    less than ``min_known`` of the rest is known.

    The reading is symmetric under a reflection of the prices about a level; under ``p -> c/p``
    only nearly, because averages of prices and differences of prices are not.
    """

    name: ClassVar[str] = "technical"
    weight: ClassVar[float] = 0.13
    reasons: ClassVar[tuple[str, ...]] = (
        "trend_up",
        "trend_down",
        "momentum_up",
        "momentum_down",
        "volatility_up",
        "volatility_down",
        "averages_stacked",
        "strong_adx",
        "channel_break",
        "overstretched",
        "mass_reversal",
    )
    Settings = HeadSettings
    constants: TechnicalConstants = TechnicalConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; readings are the scores, the agreement and the counts."""
        s = self.constants
        n = len(market)
        rows = table(features)
        if n == 0 or not rows:
            return abstain(n)
        totals, weights = np.zeros((len(GROUPS), n)), np.zeros((len(GROUPS), n))
        counts = np.zeros((3, n))
        for row in rows:
            weight = 1.0 if row.core else s.variation_weight
            group = row.group
            score = self._score(row, features)
            _tally(
                score, weight, s.long_above, s.short_below, totals[group], weights[group], counts
            )
        groups = ratio(totals, weights)
        group_weights = np.array([s.trend_weight, s.momentum_weight, s.volatility_weight])
        score = _weighted(groups, group_weights)
        direction = self._side(score)
        known, bullish, bearish = counts
        agreeing = np.where(direction > 0, bullish, np.where(direction < 0, bearish, 0.0))
        agreement = ratio(agreeing, known, 0.0)
        with_it = self._side(groups) == direction
        support = (group_weights[:, None] * with_it).sum(axis=0) / group_weights.sum()
        confidence = agreement * (1.0 - s.group_penalty * (1.0 - support))
        return make_votes(
            direction,
            np.maximum(score, 1.0 - score),
            confidence,
            self._reason(market, features, direction, self._side(groups)),
            (known >= s.min_known * len(rows)) & np.isfinite(score),
            {
                "score": score,
                **{f"{name}_score": g for name, g in zip(GROUPS, groups, strict=True)},
                "agreement": agreement,
                "bullish": bullish,
                "bearish": bearish,
                "known": known,
            },
        )

    def scores(self, features: Features) -> dict[str, Floats]:
        """Return every indicator's bullish score (0-1, NaN where silent or unknown), by name."""
        return {row.name: self._score(row, features) for row in table(features)}

    def _score(self, row: Indicator, features: Features) -> Floats:
        """Return one indicator's bullish score."""
        scale: Scale = getattr(self.constants.scales, row.scale)
        strength, strength_scale = np.empty(0), Scale()
        if row.strength:
            strength = features[row.strength]
            strength_scale = getattr(self.constants.scales, row.strength_scale)
        score: Floats = _score(
            features[row.column],
            scale.centre,
            scale.full,
            2.0 * self.constants.line_score - 1.0,
            2.0 * (self.constants.exhausted_score if row.exhausts else 1.0) - 1.0,
            strength,
            strength_scale.centre,
            strength_scale.full,
            row.fires,
        )
        return score

    def _side(self, score: Floats) -> Floats:
        """Return +1 for a long score, -1 for a short one, 0 between the lines."""
        # Rounded, so that a shorter history's last bits cannot turn a vote.
        rounded = np.round(score, DECIMALS)
        above = rounded > self.constants.long_above
        below = rounded < self.constants.short_below
        return above.astype(np.float64) - below.astype(np.float64)

    def _reason(
        self, market: Market, features: Features, direction: Floats, groups: Floats
    ) -> Ints:
        """Return the reason mask: the agreeing groups, and what stands out."""
        flags: dict[str, Bools] = {}
        for name, side in zip(GROUPS, groups, strict=True):
            flags[f"{name}_up"] = (side == direction) & (direction > 0)
            flags[f"{name}_down"] = (side == direction) & (direction < 0)
        flags["averages_stacked"] = direction * _column(features, "sma_alignment") >= 1.0
        flags["strong_adx"] = _column(features, "adx") >= self.constants.strong_adx
        flags["channel_break"] = _broke_channel(market, features, direction)
        flags["overstretched"] = self._overstretched(features, direction)
        flags["mass_reversal"] = direction * _column(features, "mass_reversal") > 0.0
        return self.mask(flags)

    def _overstretched(self, features: Features, direction: Floats) -> Bools:
        """Tell where the RSI is beyond its overbought (oversold) line in the vote's direction."""
        scale = self.constants.scales.rsi
        beyond: Bools = direction * (_column(features, "rsi_14") - scale.centre) > scale.full
        return beyond


def _weighted(scores: Floats, weights: Floats) -> Floats:
    """Return the weighted mean over the first axis of what is known, NaN where nothing is."""
    known = np.isfinite(scores)
    total = (weights[:, None] * np.where(known, scores, 0.0)).sum(axis=0)
    return ratio(total, (weights[:, None] * known).sum(axis=0))


def _column(features: Features, name: str) -> Floats:
    """Return a column, or NaN throughout where it does not exist."""
    return features[name] if name in features else np.full(features.n_candles, np.nan)


def _broke_channel(market: Market, features: Features, direction: Floats) -> Bools:
    """Tell where the close left the Donchian channel of the candle before."""
    broke = np.zeros(len(market), dtype=np.bool_)
    close = market.candles.close[1:]
    up = close > _column(features, "donchian_upper")[:-1]
    down = close < _column(features, "donchian_lower")[:-1]
    broke[1:] = np.where(direction[1:] > 0, up, (direction[1:] < 0) & down)
    return broke
