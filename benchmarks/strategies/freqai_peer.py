"""The peer of the training benchmark: FreqAI's usual indicators, a triple-barrier target."""

from __future__ import annotations

from typing import Any

import numpy as np
import talib.abstract as ta
from freqtrade.strategy import IStrategy
from pandas import DataFrame

#: Candles after which a label is flat, and the distance of its barriers in ATR.
HORIZON = 48
BARRIER = 2.0


class FreqaiPeer(IStrategy):
    """Long where the classifier says up, short where it says down; 98 features.

    Seven indicators of three periods and three readings, on 1h and 4h, of this candle and the
    one before: 96; and weekday and hour.
    """

    INTERFACE_VERSION = 3

    can_short = True
    timeframe = "1h"
    startup_candle_count = 60
    minimal_roi = {"0": 0.04}  # noqa: RUF012 - the host's way
    stoploss = -0.05

    def feature_engineering_expand_all(
        self, dataframe: DataFrame, period: int, metadata: dict, **kwargs: Any
    ) -> DataFrame:
        """Add what is computed for every period, timeframe and shift."""
        bands = ta.BBANDS(dataframe, timeperiod=period)
        dataframe["%-rsi-period"] = ta.RSI(dataframe, timeperiod=period)
        dataframe["%-mfi-period"] = ta.MFI(dataframe, timeperiod=period)
        dataframe["%-adx-period"] = ta.ADX(dataframe, timeperiod=period)
        dataframe["%-roc-period"] = ta.ROC(dataframe, timeperiod=period)
        dataframe["%-ema-period"] = dataframe["close"] / ta.EMA(dataframe, timeperiod=period)
        dataframe["%-width-period"] = (bands["upperband"] - bands["lowerband"]) / bands[
            "middleband"
        ]
        dataframe["%-volume-period"] = (
            dataframe["volume"] / dataframe["volume"].rolling(period).mean()
        )
        return dataframe

    def feature_engineering_expand_basic(
        self, dataframe: DataFrame, metadata: dict, **kwargs: Any
    ) -> DataFrame:
        """Add what is computed for every timeframe and shift."""
        dataframe["%-change"] = dataframe["close"].pct_change()
        dataframe["%-body"] = dataframe["close"] / dataframe["open"] - 1
        dataframe["%-range"] = dataframe["high"] / dataframe["low"] - 1
        return dataframe

    def feature_engineering_standard(
        self, dataframe: DataFrame, metadata: dict, **kwargs: Any
    ) -> DataFrame:
        """Add what is computed once."""
        dataframe["%-weekday"] = dataframe["date"].dt.dayofweek
        dataframe["%-hour"] = dataframe["date"].dt.hour
        return dataframe

    def set_freqai_targets(self, dataframe: DataFrame, metadata: dict, **kwargs: Any) -> DataFrame:
        """Label each candle by the barrier that comes first."""
        self.freqai.class_names = ["down", "flat", "up"]
        distance = BARRIER * ta.ATR(dataframe, timeperiod=14)
        label = np.full(len(dataframe), "flat", dtype=object)
        waiting = np.ones(len(dataframe), dtype=bool)
        for ahead in range(1, HORIZON + 1):
            up = (dataframe["high"].shift(-ahead) >= dataframe["close"] + distance).to_numpy()
            down = (dataframe["low"].shift(-ahead) <= dataframe["close"] - distance).to_numpy()
            label[waiting & up & ~down] = "up"
            label[waiting & down & ~up] = "down"
            waiting &= ~(up | down)
        dataframe["&-barrier"] = label
        return dataframe

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Train and predict, window by window."""
        return self.freqai.start(dataframe, metadata, self)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Enter where the class changes to up or down."""
        trusted = dataframe["do_predict"] == 1
        said = dataframe["&-barrier"]
        changed = said != said.shift(1)
        dataframe.loc[trusted & changed & (said == "up"), "enter_long"] = 1
        dataframe.loc[trusted & changed & (said == "down"), "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Leave on the opposite class."""
        dataframe.loc[dataframe["&-barrier"] == "down", "exit_long"] = 1
        dataframe.loc[dataframe["&-barrier"] == "up", "exit_short"] = 1
        return dataframe
