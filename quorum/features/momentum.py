"""Momentum: oscillators and rates of change."""

from __future__ import annotations

from math import sqrt

import numpy as np
import talib
from pydantic import Field

from quorum.candles import Candles
from quorum.features.table import Features
from quorum.features.trend import Period
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Floats


class MomentumSettings(Section):
    """Periods of the momentum columns."""

    rsi: tuple[Period, ...] = Field(
        (7, 14, 21, 28), description="relative strength indices [candles]"
    )
    roc: tuple[Period, ...] = Field((9, 12, 25), description="rates of change [candles]")
    stochastic: int = Field(14, ge=2, le=200, description="Stochastic range [candles]")
    stochastic_slow: int = Field(3, ge=1, le=50, description="smoothing of %K [candles]")
    stochastic_signal: int = Field(3, ge=1, le=50, description="smoothing of %D [candles]")
    tsi_slow: int = Field(25, ge=2, le=100, description="first smoothing of the TSI [candles]")
    tsi_fast: int = Field(13, ge=2, le=100, description="second smoothing of the TSI [candles]")
    williams: int = Field(14, ge=2, le=200, description="Williams %R [candles]")
    cci: int = Field(20, ge=2, le=200, description="commodity channel index [candles]")
    cmo: int = Field(14, ge=2, le=200, description="Chande momentum oscillator [candles]")
    ppo_fast: int = Field(12, ge=2, le=200, description="fast average of the PPO [candles]")
    ppo_slow: int = Field(26, ge=2, le=300, description="slow average of the PPO [candles]")
    trix: int = Field(15, ge=2, le=100, description="triple smoothing of TRIX [candles]")
    ultimate_fast: int = Field(7, ge=2, le=100, description="Ultimate, short [candles]")
    ultimate_middle: int = Field(14, ge=2, le=200, description="Ultimate, middle [candles]")
    ultimate_slow: int = Field(28, ge=2, le=300, description="Ultimate, long [candles]")
    awesome_fast: int = Field(5, ge=2, le=100, description="Awesome Oscillator, fast [candles]")
    awesome_slow: int = Field(34, ge=2, le=300, description="Awesome Oscillator, slow [candles]")
    move: int = Field(14, ge=2, le=200, description="move measured in ATR [candles]")


def true_strength(close: Floats, slow: int, fast: int) -> Floats:
    """Return the true strength index of William Blau, -100 to 100; 0 where nothing moved."""
    change = talib.MOM(close, 1)
    change_twice = talib.EMA(talib.EMA(change, slow), fast)
    size_twice = talib.EMA(talib.EMA(np.abs(change), slow), fast)
    out = np.where(np.isnan(size_twice), np.nan, 0.0)
    return 100.0 * np.divide(change_twice, size_twice, out=out, where=size_twice > 0)


def _add_oscillators(c: Candles, out: Features, settings: MomentumSettings) -> None:
    """Add what runs between fixed limits."""
    for period in dict.fromkeys(settings.rsi):
        out.add(f"rsi_{period}", talib.RSI(c.close, period))
    k, d = talib.STOCH(
        c.high,
        c.low,
        c.close,
        fastk_period=settings.stochastic,
        slowk_period=settings.stochastic_slow,
        slowd_period=settings.stochastic_signal,
    )
    out.add("stochastic_k", k)
    out.add("stochastic_d", d)
    out.add("tsi", true_strength(c.close, settings.tsi_slow, settings.tsi_fast))
    out.add("williams_r", talib.WILLR(c.high, c.low, c.close, settings.williams))
    out.add("cci", talib.CCI(c.high, c.low, c.close, settings.cci))
    out.add("cmo", talib.CMO(c.close, settings.cmo))
    ultimate = talib.ULTOSC(
        c.high,
        c.low,
        c.close,
        settings.ultimate_fast,
        settings.ultimate_middle,
        settings.ultimate_slow,
    )
    out.add("ultimate", ultimate)


def _add_rates(c: Candles, out: Features, settings: MomentumSettings) -> None:
    """Add what has none, in percent and in ATR."""
    unit = out["atr_unit"]
    unit_pct = 100.0 * unit / c.close
    slow = talib.EMA(c.close, settings.ppo_slow)
    ppo = out.add("ppo", 100.0 * (talib.EMA(c.close, settings.ppo_fast) / slow - 1.0))
    out.add("ppo_atr", ppo / (unit_pct * sqrt(settings.ppo_slow)))
    trix = out.add("trix", talib.TRIX(c.close, settings.trix))
    out.add("trix_atr", trix / unit_pct)
    middle = 0.5 * (c.high + c.low)
    awesome = talib.SMA(middle, settings.awesome_fast) - talib.SMA(middle, settings.awesome_slow)
    out.add("awesome", awesome / (unit * sqrt(settings.awesome_slow)))
    for period in dict.fromkeys(settings.roc):
        roc = out.add(f"roc_{period}", talib.ROC(c.close, period))
        out.add(f"roc_atr_{period}", roc / (unit_pct * sqrt(period)))
    move = talib.MOM(c.close, settings.move)
    out.add("atr_move", move / (unit * sqrt(settings.move)))


def add_momentum(market: Market, out: Features, settings: MomentumSettings) -> None:
    """Add oscillators and rates of change. Lag 0; all scale-free.

    Reads ``atr_unit`` of the volatility family.

    Bounded: ``rsi_<n>``, ``stochastic_k``, ``stochastic_d``, ``ultimate`` (0-100, middle 50),
    ``williams_r`` (-100 to 0), ``tsi``, ``cmo`` (-100 to 100). Unbounded: ``cci``; ``ppo``,
    ``trix``, ``roc_<n>`` [%]; ``ppo_atr``, ``roc_atr_<n>``, ``awesome``, ``atr_move`` [ATR times
    the root of the (slow) period]; ``trix_atr`` [ATR per candle].
    """
    c = market.candles
    _add_oscillators(c, out, settings)
    _add_rates(c, out, settings)
