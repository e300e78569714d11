"""Trend: hold what rises, with as much as its volatility allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from quorum.candles import timeframe_ms
from quorum.market import Market
from quorum.playbooks.base import Place, Playbook, PlaybookSection, Quorate, Wish
from quorum.playbooks.forecast import trend_forecast
from quorum.playbooks.moving import ewm_deviation
from quorum.typing import Bools, Floats

PER_DAY = 6
PER_YEAR = 2190
VOLATILITY_SPAN = 180
VOLATILITY_FLOOR = 0.20
#: Yearly volatility aimed at by a forecast of 10 over all pairs, and what spreading adds.
TARGET_VOLATILITY = 0.12
DIVERSIFICATION = 1.25
#: Fewer pairs than this are counted as this many.
LEAST_PAIRS = 3
PAIR_CAP = 0.35
GROSS_CAP = 1.0
#: How far the weight held may be from the target, as a share of the larger of the two.
BUFFER = 0.25
DECIDED = "4h"


class TrendSettings(PlaybookSection):
    """Hold what rises, sized by its volatility (spec T-1)."""

    quorum: Quorate = Field(
        "veto", description="entries need a quorum, are refused by one on the other side, neither"
    )


class Trend(Playbook[TrendSettings]):
    """Long what has a rising 4h forecast, at a weight of equity that follows its volatility.

    It holds for weeks and wins few of its trades: what assumes a high win rate, a target or
    one size for all positions is not asked of it.
    """

    name: ClassVar[str] = "trend"
    published: ClassVar[tuple[str, ...]] = ("trend_forecast", "trend_volatility", "trend_weight")
    supersedes: ClassVar[bool] = True
    unguarded: ClassVar[frozenset[str]] = frozenset(
        {
            "loss_streak",
            "daily_trades",
            "plan_stopped",
            "no_target",
            "max_open_trades",
            "max_stake",
            "max_correlation",
            "cooldown_pair",
            "cooldown_direction",
            "cooldown_any",
        }
    )
    Settings = TrendSettings

    @classmethod
    def unfit(cls, timeframe: str) -> str | None:
        """Refuse candles as long as those it decides on."""
        short = timeframe_ms(timeframe) < timeframe_ms(DECIDED)
        return None if short else f"needs candles shorter than {DECIDED}"

    def columns(self, market: Market) -> dict[str, Floats]:
        """Return forecast, yearly volatility, and the weight before the other pairs are known.

        ``trend_weight`` is NaN where the pair is not alive: :func:`shared_weights` makes target
        weights of the weights of all pairs.
        """
        higher = market.higher.get(DECIDED)
        if higher is None:
            return {name: np.full(len(market), np.nan) for name in self.published}
        close = higher.candles.close
        forecast = trend_forecast(close, PER_DAY)
        returns = np.full(len(close), np.nan)
        returns[1:] = close[1:] / close[:-1] - 1.0
        deviation = ewm_deviation(returns, VOLATILITY_SPAN, VOLATILITY_SPAN)
        volatility = np.maximum(deviation * np.sqrt(PER_YEAR), VOLATILITY_FLOOR)
        rising = np.maximum(np.nan_to_num(forecast), 0.0)
        weight = rising / 10.0 * TARGET_VOLATILITY / volatility * DIVERSIFICATION
        return {
            name: higher.align(values)
            for name, values in zip(self.published, (forecast, volatility, weight), strict=True)
        }

    def enters(self, columns: Mapping[str, Floats]) -> Bools:
        """Return where the forecast is above zero."""
        return np.asarray(columns["trend_forecast"] > 0.0)

    def weights(self, pairs: Sequence[Mapping[str, float]], held: Floats, share: float) -> Floats:
        """Return the target weights of all pairs, whatever is held."""
        return share * shared_weights(np.array([pair["trend_weight"] for pair in pairs]))

    def wish(self, place: Place) -> Wish | None:
        """Enter, follow the target weight once it is far enough, leave with the forecast.

        What is held is worth its units at the close the target was decided on, so that a bot
        that looks again within the hour, or after a restart, decides the same.
        """
        held, forecast = place.lot.units, place.columns["trend_forecast"]
        if held > 0.0 and forecast <= 0.0:
            return Wish(-held, "trend_over")
        if not (forecast > 0.0 and place.equity > 0.0 and place.weight > 0.0):
            return None
        wanted = place.weight * place.equity / place.close
        if held == 0.0:
            return Wish(wanted, "trend")
        far = abs(wanted - held) > BUFFER * max(wanted, held)
        if not far or place.candle % timeframe_ms(DECIDED):
            return None
        return Wish(wanted - held, "trend" if wanted > held else "trend_trimmed")


def shared_weights(weights: Floats) -> Floats:
    """Return the target weight of each pair, as a share of equity.

    Parameters
    ----------
    weights : ndarray of shape (n_pairs,)
        ``trend_weight`` of every pair at one moment, NaN where it is not alive.
    """
    alive = max(int(np.count_nonzero(np.isfinite(weights))), LEAST_PAIRS)
    targets = np.minimum(np.nan_to_num(weights) / alive, PAIR_CAP)
    gross = float(targets.sum())
    return targets * (GROSS_CAP / gross) if gross > GROSS_CAP else targets
