"""Markets drawn as legs from price to price, and their mirror images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from drawn_markets import market_of

from quorum.features.harmonics import HarmonicConstants, add_harmonics
from quorum.features.swings import SwingConstants, add_swings
from quorum.features.table import Features
from quorum.features.volatility import VolatilityConstants, add_volatility
from quorum.features.wyckoff import WyckoffConstants, add_wyckoff
from quorum.market import Market

Bar = tuple[float, float, float, float, float]


@dataclass
class Drawing:
    """Candles drawn one after the other: open, high, low, close, volume ratio."""

    bars: list[Bar] = field(default_factory=list)

    @property
    def last(self) -> float:
        return self.bars[-1][3]

    def bar(self, opened: float, high: float, low: float, close: float, volume: float) -> Drawing:
        self.bars.append((opened, high, low, close, volume))
        return self

    def leg(self, to: float, candles: int, *, volume: float = 1.0, wick: float = 0.0) -> Drawing:
        """Draw a straight move from the last close to ``to``."""
        start = self.last
        for i in range(1, candles + 1):
            a, b = start + (to - start) * (i - 1) / candles, start + (to - start) * i / candles
            self.bar(a, max(a, b) + wick, min(a, b) - wick, b, volume)
        return self

    def mirrored(self, sum_: float) -> Drawing:
        """Reflect every price around ``sum_ / 2``."""
        return Drawing(
            [(sum_ - o, sum_ - lo, sum_ - h, sum_ - c, v) for o, h, lo, c, v in self.bars]
        )

    def market(self) -> Market:
        return market_of([(*bar[:4], 100 * bar[4]) for bar in self.bars])


def start_at(price: float, volume: float = 1.0) -> Drawing:
    return Drawing([(price, price, price, price, volume)])


def own_features(
    market: Market,
    volume_ratio: np.ndarray | None = None,
    *,
    atr: float | None = None,
    harmonics: HarmonicConstants | None = None,
) -> Features:
    """Compute the Wyckoff and harmonic columns, with the volume ratio (and ATR) as drawn."""
    out = Features(len(market))
    if atr is None:
        out.begin("volatility")
        add_volatility(market, out, VolatilityConstants())
    else:
        out.add("atr_unit", np.full(len(market), atr), scale_free=False)
    ratio = market.candles.volume / 100 if volume_ratio is None else volume_ratio
    out.add("volume_ratio", ratio)
    add_swings(market, out, SwingConstants())
    add_wyckoff(market, out, WyckoffConstants())
    add_harmonics(market, out, harmonics or HarmonicConstants())
    return out


def without_volume(market: Market) -> Market:
    return replace(market, candles=replace(market.candles, volume=np.zeros(len(market))))


def accumulation(*, up: float = 1.3, down: float = 0.9) -> Drawing:
    """Draw a decline, a selling climax (row 71), the automatic rally and two more swings.

    It ends on support at 101 with the edges at 100.2 and 108.2; ATR is 1. More volume on the
    rallies (``up``) than on the reactions (``down``) means demand.
    """
    drawing = start_at(160).leg(104, 70, wick=0.2).bar(104, 104.2, 98, 100.5, 3.0)
    drawing.leg(108, 9, volume=up, wick=0.2)
    for low, high in ((100.4, 107.8), (100.8, 108.2)):
        drawing.leg(low, 9, volume=down, wick=0.2).leg(high, 9, volume=up, wick=0.2)
    return drawing.leg(101, 9, volume=down, wick=0.2)


#: Reflecting :func:`accumulation` around 130 gives a distribution between 151.8 and 159.8.
MIRROR = 260.0
