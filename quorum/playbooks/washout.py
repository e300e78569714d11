"""Washout: a bid far below a rising market, for those who must sell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.candles import timeframe_ms
from quorum.errors import DataError
from quorum.market import Market
from quorum.playbooks.base import Place, Playbook, PlaybookSection, Wish
from quorum.playbooks.forecast import trend_forecast
from quorum.playbooks.moving import ewm_deviation
from quorum.playbooks.trend import Trend
from quorum.typing import Bools, Floats

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
#: What all fills and bids together may be worth, as a share of equity.
OPEN_CAP = 1.0
#: Candles from the one that fills to the one at whose opening everything is sold.
HELD_CANDLES = 4


class WashoutSettings(PlaybookSection):
    """Bid far below what rises, out after four hours (spec W-1)."""

    budget: float = Field(
        0.5, gt=0, le=5, description="factor on its sizes: half until live fills are known [1]"
    )


class Washout(Playbook[WashoutSettings]):
    """A resting bid for the next hour, in markets whose last closed day says that they rise.

    A cascade fills several bids within minutes: that is its trade, no accident to guard against.
    """

    name: ClassVar[str] = "washout"
    published: ClassVar[tuple[str, ...]] = (
        "washout_forecast",
        "washout_sigma",
        "washout_bid",
        "washout_weight",
    )
    unguarded: ClassVar[frozenset[str]] = Trend.unguarded
    Settings = WashoutSettings

    @classmethod
    def unfit(cls, timeframe: str) -> str | None:
        """Refuse candles that are not hours."""
        return None if timeframe == "1h" else "needs 1h candles"

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

    def enters(self, columns: Mapping[str, Floats]) -> Bools:
        """Return where there is a bid for the next candle."""
        return np.isfinite(columns["washout_bid"])

    def weights(self, pairs: Sequence[Mapping[str, float]], held: Floats, share: float) -> Floats:
        """Return what each pair may bid for: what the cap leaves goes to the deepest bids first."""
        bids = share * np.nan_to_num([pair["washout_weight"] for pair in pairs])
        bids[held > 0.0] = 0.0
        weights, room = np.zeros(len(pairs)), OPEN_CAP - float(held.sum())
        depth = np.nan_to_num([pair["washout_sigma"] for pair in pairs])
        for pair in np.argsort(-depth, kind="stable"):
            if 0.0 < bids[pair] <= room:
                weights[pair] = bids[pair]
                room -= bids[pair]
        return weights

    def wish(self, place: Place) -> Wish | None:
        """Bid for the candle under way, or sell what was bought four candles before it."""
        lot, bid = place.lot, place.columns["washout_bid"]
        if lot.units > 0.0:
            due = place.candle - lot.candle >= HELD_CANDLES * timeframe_ms("1h")
            return Wish(-lot.units, "washout_over") if due else None
        if not (bid > 0.0 and place.weight > 0.0 and place.equity > 0.0):
            return None
        return Wish(place.weight * place.equity / bid, "washout", bid)
