"""Regime: what kind of market this is, with a probability for each kind (spec T2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import bottleneck
import numpy as np
import talib
from pydantic import Field

from quorum.candles import Candles
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.advice import with_regimes
from quorum.features.predictions import REGIME
from quorum.features.series import ratio, shifted, window_sum
from quorum.features.table import Features
from quorum.features.volatility import GARMAN_KLASS
from quorum.market import HigherTimeframe, Market
from quorum.typing import Bools, Floats

#: Names of the regimes; a regime's code is its place here (spec T2).
REGIMES = (
    "strong_bull",
    "weak_bull",
    "bull_range",
    "bear_range",
    "weak_bear",
    "strong_bear",
    "high_volatility",
    "low_volatility",
)
HIGH_VOLATILITY = REGIMES.index("high_volatility")
#: Regimes of high risk, whatever their probability.
DANGEROUS = ("strong_bear", "high_volatility")
#: Decimals that count: recursive averages remember their start beyond.
DECIMALS = 6
#: Slope of the logistic curve that comes closest to the normal distribution's.
PROBIT = 1.702
#: Before any evidence the eight regimes are equally likely: four trends against two ranges.
TREND_ODDS = math.log(2.0)


class View(IntEnum):
    """The coarse view, by the code in the ``regime_view`` column."""

    TRENDING = 0
    RANGING = 1
    VOLATILE = 2


class RegimeRules(NamedTuple):
    """Evidence for the regimes, in candles of the regime's timeframe.

    Regimes last days to weeks, hence the spans: two days of volatility, a week to call a trend
    strong, two weeks to tell up from down, and half a year (a dozen regimes and more) for what
    is usual. An edge is where the evidence is even; its width is how far the reading strays by
    chance.
    """

    volatility: int = 12  # current volatility [candles]
    reference: int = 1080  # usual volatility [candles]
    reference_min: int = 180  # candles needed to know the usual volatility [candles]
    high: float = 2.0  # volatility that is high, over the usual [factor]
    low: float = 0.5  # volatility that is low, over the usual [factor]
    volatility_softness: float = 0.12  # width of both volatility edges [log volatility]
    # ADX that speaks neither for a trend nor for a range: the median of a driftless walk with a
    # period of 14 [ADX]
    neutral: float = 22.0
    trend_softness: float = 9.0  # width of that edge: the walk's deviation [ADX]
    direction: int = 84  # move that tells up from down, also in a range [candles]
    strength: int = 42  # move that makes a trend strong [candles]
    strong: float = 2.0  # size of a strong move at usual volatility [standard deviations]
    strength_softness: float = 1.0  # width of the strong edge [standard deviations]
    smooth: int = 6  # probabilities are means of their last candles [candles]


class RegimeSettings(AdjusterSettings):
    """How the regime is read, and what it does (spec T2)."""

    timeframe: Literal["4h", "1d"] = Field("4h", description="candles the regime is read from")
    max_age: float = Field(
        2.0, ge=1, le=20, description="age at which its last candle is too old [candles]"
    )
    adx: ClassVar[int] = 14  # directional movement [candles]
    trending: float = Field(
        25.0,
        gt=0,
        le=100,
        description="ADX from which the coarse view is a trend [ADX]",
    )
    model: bool = Field(True, description="trust a trained classifier over the rules (M4 a)")
    rules: ClassVar[RegimeRules] = RegimeRules()  # evidence for the eight regimes
    trend_size: float = Field(1.2, gt=0, le=2, description="size factor in a trending market")
    range_size: float = Field(0.7, gt=0, le=2, description="size factor in a ranging market")
    volatile_size: float = Field(0.7, gt=0, le=2, description="size factor in a volatile market")
    sure: ClassVar[float] = 0.5  # largest probability under which the risk level is medium


@dataclass(frozen=True)
class RegimeReading:
    """A probability for every regime at every candle; what any classifier returns.

    Attributes
    ----------
    probabilities : ndarray of shape (n_candles, 8), float64
        In the order of ``REGIMES``; rows sum to 1, or are NaN where unknown.
    """

    probabilities: Floats

    @cached_property
    def known(self) -> Bools:
        """Per candle whether there is a reading, shape (n_candles,)."""
        known: Bools = np.isfinite(self.probabilities.sum(axis=1))
        return known

    @cached_property
    def regime(self) -> Floats:
        """Code of the most probable regime, NaN where unknown; shape (n_candles,)."""
        return np.where(self.known, self.probabilities.argmax(axis=1), np.nan)

    @cached_property
    def probability(self) -> Floats:
        """Probability of that regime, NaN where unknown; shape (n_candles,)."""
        largest: Floats = self.probabilities.max(axis=1)
        return np.where(self.known, largest, np.nan)


class RegimeReader(Protocol):
    """Anything that reads regimes: the rules here, a trained model later."""

    def read(self, market: Market, features: Features) -> RegimeReading:
        """Return the probabilities at every candle, causally."""


def _logistic(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)); NaN stays NaN."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), dtype=np.float64)


def _source(market: Market, timeframe: str) -> HigherTimeframe | None:
    """Return the candles regimes are read from, None where the market lacks them."""
    if market.candles.timeframe == timeframe:
        return HigherTimeframe(market.candles, np.arange(len(market), dtype=np.int64))
    return market.higher.get(timeframe)


def _spread(market: Market, source: HigherTimeframe, values: Floats, max_age: float) -> Floats:
    """Spread rows per source candle to base candles, NaN where the last one is too old."""
    if len(values) == 0:
        return np.full((len(market), *values.shape[1:]), np.nan)
    row = np.maximum(source.row, 0)
    out = values[row]
    age = market.close_time - source.candles.close_time[row]
    out[(source.row < 0) | (age >= max_age * source.candles.step)] = np.nan
    return out


def _adx(candles: Candles, period: int) -> Floats:
    """Return the average directional index (0-100), NaN before two periods have passed."""
    if len(candles) <= 2 * period:
        return np.full(len(candles), np.nan)
    adx = talib.ADX(candles.high, candles.low, candles.close, period)
    return np.round(adx, DECIMALS)


def _variance(candles: Candles) -> Floats:
    """Return the variance of the log price over each candle (Garman and Klass 1980)."""
    spread = np.log(candles.high / candles.low)
    body = np.log(candles.close / candles.open)
    return np.maximum(0.5 * spread**2 - GARMAN_KLASS * body**2, 0.0)


def _volatility(variance: Floats, window: int) -> Floats:
    """Return the mean volatility per candle over a window, NaN where price stood still."""
    mean = window_sum(variance, window) / window
    return np.sqrt(np.where(mean > 0, mean, np.nan))


@dataclass(frozen=True)
class RuleReader:
    """Soft rules on volatility, trend and direction (spec T2).

    1. Volatility of the last two days over its usual size: double is high, half is low.
    2. The rest is a trend or a range by the ADX, held against that of a driftless walk; without
       evidence a trend has odds of 2 to 1, four regimes against two.
    3. Direction: the probability that the drift of the last two weeks is upward, given its move
       in standard deviations of a driftless walk and no opinion beforehand. Ranges take their
       side from it too: a range within a rise is a bull range.
    4. A trend is strong when the week's move exceeds two standard deviations of a week at the
       *usual* volatility: a walk would do so in one week of twenty.
    5. The probabilities are the products along these branches, so they sum to 1 and bull and
       bear mirror each other; of the last day's the mean is taken.
    """

    settings: RegimeSettings

    def read(self, market: Market, features: Features) -> RegimeReading:
        """Return the probabilities; lag 0 after the close of a candle of the timeframe."""
        s = self.settings
        source = _source(market, s.timeframe)
        if source is None or len(source.candles) == 0:
            return RegimeReading(np.full((len(market), len(REGIMES)), np.nan))
        probabilities = self._probabilities(source.candles)
        return RegimeReading(_spread(market, source, probabilities, s.max_age))

    def _probabilities(self, c: Candles) -> Floats:
        """Return the probabilities on the source's own candles, shape (n_source, 8)."""
        s = self.settings.rules
        variance, price = _variance(c), np.log(c.close)
        volatility = _volatility(variance, s.volatility)
        usual = _usual(volatility, s)
        stress = np.log(volatility / usual)
        high = _logistic((stress - math.log(s.high)) / s.volatility_softness)
        low = _logistic((math.log(s.low) - stress) / s.volatility_softness)
        evidence = (_adx(c, self.settings.adx) - s.neutral) / s.trend_softness
        trend = _logistic(evidence + TREND_ODDS)
        drift = ratio(
            price - shifted(price, s.direction),
            _volatility(variance, s.direction) * math.sqrt(s.direction),
        )
        up = _logistic(PROBIT * drift)
        move = np.abs(price - shifted(price, s.strength)) / (usual * math.sqrt(s.strength))
        strong = _logistic((move - s.strong) / s.strength_softness)
        calm = (1.0 - high) * (1.0 - low)
        rising, falling = calm * up, calm * (1.0 - up)
        columns = (
            rising * trend * strong,
            rising * trend * (1.0 - strong),
            rising * (1.0 - trend),
            falling * (1.0 - trend),
            falling * trend * (1.0 - strong),
            falling * trend * strong,
            high * (1.0 - low),
            low,
        )
        known = np.isfinite(rising * trend * strong)
        return np.column_stack(
            [_smooth(np.where(known, column, np.nan), s.smooth) for column in columns]
        )


@dataclass(frozen=True)
class ModelReader:
    """A trained classifier's probabilities where there are any, the rules' elsewhere (M4 a)."""

    rules: RegimeReader

    def read(self, market: Market, features: Features) -> RegimeReading:
        """Return the probabilities at every candle; lag 0 after the close."""
        reading = self.rules.read(market, features)
        columns = [features.get(REGIME + name) for name in REGIMES]
        trained = [values for values in columns if values is not None]
        if len(trained) < len(REGIMES):
            return reading
        probabilities = np.column_stack(trained)
        known = np.isfinite(probabilities.sum(axis=1))
        return RegimeReading(np.where(known[:, None], probabilities, reading.probabilities))


def _smooth(values: Floats, window: int) -> Floats:
    """Return the mean of the last candles, rounded to what a shorter history also gives."""
    mean: Floats = window_sum(values, window) / window
    return np.round(mean, DECIMALS)


def _usual(volatility: Floats, rules: RegimeRules) -> Floats:
    """Return the median volatility of the reference span, which one wild week cannot move."""
    if len(volatility) == 0:
        return volatility
    window = min(rules.reference, len(volatility))
    least = min(rules.reference_min, rules.reference)
    if window < least:
        return np.full(len(volatility), np.nan)
    median: Floats = bottleneck.move_median(volatility, window, min_count=least)
    return median


#: Probability from which a regime is told with a signal.
WORTH_TELLING = 0.01
#: What suits the coarse view of a market.
PLAYBOOK_OF = {View.TRENDING: "trend", View.RANGING: "range", View.VOLATILE: "washout"}


class Regime(Adjuster[RegimeSettings]):
    """Larger in a trend, smaller in a range and in a wild market (spec T2)."""

    name: ClassVar[str] = "regime"
    published: ClassVar[tuple[str, ...]] = (
        "regime",
        "regime_probability",
        "regime_view",
        "regime_adx",
        *(f"regime_{name}" for name in REGIMES),
    )
    Settings = RegimeSettings

    def reader(self) -> RegimeReader:
        """Return what reads the regimes: a trained classifier where there is one."""
        rules = RuleReader(self.settings)
        return ModelReader(rules) if self.settings.model else rules

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the regime columns (spec T2); lag 0 after the close of a 4h candle.

        ``regime`` (code 0-7, the place in ``REGIMES``), ``regime_probability`` (its own, 0-1),
        ``regime_view`` (code of :class:`View`: volatile where high volatility is the most
        probable regime, else trending from an ADX of 25, else ranging), ``regime_adx`` (0-100)
        and ``regime_<name>``, the probability of each of the eight.
        """
        read = self.reader().read(market, features).probabilities
        reading = RegimeReading(with_regimes(read, features))
        s = self.settings
        source = _source(market, s.timeframe)
        adx = np.full(len(market), np.nan)
        if source is not None:
            adx = _spread(market, source, _adx(source.candles, s.adx), s.max_age)
        view = np.where(adx >= s.trending, float(View.TRENDING), float(View.RANGING))
        view[np.isnan(adx) | ~reading.known] = np.nan
        view[reading.regime == HIGH_VOLATILITY] = View.VOLATILE
        return {
            "regime": reading.regime,
            "regime_probability": reading.probability,
            "regime_view": view,
            "regime_adx": adx,
            **{
                f"regime_{name}": np.ascontiguousarray(reading.probabilities[:, code])
                for code, name in enumerate(REGIMES)
            },
        }

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return the size factor of the coarse view, the regime and its risk level."""
        code, view = row["regime"], row["regime_view"]
        if math.isnan(code):
            return Effect()
        regime = REGIMES[int(code)]
        facts: dict[str, Any] = {
            "regime": regime,
            "risk_level": self.risk_level(regime, row["regime_probability"]),
            "regime_probabilities": {
                name: round(row[f"regime_{name}"], 3)
                for name in REGIMES
                if row[f"regime_{name}"] >= WORTH_TELLING
            },
        }
        if math.isnan(view):
            return Effect(facts=facts)
        facts["regime_playbook"] = PLAYBOOK_OF[View(int(view))]
        s = self.settings
        name, factor = {
            View.TRENDING: ("regime_trend", s.trend_size),
            View.RANGING: ("regime_range", s.range_size),
            View.VOLATILE: ("regime_volatile", s.volatile_size),
        }[View(int(view))]
        return Effect(reasons={} if factor == 1.0 else {name: factor}, facts=facts)

    def risk_level(self, regime: str, probability: float) -> str:
        """Return ``high``, ``medium`` or ``low`` (spec T2)."""
        if regime in DANGEROUS:
            return "high"
        return "medium" if probability < self.settings.sure else "low"
