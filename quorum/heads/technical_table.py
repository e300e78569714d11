"""The table of the technical head: which columns are read, how, and for which group (spec H1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from quorum.features.table import Features

TREND, MOMENTUM, VOLATILITY = 0, 1, 2
GROUPS = ("trend", "momentum", "volatility")


class Scale(NamedTuple):
    """How a column is read: ``(value - centre) / full`` is 0 when neutral, 1 when full."""

    centre: float = 0.0  # neutral value [column's unit]
    full: float = 1.0  # distance of a full reading [same unit]


class Scales(NamedTuple):
    """The scale of each kind of indicator.

    Oscillators are full at their textbook overbought line. Columns in ATR have no textbook
    line: they are full where about one candle in twenty of a liquid 1h market lies beyond.
    """

    ema_distance: Scale = Scale(full=0.45)  # close over an EMA [ATR x root of period]
    sma_distance: Scale = Scale(full=0.55)  # close over an SMA [ATR x root of period]
    ema_spread: Scale = Scale(full=0.25)  # fast over slow EMA [ATR x root of slow period]
    ema_spread_50_200: Scale = Scale(full=0.35)  # EMA 50 over 200 [ATR x root of 200]
    alignment: Scale = Scale(full=1.0)  # stack of close and SMAs [-1 to 1]
    macd: Scale = Scale(full=1.0)  # MACD line, signal [ATR]
    macd_histogram: Scale = Scale(full=0.3)  # MACD histogram [ATR]
    di_spread: Scale = Scale(full=20.0)  # +DI over -DI [points]
    adx: Scale = Scale(full=15.0, centre=10.0)  # trend strength: none at 10, full at 25 [points]
    trailing_room: Scale = Scale(full=1.0)  # distance to a trailing stop [stop widths]
    slope: Scale = Scale(full=0.75)  # slope of Hull, DEMA, TEMA [ATR x root of span]
    aroon: Scale = Scale(full=70.0)  # Aroon oscillator [points]
    ichimoku: Scale = Scale(full=1.0)  # Ichimoku signals [-1 to 1]
    rsi: Scale = Scale(full=20.0, centre=50.0)  # RSI; overbought at 70 [points]
    stochastic: Scale = Scale(full=30.0, centre=50.0)  # Stochastic %K; overbought at 80 [points]
    tsi: Scale = Scale(full=25.0)  # true strength index; overbought at 25 [points]
    williams: Scale = Scale(full=30.0, centre=-50.0)  # Williams %R; overbought at -20 [points]
    cci: Scale = Scale(full=100.0)  # CCI; overbought at 100 [points]
    cmo: Scale = Scale(full=50.0)  # CMO; overbought at 50 [points]
    ultimate: Scale = Scale(full=20.0, centre=50.0)  # Ultimate; overbought at 70 [points]
    ppo: Scale = Scale(full=0.25)  # PPO [ATR x root of slow period]
    trix: Scale = Scale(full=0.15)  # TRIX [ATR per candle]
    awesome: Scale = Scale(full=0.45)  # Awesome Oscillator [ATR x root of slow period]
    move: Scale = Scale(full=0.9)  # rate of change [ATR x root of period]
    percent_b: Scale = Scale(full=0.5, centre=0.5)  # Bollinger %B; full at the band
    keltner: Scale = Scale(full=1.0)  # Keltner position; full at the line
    donchian: Scale = Scale(full=0.5, centre=0.5)  # Donchian position; full at the extreme
    # volatility over its mean; none at 0.75, full at 1.25
    expansion: Scale = Scale(full=0.5, centre=0.75)
    mass_reversal: Scale = Scale(full=1.0)  # fading reversal signal [-1 to 1]
    vwap: Scale = Scale(full=2.0)  # close over VWAP [ATR]
    cmf: Scale = Scale(full=0.2)  # Chaikin money flow [-1 to 1]
    obv_slope: Scale = Scale(full=0.3)  # slope of OBV [share of volume]


@dataclass(frozen=True)
class Indicator:
    """One row of the table: which column is read, how, and for which group.

    Attributes
    ----------
    column : str
        Feature column; a name that ends with ``*`` stands for every such column (but not for
        those with a row of their own).
    group : int
        ``TREND``, ``MOMENTUM`` or ``VOLATILITY``.
    scale : str
        Field of :class:`Scales`.
    core : bool, default False
        Whether it is one of the spec's 25 core indicators or a variation.
    exhausts : bool, default False
        Whether a reading beyond full is overstretched and says less again.
    strength : str, default ""
        Column without a direction of its own (ADX, band width) that weakens the reading.
    strength_scale : str, default ""
        How that column is read: nothing is said at its centre, all when full.
    fires : bool, default False
        Whether 0 means "no signal": the indicator is then silent rather than neutral.
    """

    column: str
    group: int
    scale: str
    core: bool = False
    exhausts: bool = False
    strength: str = ""
    strength_scale: str = ""
    fires: bool = False

    @property
    def name(self) -> str:
        """What the indicator is called: its column, and what weakens it."""
        return f"{self.column}@{self.strength}" if self.strength else self.column


INDICATORS: tuple[Indicator, ...] = (
    # Trend: the price's side of an average or a stop, and by how much.
    Indicator("ema_spread_12_26", TREND, "ema_spread", core=True),
    Indicator("sma_alignment", TREND, "alignment", core=True),
    Indicator("macd_histogram", TREND, "macd_histogram", core=True),
    Indicator("di_spread", TREND, "di_spread", core=True, strength="adx", strength_scale="adx"),
    Indicator("supertrend_room", TREND, "trailing_room", core=True),
    Indicator("hull_slope", TREND, "slope", core=True),
    Indicator("aroon_oscillator", TREND, "aroon", core=True),
    Indicator("dema_tema_slope", TREND, "slope", core=True),
    Indicator("ichimoku_score", TREND, "ichimoku", core=True),
    Indicator("ema_distance_*", TREND, "ema_distance"),
    Indicator("sma_distance_*", TREND, "sma_distance"),
    Indicator("ema_spread_50_200", TREND, "ema_spread_50_200"),
    Indicator("ema_spread_*", TREND, "ema_spread"),
    Indicator("macd", TREND, "macd"),
    Indicator("macd_signal", TREND, "macd"),
    Indicator("vwap_distance", TREND, "vwap"),
    # Momentum: confirmation above the middle line, less of it when overstretched.
    Indicator("rsi_14", MOMENTUM, "rsi", core=True, exhausts=True),
    Indicator("stochastic_k", MOMENTUM, "stochastic", core=True, exhausts=True),
    Indicator("tsi", MOMENTUM, "tsi", core=True, exhausts=True),
    Indicator("williams_r", MOMENTUM, "williams", core=True, exhausts=True),
    Indicator("cci", MOMENTUM, "cci", core=True, exhausts=True),
    Indicator("cmo", MOMENTUM, "cmo", core=True, exhausts=True),
    Indicator("ppo_atr", MOMENTUM, "ppo", core=True),
    Indicator("trix_atr", MOMENTUM, "trix", core=True),
    Indicator("ultimate", MOMENTUM, "ultimate", core=True, exhausts=True),
    Indicator("awesome", MOMENTUM, "awesome", core=True),
    Indicator("rsi_*", MOMENTUM, "rsi", exhausts=True),
    Indicator("roc_atr_*", MOMENTUM, "move"),
    Indicator("cmf", MOMENTUM, "cmf"),
    Indicator("obv_slope", MOMENTUM, "obv_slope"),
    # Volatility: the place in the bands; a widening market confirms the side it is on.
    Indicator("bollinger_percent_b", VOLATILITY, "percent_b", core=True, exhausts=True),
    Indicator("atr_move", VOLATILITY, "move", core=True),
    Indicator("donchian_position", VOLATILITY, "donchian", core=True),
    Indicator("keltner_position", VOLATILITY, "keltner", core=True),
    Indicator("mass_reversal", VOLATILITY, "mass_reversal", core=True, fires=True),
    Indicator("chandelier_room", VOLATILITY, "trailing_room", core=True),
    Indicator("bollinger_percent_b", VOLATILITY, "percent_b", strength="bollinger_expansion",
              strength_scale="expansion"),
    Indicator("atr_move", VOLATILITY, "move", strength="atr_expansion",
              strength_scale="expansion"),
)  # fmt: skip


def table(features: Features) -> list[Indicator]:
    """Return the rows whose columns exist, each ``*`` replaced by the columns it stands for."""
    named = {row.column for row in INDICATORS}
    rows = []
    for row in INDICATORS:
        if row.strength and row.strength not in features:
            continue
        if not row.column.endswith("*"):
            rows += [row] if row.column in features else []
            continue
        stem = row.column[:-1]
        rows += [
            Indicator(name, row.group, row.scale, row.core, row.exhausts)
            for name in features
            if name.startswith(stem) and name[len(stem) : len(stem) + 1].isdigit()
            and name not in named
        ]  # fmt: skip
    return rows
