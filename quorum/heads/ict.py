"""H5 ict (inner circle trader): liquidity, one-sided prices and the clock.

Stops are run, then price turns: the head votes with the turn. Every setup is an *event* (a sweep,
a tap of a zone, a reversal), stays alive for ``hold`` candles with decaying strength, and is void
once a candle closes beyond the extreme of the candle that made it.

1. The strengths of the live setups, weighted, are the evidence of each side; a swept pool of stops
   counts double, with a volume spike triple. The balance of evidence gives direction and
   probability.
2. The best live setup of that side gives the confidence: a band per kind of setup, and within it
   the setup's own quality and how many others agree.
3. Opposing evidence lowers the confidence, and the New York clock multiplies it. The clock is that
   of the candle at hand, not of the event: a setup is worth taking when the market is awake.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit

from quorum.features.mirror import LONG, SHORT, Prices, prices_of
from quorum.features.series import ratio
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints

#: The kinds of setup, in the order of the rows below and of :meth:`IctConstants.setups`.
SETUPS = (
    "sweep_volume", "sweep", "optimal_entry", "judas", "order_block", "breaker", "gap", "balanced",
)  # fmt: skip
SWEEP_VOLUME, SWEEP, OPTIMAL_ENTRY = range(3)
KILL_ZONES = ("london_kill_zone", "ny_kill_zone", "silver_bullet")
#: Reason codes per kind of setup, long and short.
CODES: dict[int, tuple[str, ...]] = {
    LONG: (
        "sweep_low", "sweep_low", "ote_long", "judas_long",
        "ob_bull", "breaker_bull", "fvg_bull", "bpr_bull",
    ),
    SHORT: (
        "sweep_high", "sweep_high", "ote_short", "judas_short",
        "ob_bear", "breaker_bear", "fvg_bear", "bpr_bear",
    ),
}  # fmt: skip


class Setup(NamedTuple):
    """One kind of setup: how much it counts, and the confidence it is worth."""

    weight: float = 1.0  # weight in the evidence
    low: float = 0.6  # confidence at quality 0 [0-1]
    high: float = 0.7  # confidence at quality 1 [0-1]


class Clock(NamedTuple):
    """Time multipliers on the confidence."""

    silver_bullet: float = 1.0  # in a silver bullet hour [factor]
    new_york: float = 0.95  # in the New York kill zone [factor]
    london: float = 0.90  # in the London kill zone [factor]
    outside_near: float = 0.7  # just outside a kill zone [factor]
    outside_far: float = 0.5  # far outside them [factor]
    fade: float = 3.0  # distance that is far outside [h]


class Quality(NamedTuple):
    """What a setup of full quality looks like."""

    sweep_depth: float = 0.5  # wick through the level [ATR]
    sweep_pool: float = 3.0  # swings in the pool [swings]
    sweep_volume: float = 3.0  # volume of the sweep [mean volume]
    sweet_spot: float = 0.705  # best entry retracement [fraction]
    sweet_width: float = 0.085  # distance worth nothing [fraction]
    impulse: float = 8.0  # size of the impulse leg [ATR]
    judas_depth: float = 0.75  # false run beyond the range [ATR]
    confluence: float = 0.25  # quality added per other kind of setup that agrees [0-1]


class IctConstants(NamedTuple):
    """Settings of the ICT head."""

    # liquidity sweep with a volume spike
    sweep_volume: Setup = Setup(weight=3.0, low=0.80, high=0.95)
    sweep: Setup = Setup(weight=2.0, low=0.70, high=0.80)  # liquidity sweep without one
    # optimal trade entry in a kill zone
    optimal_entry: Setup = Setup(weight=1.0, low=0.85, high=0.95)
    # optimal trade entry outside of one
    optimal_entry_outside: Setup = Setup(weight=1.0, low=0.70, high=0.80)
    judas: Setup = Setup(weight=1.5, low=0.70, high=0.85)  # Judas swing
    order_block: Setup = Setup(weight=1.0, low=0.65, high=0.80)  # fresh order block tapped
    breaker: Setup = Setup(weight=1.0, low=0.65, high=0.80)  # breaker block met
    gap: Setup = Setup(weight=1.0, low=0.60, high=0.75)  # fair-value gap tapped
    balanced: Setup = Setup(weight=0.5, low=0.60, high=0.70)  # balanced price range tapped
    clock: Clock = Clock()
    quality: Quality = Quality()
    hold: int = 6  # life of a setup after its event [candles]
    decay: float = 0.97  # strength kept per candle [factor]
    void: float = 0.25  # close beyond the event's extreme that voids it [ATR]
    prior: float = 1.0  # doubt: weight on neither side in the balance
    min_balance: float = 0.1  # balance of evidence needed for a direction [0-1]
    max_probability: float = 0.90  # probability at undisputed evidence [0-1]
    conflict: float = 0.5  # confidence lost per share of evidence on the other side [0-1]

    def setups(self) -> tuple[Setup, ...]:
        """Return the kinds of setup in the order of ``SETUPS``."""
        return tuple(getattr(self, name) for name in SETUPS)


class Side(NamedTuple):
    """What speaks for one side: per candle the evidence, the best confidence and who they are."""

    evidence: Floats
    confidence: Floats
    reason: Ints


@njit(cache=True)
def _held(
    quality: Floats, low: Floats, close: Floats, slack: Floats, hold: int, decay: float
) -> tuple[Floats, Floats]:
    """Strength and quality of the setup alive at each candle, per row; strength 0 where none."""
    rows, n = quality.shape
    strength = np.zeros((rows, n))
    held = np.zeros((rows, n))
    for k in range(rows):
        now, kept, stop, age = 0.0, 0.0, 0.0, 0
        for t in range(n):
            age += 1
            now *= decay
            if age > hold or close[t] < stop:
                now = 0.0
            # The better of a new setup and what is left of the old one.
            if quality[k, t] >= 0.0 and (now == 0.0 or quality[k, t] >= kept * now):
                now, kept, stop, age = 1.0, quality[k, t], low[t] - slack[t], 0
            strength[k, t] = now
            held[k, t] = kept if now > 0.0 else 0.0
    return strength, held


def _unit(values: Floats) -> Floats:
    """Clip to 0-1; what is not known is worth half."""
    return np.nan_to_num(np.clip(values, 0.0, 1.0), nan=0.5)


class IctHead(Head[HeadSettings]):
    """Liquidity sweeps, optimal trade entry, gaps, blocks, Judas swings and the clock."""

    name: ClassVar[str] = "ict"
    weight: ClassVar[float] = 0.13
    reasons: ClassVar[tuple[str, ...]] = (
        "sweep_low", "sweep_high", "volume_spike", "ote_long", "ote_short", "judas_long",
        "judas_short", "ob_bull", "ob_bear", "breaker_bull", "breaker_bear", "fvg_bull",
        "fvg_bear", "bpr_bull", "bpr_bear", "discount", "premium", *KILL_ZONES,
    )  # fmt: skip
    Settings = HeadSettings
    constants: IctConstants = IctConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Vote with the better evidenced side; abstain before the first swings are confirmed."""
        available = (
            np.isfinite(features["atr"])
            & np.isfinite(features["swing_high"])
            & np.isfinite(features["swing_low"])
        )
        long, short = (self._side(market, features, side) for side in (LONG, SHORT))
        both = long.evidence + short.evidence
        balance = (long.evidence - short.evidence) / (both + self.constants.prior)
        direction = np.where(np.abs(balance) >= self.constants.min_balance, np.sign(balance), 0.0)
        opposing = ratio(np.minimum(long.evidence, short.evidence), both, 0.0)
        setup = np.where(direction > 0, long.confidence, short.confidence)
        setup = setup * (1.0 - self.constants.conflict * opposing)
        zones = {zone: features[zone] > 0 for zone in KILL_ZONES}
        multiplier = self._clock(zones, features["kill_zone_distance"])
        return make_votes(
            direction,
            0.5 + (self.constants.max_probability - 0.5) * np.abs(balance),
            setup * multiplier,
            np.where(direction > 0, long.reason, short.reason) | self.mask(zones),
            available,
            {
                "bull_evidence": long.evidence,
                "bear_evidence": short.evidence,
                "setup_confidence": np.where(direction == 0, 0.0, setup),
                "time_multiplier": multiplier,
                "retracement": features["retracement"],
                "sweep_depth": features["sweep_low"] - features["sweep_high"],
            },
        )

    def _side(self, market: Market, features: Features, side: int) -> Side:
        """Weigh what speaks for one side."""
        s = self.constants
        prices = prices_of(market.candles, side)
        strength, quality = _held(
            self._qualities(prices, features, side), prices.low, prices.close,
            s.void * features["atr_unit"], s.hold, s.decay,
        )  # fmt: skip
        # Both rows of sweeps are one kind of setup.
        swept = (strength[SWEEP_VOLUME] > 0) | (strength[SWEEP] > 0)
        others = swept + (strength[SWEEP + 1 :] > 0).sum(axis=0) - 1.0
        quality = np.clip(quality + s.quality.confluence * others, 0.0, 1.0)
        evidence = np.zeros(len(market))
        confidence = np.zeros(len(market))
        flags: dict[str, Bools] = {}
        outside = ~np.any([features[zone] > 0 for zone in KILL_ZONES], axis=0)
        for row, setup in enumerate(s.setups()):
            low, high = np.full(len(market), setup.low), np.full(len(market), setup.high)
            weight = np.full(len(market), setup.weight)
            if row == OPTIMAL_ENTRY:
                low[outside] = s.optimal_entry_outside.low
                high[outside] = s.optimal_entry_outside.high
                weight[outside] = s.optimal_entry_outside.weight
            evidence += weight * strength[row]
            worth = (low + (high - low) * quality[row]) * strength[row]
            confidence = np.maximum(confidence, worth)
            code, alive = CODES[side][row], strength[row] > 0
            flags[code] = flags[code] | alive if code in flags else alive
        flags["volume_spike"] = strength[SWEEP_VOLUME] > 0
        cheap = side * (features["premium"] - 0.5) < 0
        flags["discount" if side == LONG else "premium"] = cheap
        return Side(evidence, confidence, self.mask(flags))

    def _qualities(self, prices: Prices, features: Features, side: int) -> Floats:
        """Quality 0-1 of the setup each candle makes, per kind, NaN where it makes none."""
        q = self.constants.quality
        bull, level, word = ("bull", "low", "long") if side == LONG else ("bear", "high", "short")
        rejection = _unit(ratio(prices.close - prices.low, prices.high - prices.low))
        premium = features["premium"]
        discount = _unit(1.0 - premium if side == LONG else premium)
        depth, volume = features[f"sweep_{level}"], features["volume_ratio"]
        sweep = (
            _unit(depth / q.sweep_depth)
            + _unit((features[f"sweep_{level}_pool"] - 1.0) / (q.sweep_pool - 1.0))
            + rejection
        )
        spike = features["volume_spike"] > 0
        aim = _unit(1.0 - np.abs(features["retracement"] - q.sweet_spot) / q.sweet_width)
        entry = (aim + _unit(features["impulse_size"] / q.impulse) + rejection) / 3.0
        judas = features[f"judas_{word}"]
        zone = 0.5 * (rejection + discount)
        made = (
            ((depth > 0) & spike, (sweep + _unit(volume / q.sweep_volume)) / 4.0),
            ((depth > 0) & ~spike, sweep / 3.0),
            (features["optimal_entry"] == side, entry),
            (judas > 0, 0.5 * (_unit(judas / q.judas_depth) + rejection)),
            (features[f"{bull}_ob_tap"] > 0, zone),
            (features[f"{bull}_breaker"] > 0, zone),
            (features[f"{bull}_gap_tap"] > 0, zone),
            (features[f"{bull}_bpr_tap"] > 0, zone),
        )
        return np.array([np.where(event, quality, np.nan) for event, quality in made])

    def _clock(self, zones: dict[str, Bools], distance: Floats) -> Floats:
        """Return the time multiplier; outside the zones it fades with the distance to them (h)."""
        c = self.constants.clock
        far = np.clip(distance / c.fade, 0.0, 1.0)
        multiplier = c.outside_near + (c.outside_far - c.outside_near) * far
        multiplier[np.any(list(zones.values()), axis=0)] = 0.0
        for inside, factor in zip(
            zones.values(), (c.london, c.new_york, c.silver_bullet), strict=True
        ):
            multiplier = np.where(inside, np.maximum(multiplier, factor), multiplier)
        return multiplier
