"""The peer of the speed benchmark: an EMA cross without any callback."""

from __future__ import annotations

import talib.abstract as ta
from freqtrade.strategy import IStrategy
from pandas import DataFrame


class EmaCross(IStrategy):
    """Long when EMA 12 crosses over EMA 26, short when it crosses under."""

    INTERFACE_VERSION = 3

    can_short = True
    timeframe = "1h"
    startup_candle_count = 200
    minimal_roi = {"0": 0.04}  # noqa: RUF012 - the host's way
    stoploss = -0.05

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Add both averages."""
        dataframe["ema_fast"] = ta.EMA(dataframe, timeperiod=12)
        dataframe["ema_slow"] = ta.EMA(dataframe, timeperiod=26)
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Enter on the candle that crosses."""
        over = dataframe["ema_fast"] > dataframe["ema_slow"]
        crossed = over != over.shift(1, fill_value=False)
        dataframe.loc[over & crossed, "enter_long"] = 1
        dataframe.loc[~over & crossed, "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Leave when the averages cross back."""
        over = dataframe["ema_fast"] > dataframe["ema_slow"]
        dataframe.loc[~over, "exit_long"] = 1
        dataframe.loc[over, "exit_short"] = 1
        return dataframe
