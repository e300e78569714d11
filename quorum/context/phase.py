"""Phase: where money goes across the whole market, and what that allows a pair (spec T3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from quorum.candles import DAY_MS, Candles
from quorum.context.base import Adjuster, AdjusterSettings, Effect
from quorum.features.advice import with_phases
from quorum.features.series import ratio, shifted, window_sum
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market
from quorum.typing import Floats, Ints

BITCOIN, ETHER = "BTC", "ETH"
#: Decimals that count: shares and scores carry the rounding of logarithms beyond.
DECIMALS = 9


class MarketPhase(IntEnum):
    """The phases, by the code in the ``phase`` column."""

    RISK_ON = 0
    RISK_OFF = 1
    ROTATION = 2
    UNCERTAIN = 3


class PhaseSettings(AdjusterSettings):
    """How the phase is read, and what it does (spec T3)."""

    days: ClassVar[int] = 30  # span of relative strength and trend [days]
    smooth: ClassVar[int] = 5  # both readings are means of their last days [days]
    broad: ClassVar[float] = 0.6  # share of alts ahead of bitcoin that is broad strength
    narrow: ClassVar[float] = 0.4  # share of alts ahead of bitcoin that is broad weakness
    # move of ETH/BTC over the span from which it has a trend [standard deviations]
    eth_btc: ClassVar[float] = 0.25
    min_coins: ClassVar[int] = 5  # alts needed to know a phase [coins]
    max_age: float = Field(
        30.0, ge=0, le=336, description="oldest usable reading after its day closed [h]"
    )
    leaders: ClassVar[int] = 1  # coins that count as the leader in a rotation [coins]
    risk_on_size: float = Field(0.65, gt=0, le=2, description="size factor in risk-on")
    risk_on_stop: ClassVar[float] = 0.8  # stop distance in risk-on: tighter stops [factor]
    risk_off_bitcoin_size: float = Field(
        0.45, gt=0, le=2, description="size factor of bitcoin in risk-off"
    )
    rotation_size: ClassVar[float] = 1.0  # size factor of a leader in rotation
    gate: bool = Field(
        False,
        description="refuse what the phase forbids; off, it is only sized down by ungated_size "
        "(on, about five of six signals of 2023-2025 are refused)",
    )
    ungated_size: float = Field(
        0.45, gt=0, le=1, description="size factor of what the phase forbids while the gate is off"
    )


#: Characters of a name that a number holds exactly.
LONGEST_NAME = 10


class Breadth(NamedTuple):
    """The whole market per day of bitcoin's candles.

    Attributes
    ----------
    known_at : ndarray of shape (n_days,), int64
        Close of each day, milliseconds since the epoch.
    phase : ndarray of shape (n_days,), float64
        Code of :class:`MarketPhase`, NaN where unknown.
    breadth : ndarray of shape (n_days,), float64
        Share of the alts that beat bitcoin over the span, 0-1.
    eth_btc : ndarray of shape (n_days,), float64
        Move of ETH/BTC over the span in its own standard deviations.
    ranked : ndarray of shape (n_coins, n_days), float64
        Log returns over the span of all coins, best first, NaN last.
    coins : ndarray of shape (n_days,), int64
        Coins ranked.
    leading : ndarray of shape (n_days,), float64
        The best of them, as :func:`name_code`; NaN where none is known.
    """

    known_at: Ints
    phase: Floats
    breadth: Floats
    eth_btc: Floats
    ranked: Floats
    coins: Ints
    leading: Floats


def _return_over(candles: Candles, days: Ints, span: int) -> Floats:
    """Return the log return over the ``span`` days that end with each day."""
    log: Floats = np.log(candles.close_on(days) / candles.close_on(days - span * DAY_MS))
    return np.round(log, DECIMALS)


def _trend(close: Floats, span: int) -> Floats:
    """Return the log move over ``span`` rows in standard deviations of a driftless walk."""
    log = np.log(close)
    step = log - shifted(log, 1)
    deviation = np.sqrt(np.maximum(window_sum(step * step, span), 0.0))
    return ratio(log - shifted(log, span), deviation)


def _mean(values: Floats, days: int) -> Floats:
    """Return the mean of the last days: a phase should not change with a single one."""
    return np.round(window_sum(values, days) / days, DECIMALS)


def _phases(breadth: Floats, eth_btc: Floats, settings: PhaseSettings) -> Floats:
    """Combine the two readings (spec T3).

    ======================  ==============  ==============  ==============
    alts ahead of bitcoin   ETH/BTC rises   without trend   ETH/BTC falls
    ======================  ==============  ==============  ==============
    most                    risk_on         uncertain       rotation
    about half              rotation        uncertain       rotation
    few                     rotation        uncertain       risk_off
    ======================  ==============  ==============  ==============

    Where both agree money enters or leaves the alts as a whole; where ether moves and the
    others do not go along, it changes places among them.
    """
    rises, falls = eth_btc >= settings.eth_btc, eth_btc <= -settings.eth_btc
    phase = np.where(rises | falls, float(MarketPhase.ROTATION), float(MarketPhase.UNCERTAIN))
    phase[rises & (breadth >= settings.broad)] = MarketPhase.RISK_ON
    phase[falls & (breadth <= settings.narrow)] = MarketPhase.RISK_OFF
    return np.where(np.isfinite(breadth) & np.isfinite(eth_btc), phase, np.nan)


def market_breadth(universe: Mapping[str, Candles], settings: PhaseSettings) -> Breadth | None:
    """Read the market's phase of every day from the daily candles of its coins.

    1. Log return of every coin over the span; the alts' share above bitcoin's is the breadth.
    2. ETH/BTC: its move over the span against the size of its daily moves.
    3. Average both over the last few days and combine them into a phase; unknown with fewer
       alts than ``min_coins`` on any of these days.

    Parameters
    ----------
    universe : mapping of base currency to Candles
        1d candles; cleaned, with their own beginnings and ends.
    settings : PhaseSettings

    Returns
    -------
    Breadth or None
        None without bitcoin or ether.
    """
    bitcoin, ether = universe.get(BITCOIN), universe.get(ETHER)
    if bitcoin is None or ether is None or len(bitcoin) == 0 or len(ether) == 0:
        return None
    days = bitcoin.time
    returns = {name: _return_over(c, days, settings.days) for name, c in universe.items()}
    lead = returns[BITCOIN]
    alts = np.vstack([values for name, values in returns.items() if name != BITCOIN])
    known = np.isfinite(alts) & np.isfinite(lead)
    count = known.sum(axis=0)
    enough = count >= settings.min_coins
    ahead = (known & (alts > lead)).sum(axis=0) / np.maximum(count, 1)
    breadth = _mean(np.where(enough, ahead, np.nan), settings.smooth)
    trend = _trend(ether.close_on(days) / bitcoin.close_on(days), settings.days)
    trend = _mean(trend, settings.smooth)
    everyone = np.vstack((np.where(known, alts, np.nan), lead))
    return Breadth(
        known_at=bitcoin.close_time,
        phase=_phases(breadth, trend, settings),
        breadth=breadth,
        eth_btc=trend,
        ranked=-np.sort(-everyone, axis=0),
        leading=_leading([*(n for n in universe if n != BITCOIN), BITCOIN], everyone),
        coins=(count + np.isfinite(lead)).astype(np.int64),
    )


def _leading(names: Sequence[str], returns: Floats) -> Floats:
    """Return the code of the name with the best return of every day, NaN where none is known."""
    codes = np.array([name_code(name) for name in names])
    known = np.isfinite(returns).any(axis=0)
    best = np.argmax(np.where(np.isfinite(returns), returns, -np.inf), axis=0)
    return np.where(known, codes[best], np.nan)


def name_code(name: str) -> float:
    """Return a coin's name as a number, NaN for one that is no number of base 36."""
    try:
        return float(int(name, 36)) if len(name) <= LONGEST_NAME else math.nan
    except ValueError:
        return math.nan


def coded_name(code: float) -> str:
    """Return the name behind :func:`name_code`."""
    return np.base_repr(int(code), 36)


def _leadership(own: Floats, market: Breadth, leaders: int) -> Floats:
    """Return +1 where ``own`` is among the best returns, -1 among the worst, NaN unknown.

    Ranked against the coins of the universe, to which a pair need not belong.
    """
    columns = np.arange(len(own))
    best = market.ranked[min(leaders, len(market.ranked)) - 1]
    worst = market.ranked[np.maximum(market.coins - leaders, 0), columns]
    side = (own >= best).astype(np.float64) - (own <= worst)
    known = np.isfinite(own) & np.isfinite(market.phase)
    return np.where(known, side, np.nan)


class Phase(Adjuster[PhaseSettings]):
    """Meets risk-on smaller and tighter, and keeps alts out where money does not go to them.

    In a rotation a long needs the market's leader, be it an alt or bitcoin, and a short the
    leader's mirror image, the laggard. In risk-off and in uncertain phases alts are refused on
    either side.
    """

    name: ClassVar[str] = "phase"
    published: ClassVar[tuple[str, ...]] = (
        "phase",
        "phase_leader",
        "phase_leading",
        "phase_alt",
        "phase_breadth",
        "phase_eth_btc",
    )
    Settings = PhaseSettings

    def columns(self, market: Market, features: Features) -> dict[str, Floats]:
        """Return the phase columns (spec T3); lag 0 after the close of each day (UTC).

        ``phase`` (code of :class:`MarketPhase`), ``phase_leader`` (+1 the market's strongest
        coin over the span, -1 its weakest, else 0), ``phase_leading`` (the strongest coin of the
        universe, its name as :func:`name_code`), ``phase_alt`` (0 for bitcoin, else 1),
        ``phase_breadth`` (0-1) and ``phase_eth_btc`` [standard deviations].
        """
        nothing = np.full(len(market), np.nan)
        out = dict.fromkeys(self.published, nothing)
        reading = market_breadth(market.universe, self.settings)
        if reading is None:
            return out
        daily = np.column_stack(
            (
                reading.phase,
                self._leader(market, reading),
                reading.leading,
                reading.breadth,
                reading.eth_btc,
            )
        )
        row = np.searchsorted(reading.known_at, market.close_time, side="right") - 1
        closed = np.maximum(row, 0)
        values = daily[closed]
        age = market.close_time - reading.known_at[closed]
        values[(row < 0) | (age > self.settings.max_age * HOUR_MS)] = np.nan
        names = ("phase", "phase_leader", "phase_leading", "phase_breadth", "phase_eth_btc")
        out.update(zip(names, np.ascontiguousarray(values.T), strict=True))
        out["phase"] = with_phases(out["phase"], features)
        alt = float(market.base != BITCOIN)
        out["phase_alt"] = np.where(np.isfinite(out["phase"]), alt, np.nan)
        return out

    def _leader(self, market: Market, reading: Breadth) -> Floats:
        """Return the pair's leadership per day, from the universe or from its own days."""
        own = market.universe.get(market.base)
        if own is None and "1d" in market.higher:
            own = market.higher["1d"].candles
        days = reading.known_at - DAY_MS
        unknown = np.full(len(days), np.nan)
        returns = unknown if own is None else _return_over(own, days, self.settings.days)
        return _leadership(returns, reading, self.settings.leaders)

    def effect(self, row: Mapping[str, float], direction: int) -> Effect:
        """Return what the phase does to a signal: factors and vetoes of spec T3."""
        code, alt = row["phase"], row["phase_alt"]
        if not (np.isfinite(code) and np.isfinite(alt)):
            return Effect()
        phase = MarketPhase(int(code))
        facts: dict[str, object] = {
            "market_phase": phase.name.lower(),
            "phase_confidence": self._confidence(phase, row["phase_eth_btc"]),
        }
        if np.isfinite(row["phase_leading"]):
            facts["market_leader"] = coded_name(row["phase_leading"])
        effect = self._effect(phase, bool(alt), row, direction, facts)
        action = "stay out" if effect.veto else "enter smaller" if effect.reasons else "enter"
        return replace(effect, facts={**effect.facts, "phase_action": action})

    def _confidence(self, phase: MarketPhase, eth_btc: float) -> float:
        """Return how clear the phase is, 0-1: how far ETH/BTC is beyond, or within, the limit."""
        limit = self.settings.eth_btc
        trend = abs(eth_btc) / limit if limit > 0 else 1.0
        clear = 1.0 - trend if phase is MarketPhase.UNCERTAIN else trend / 2.0
        return round(float(np.clip(clear, 0.0, 1.0)), 3)

    def _effect(
        self,
        phase: MarketPhase,
        alt: bool,
        row: Mapping[str, float],
        direction: int,
        facts: dict[str, object],
    ) -> Effect:
        """Return the factors and vetoes of a phase (spec T3)."""
        s = self.settings
        if phase is MarketPhase.RISK_ON:
            facts["stop_factor"] = s.risk_on_stop
            return Effect(reasons=_factor("phase_risk_on", s.risk_on_size), facts=facts)
        if phase is MarketPhase.RISK_OFF:
            if alt:
                return self._forbid("risk_off_alt", facts)
            return Effect(reasons=_factor("phase_risk_off", s.risk_off_bitcoin_size), facts=facts)
        if phase is MarketPhase.ROTATION:
            leader = row["phase_leader"]
            if np.isfinite(leader) and leader * direction <= 0:
                return self._forbid("not_the_leader", facts)
            return Effect(reasons=_factor("phase_rotation", s.rotation_size), facts=facts)
        return self._forbid("uncertain_alt", facts) if alt else Effect(facts=facts)

    def _forbid(self, reason: str, facts: Mapping[str, object]) -> Effect:
        """Refuse a signal, or size it down while the gate is off."""
        if self.settings.gate:
            return Effect(veto=reason, facts=facts)
        return Effect(reasons={reason: self.settings.ungated_size}, facts=facts)


def _factor(name: str, factor: float) -> dict[str, float]:
    """Return a factor by its name, nothing where it changes nothing."""
    return {} if factor == 1.0 else {name: factor}
