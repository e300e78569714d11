"""Washout: a bid far below a rising market, for those who must sell."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from quorum.errors import DataError
from quorum.market import Market
from quorum.playbooks.base import Playbook
from quorum.playbooks.forecast import trend_forecast
from quorum.playbooks.moving import ewm_deviation
from quorum.typing import Floats

SIGMA_SPAN = 168
#: Distance of the bid, in deviations of four hours.
DEPTH = 3.5
FOUR_HOURS = 2.0
#: Daily forecast above which a market rises enough to bid in.
LEAST_FORECAST = 4.0
#: Share of equity that a move of one daily deviation of one fill is worth.
RISK = 0.0035
DAILY_FLOOR = 0.01
FILL_CAP = 0.35


class Washout(Playbook):
    """A resting bid for the next hour, in markets whose last closed day says that they rise."""

    name: ClassVar[str] = "washout"
    published: ClassVar[tuple[str, ...]] = (
        "washout_forecast",
        "washout_sigma",
        "washout_bid",
        "washout_weight",
    )
    consensus: ClassVar[Literal["gate", "veto", "none"]] = "none"

    def columns(self, market: Market) -> dict[str, Floats]:
        """Return daily forecast, hourly deviation, the bid for the next candle and its weight.

        Bid and weight are NaN where nothing is bid.

        Raises
        ------
        DataError
            If the base candles are not hours.
        """
        if market.candles.timeframe != "1h":
            raise DataError(f"playbook washout: needs 1h candles, got {market.candles.timeframe}")
        close = market.candles.close
        daily = market.higher.get("1d")
        forecast = np.full(len(close), np.nan)
        if daily is not None:
            forecast = daily.align(trend_forecast(daily.candles.close, 1))
        sigma = ewm_deviation(np.diff(np.log(close), prepend=np.nan), SIGMA_SPAN, SIGMA_SPAN)
        bid = close * (1.0 - DEPTH * FOUR_HOURS * sigma)
        weight = np.minimum(RISK / np.maximum(sigma * np.sqrt(24.0), DAILY_FLOOR), FILL_CAP)
        bids = (forecast > LEAST_FORECAST) & (bid > 0)
        return {
            "washout_forecast": forecast,
            "washout_sigma": sigma,
            "washout_bid": np.where(bids, bid, np.nan),
            "washout_weight": np.where(bids, weight, np.nan),
        }
