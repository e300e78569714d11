"""Trend: hold what rises, with as much as its volatility allows."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from quorum.market import Market
from quorum.playbooks.base import Playbook
from quorum.playbooks.forecast import trend_forecast
from quorum.playbooks.moving import ewm_deviation
from quorum.typing import Floats

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


class Trend(Playbook):
    """Long what has a rising 4h forecast, at a weight of equity that follows its volatility."""

    name: ClassVar[str] = "trend"
    published: ClassVar[tuple[str, ...]] = ("trend_forecast", "trend_volatility", "trend_weight")
    consensus: ClassVar[Literal["gate", "veto", "none"]] = "veto"

    def columns(self, market: Market) -> dict[str, Floats]:
        """Return forecast, yearly volatility, and the weight before the other pairs are known.

        ``trend_weight`` is NaN where the pair is not alive: :func:`shared_weights` makes target
        weights of the weights of all pairs.
        """
        higher = market.higher.get("4h")
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
