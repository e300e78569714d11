"""Momentum: oscillators and rates of change."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import talib

from quorum.candles import Candles
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats


class MomentumConstants(NamedTuple):
    """Periods of the momentum columns."""

    rsi: tuple[int, ...] = (7, 14, 21, 28)  # relative strength indices [candles]
    roc: tuple[int, ...] = (9, 12, 25)  # rates of change [candles]
    stochastic: int = 14  # Stochastic range [candles]
    stochastic_slow: int = 3  # smoothing of %K [candles]
    stochastic_signal: int = 3  # smoothing of %D [candles]
    tsi_slow: int = 25  # first smoothing of the TSI [candles]
    tsi_fast: int = 13  # second smoothing of the TSI [candles]
    williams: int = 14  # Williams %R [candles]
    cci: int = 20  # commodity channel index [candles]
    cmo: int = 14  # Chande momentum oscillator [candles]
    ppo_fast: int = 12  # fast average of the PPO [candles]
    ppo_slow: int = 26  # slow average of the PPO [candles]
    trix: int = 15  # triple smoothing of TRIX [candles]
    ultimate_fast: int = 7  # Ultimate, short [candles]
    ultimate_middle: int = 14  # Ultimate, middle [candles]
    ultimate_slow: int = 28  # Ultimate, long [candles]
    awesome_fast: int = 5  # Awesome Oscillator, fast [candles]
    awesome_slow: int = 34  # Awesome Oscillator, slow [candles]
    move: int = 14  # move measured in ATR [candles]


def true_strength(close: Floats, slow: int, fast: int) -> Floats:
    """Return the true strength index of William Blau, -100 to 100; 0 where nothing moved."""
    change = talib.MOM(close, 1)
    change_twice = talib.EMA(talib.EMA(change, slow), fast)
    size_twice = talib.EMA(talib.EMA(np.abs(change), slow), fast)
    out = np.where(np.isnan(size_twice), np.nan, 0.0)
    return 100.0 * np.divide(change_twice, size_twice, out=out, where=size_twice > 0)


def _add_oscillators(c: Candles, out: Features, constants: MomentumConstants) -> None:
    """Add what runs between fixed limits."""
    for period in dict.fromkeys(constants.rsi):
        out.add(f"rsi_{period}", talib.RSI(c.close, period))
    k, d = talib.STOCH(
        c.high,
        c.low,
        c.close,
        fastk_period=constants.stochastic,
        slowk_period=constants.stochastic_slow,
        slowd_period=constants.stochastic_signal,
    )
    out.add("stochastic_k", k)
    out.add("stochastic_d", d)
    out.add("tsi", true_strength(c.close, constants.tsi_slow, constants.tsi_fast))
    out.add("williams_r", talib.WILLR(c.high, c.low, c.close, constants.williams))
    out.add("cci", talib.CCI(c.high, c.low, c.close, constants.cci))
    out.add("cmo", talib.CMO(c.close, constants.cmo))
    ultimate = talib.ULTOSC(
        c.high,
        c.low,
        c.close,
        constants.ultimate_fast,
        constants.ultimate_middle,
        constants.ultimate_slow,
    )
    out.add("ultimate", ultimate)


def _add_rates(c: Candles, out: Features, constants: MomentumConstants) -> None:
    """Add what has none, in percent and in ATR."""
    unit = out["atr_unit"]
    unit_pct = 100.0 * unit / c.close
    slow = talib.EMA(c.close, constants.ppo_slow)
    ppo = out.add("ppo", 100.0 * (talib.EMA(c.close, constants.ppo_fast) / slow - 1.0))
    out.add("ppo_atr", ppo / (unit_pct * sqrt(constants.ppo_slow)))
    trix = out.add("trix", talib.TRIX(c.close, constants.trix))
    out.add("trix_atr", trix / unit_pct)
    middle = 0.5 * (c.high + c.low)
    awesome = talib.SMA(middle, constants.awesome_fast) - talib.SMA(middle, constants.awesome_slow)
    out.add("awesome", awesome / (unit * sqrt(constants.awesome_slow)))
    for period in dict.fromkeys(constants.roc):
        roc = out.add(f"roc_{period}", talib.ROC(c.close, period))
        out.add(f"roc_atr_{period}", roc / (unit_pct * sqrt(period)))
    move = talib.MOM(c.close, constants.move)
    out.add("atr_move", move / (unit * sqrt(constants.move)))


def add_momentum(market: Market, out: Features, constants: MomentumConstants) -> None:
    """Add oscillators and rates of change. Lag 0; all scale-free.

    Reads ``atr_unit`` of the volatility family.

    Bounded: ``rsi_<n>``, ``stochastic_k``, ``stochastic_d``, ``ultimate`` (0-100, middle 50),
    ``williams_r`` (-100 to 0), ``tsi``, ``cmo`` (-100 to 100). Unbounded: ``cci``; ``ppo``,
    ``trix``, ``roc_<n>`` [%]; ``ppo_atr``, ``roc_atr_<n>``, ``awesome``, ``atr_move`` [ATR times
    the root of the (slow) period]; ``trix_atr`` [ATR per candle].
    """
    c = market.candles
    _add_oscillators(c, out, constants)
    _add_rates(c, out, constants)
