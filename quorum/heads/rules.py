"""H4 rules: candlestick and chart patterns where they stand at a level.

How a vote comes about:

1. A candlestick pattern counts if its candles reached the nearest support (rising) or resistance
   (falling) and closed on the right side of it. A chart pattern brings its own level: the
   neckline or boundary it has just broken, drawn through two swings or more.
2. Its class gives the confidence, the fine quality the place within the class's range; without
   volume it is multiplied by ``no_volume``. Class and level strength give the probability.
3. Several patterns of one direction: the strongest speaks. Each further one of at least the good
   class, at the same candle or while the first is remembered, adds ``agreement``, up to
   ``most``. Weak patterns never add up to a valid vote.
4. A pattern is remembered ``hold`` candles with decaying confidence, but only until a close
   beyond its extreme (candlesticks) or back behind the broken line (charts) refutes it.
5. Rising and falling patterns remembered at once: weak ones do not speak against good ones. Of
   two alike, the head is flat if their confidences are less than ``conflict_margin`` apart, else
   the stronger speaks, its confidence times ``conflict``.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import bottleneck as bn
import numpy as np
from numba import njit

from quorum.features.candlestick_table import GROUPS, PATTERNS
from quorum.features.chart_geometry import CHART_PATTERNS
from quorum.features.mirror import LONG, SHORT, prices_of
from quorum.features.pattern_classes import GOOD
from quorum.features.series import recent
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints


class RulesConstants(NamedTuple):
    """What a pattern must have, and how far it is trusted."""

    volume: float = 1.5  # volume that confirms [x its mean]
    volume_candles: int = 1  # last candles of which one must have that volume [candles]
    level: float = 0.5  # distance at which a pattern stands at a level [ATR]
    reach: int = 3  # candles whose extreme must have reached the level [candles]
    textbook_low: float = 0.90  # confidence, plain textbook
    textbook_high: float = 0.95  # confidence, finest textbook
    good_low: float = 0.70  # confidence, plain good pattern
    good_high: float = 0.85  # confidence, finest good pattern
    weak: float = 0.60  # confidence, weak pattern
    no_volume: float = 0.85  # confidence without volume [x]
    textbook_probability: float = 0.68  # at a level of strength 0
    good_probability: float = 0.62  # at a level of strength 0
    weak_probability: float = 0.55  # at a level of strength 0
    level_probability: float = 0.12  # probability added by a level of strength 1
    agreement: float = 0.02  # confidence added by a further agreeing pattern
    most: float = 0.95  # highest confidence
    hold: int = 8  # how long a pattern is remembered [candles]
    decay: float = 0.97  # confidence kept per candle [x]
    conflict_margin: float = 0.10  # lead in confidence over patterns of the other direction
    conflict: float = 0.85  # confidence against patterns of the other direction [x]


class Evidence(NamedTuple):
    """What speaks for one direction at each candle, arrays of shape (n_candles,).

    ``confidence`` is 0 where no pattern counts; ``solid`` says that it is of at least the good
    class; ``stop`` is the price whose loss by a close refutes it; ``strength`` its level's.
    """

    confidence: Floats
    probability: Floats
    reason: Ints
    solid: Bools
    stop: Floats
    strength: Floats


class Memory(NamedTuple):
    """What is remembered of one direction's patterns, arrays of shape (n_candles,).

    ``age`` counts candles since the pattern; the rest is as in :class:`Evidence`.
    """

    confidence: Floats
    probability: Floats
    reason: Ints
    solid: Bools
    age: Ints


@njit(cache=True)
def _remember(
    close: Floats, side: float, evidence: Evidence,
    hold: int, decay: float, agreement: float, most: float, agreeing: int,
) -> tuple[Floats, Floats, Ints, Bools, Ints]:  # fmt: skip
    """Carry a side's patterns forward; the result has the fields of :class:`Memory`."""
    n = len(close)
    found, chances, masks = evidence.confidence, evidence.probability, evidence.reason
    sure, stop = evidence.solid, evidence.stop
    confidence = np.zeros(n)
    probability = np.full(n, 0.5)
    reason = np.zeros(n, np.int64)
    solid = np.zeros(n, np.bool_)
    age = np.zeros(n, np.int64)
    now, chance, mask, sound, last = 0.0, 0.5, 0, False, -1
    for t in range(n):
        now *= decay
        if now > 0 and (t - last > hold or side * (close[t] - stop[last]) < 0):
            now = 0.0
        new = found[t]
        if now > 0 and new > 0 and sound and sure[t]:
            # The stronger speaks for both; only the pattern before is named beside it.
            now = min(most, max(now, new) + agreement)
            chance, mask = max(chances[last], chances[t]), masks[last] | masks[t] | agreeing
            last = t
        elif new > 0 and new >= now:
            now, chance, mask, sound, last = new, chances[t], masks[t], sure[t], t
        if now > 0:
            confidence[t], probability[t], reason[t] = now, chance, mask
            solid[t], age[t] = sound, t - last
    return confidence, probability, reason, solid, age


class RulesHead(Head[HeadSettings]):
    """Candlestick and chart patterns at support and resistance (spec H4)."""

    name: ClassVar[str] = "rules"
    weight: ClassVar[float] = 0.09
    reasons: ClassVar[tuple[str, ...]] = (
        *GROUPS,
        *CHART_PATTERNS,
        "at_support",
        "at_resistance",
        "volume",
        "agreeing",
        "against",
        "held",
    )
    Settings = HeadSettings
    constants: RulesConstants = RulesConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; unavailable before the first ATR and the first confirmed swing."""
        s = self.constants
        rising, falling = (self._evidence(market, features, side) for side in (LONG, SHORT))
        ups = self._remembered(market, rising, LONG)
        downs = self._remembered(market, falling, SHORT)
        up = np.where(downs.solid & ~ups.solid, 0.0, ups.confidence)
        down = np.where(ups.solid & ~downs.solid, 0.0, downs.confidence)
        longs = up > down
        conflict = (up > 0) & (down > 0)
        clear = np.abs(up - down) >= np.where(conflict, s.conflict_margin, 0.0)
        age = np.where(longs, ups.age, downs.age)
        reason = np.where(longs, ups.reason, downs.reason)
        confidence = np.maximum(up, down) * np.where(conflict, s.conflict, 1.0)
        available = np.isfinite(features["atr"]) & (features.swings["base"].event >= 0)
        copied = ("candlestick_bull", "candlestick_bear", "chart_bull", "chart_bear")
        return make_votes(
            np.where(clear, np.sign(up - down), 0.0),
            np.where(longs, ups.probability, downs.probability),
            confidence,
            reason | self.mask({"against": conflict, "held": age > 0}),
            available,
            {
                "rising": up,
                "falling": down,
                **{name: features[name] for name in copied},
                "support_strength": rising.strength,
                "resistance_strength": falling.strength,
                "volume_ratio": features["volume_ratio"],
                "age": age.astype(np.float64),
            },
        )

    def _graded(self, score: Floats, strength: Floats, volume: Bools) -> tuple[Floats, Floats]:
        """Return confidence (0 without pattern) and probability from class, fine and level."""
        s = self.constants
        klass = score.astype(np.int64)
        fine = score - klass
        low = np.array([0.0, s.weak, s.good_low, s.textbook_low])
        high = np.array([0.0, s.weak, s.good_high, s.textbook_high])
        base = np.array([0.5, s.weak_probability, s.good_probability, s.textbook_probability])
        confidence = low[klass] + (high - low)[klass] * fine
        confidence *= np.where(volume, 1.0, s.no_volume)
        return confidence, base[klass] + s.level_probability * strength

    def _evidence(self, market: Market, features: Features, side: int) -> Evidence:
        """Weigh the patterns of one direction that end at each candle."""
        s = self.constants
        way, level = ("bull", "support") if side == LONG else ("bear", "resistance")
        extreme = recent(prices_of(market.candles, side).low, s.reach, bn.move_min) * side
        ratio = recent(features["volume_ratio"], s.volume_candles, bn.move_max)
        volume = ratio >= s.volume
        at_level = side * (extreme - features[level]) <= s.level * features["atr_unit"]
        candle = np.where(at_level, features[f"candlestick_{way}"], 0.0)
        chart = features[f"chart_{way}"]
        strength = np.where(at_level, features[f"{level}_strength"], 0.0)
        # Swings on the chart pattern's own line are its touches: they are in its quality.
        own = np.maximum(strength, chart - np.floor(chart))
        candle_confidence, candle_chance = self._graded(candle, strength, volume)
        chart_confidence, chart_chance = self._graded(chart, own, volume)
        charted = chart_confidence > candle_confidence
        both = (candle >= GOOD) & (chart >= GOOD)
        confidence = np.maximum(candle_confidence, chart_confidence)
        bits = np.array([0, *(self.bit(p.group) for p in PATTERNS)])
        chart_bits = np.array([0, *(self.bit(name) for name in CHART_PATTERNS)])
        codes = features[f"candlestick_{way}_code"].astype(np.int64)
        reason = np.where(candle > 0, bits[codes] | self.bit(f"at_{level}"), 0)
        reason |= chart_bits[features[f"chart_{way}_code"].astype(np.int64)]
        reason |= np.where(volume, self.bit("volume"), 0)
        reason |= np.where((candle > 0) & (chart > 0), self.bit("agreeing"), 0)
        return Evidence(
            np.where(both, np.minimum(confidence + s.agreement, s.most), confidence),
            np.maximum(candle_chance, chart_chance),
            reason,
            np.maximum(candle, chart) >= GOOD,
            np.where(charted, features[f"chart_{way}_stop"], extreme),
            np.where(charted, own, strength),
        )

    def _remembered(self, market: Market, evidence: Evidence, side: int) -> Memory:
        """Return what is remembered of one direction's patterns at each candle."""
        s, close = self.constants, prices_of(market.candles, LONG).close
        return Memory(
            *_remember(
                close, float(side), evidence,
                s.hold, s.decay, s.agreement, s.most, self.bit("agreeing"),
            )
        )  # fmt: skip
