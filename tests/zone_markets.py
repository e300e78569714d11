"""Candles with an order block, a fair-value gap and a balanced range drawn into them."""

from __future__ import annotations

from drawn_markets import Candle, path


def wave(n: int = 20) -> list[Candle]:
    """A quiet start with overlapping candles of range 1, so that the ATR is 1."""
    return path(*[100.0 + 0.5 * (k % 2) for k in range(n + 1)])


#: A swing high at 104.25, a fall to 99, one falling candle 99.5 -> 99, and the displacement.
RISE = path(100.0, 101.0, 102.0, 103.0, 104.0)
FALL = path(104.0, 103.0, 102.5, 102.0, 101.5, 101.0, 100.0, 99.5, 99.0)
BREAK = path(99.0, 102.0, 105.0)
BLOCK = [*wave(), *RISE, *FALL, *BREAK]

#: Candles leaving the gap 101-103: the first's high is 101, the third's low 103.
GAP = [
    *wave(),
    (100.0, 101.0, 99.5, 100.5),
    (100.5, 103.5, 100.5, 103.25),
    (103.25, 104.5, 103.0, 104.25),
]

#: A bearish gap 101-103 on the way down, then a bullish one 100.5-102.5 on the way up.
BALANCED = [
    *wave(),
    (104.0, 104.5, 103.0, 103.25),
    (103.25, 103.5, 100.75, 100.75),
    (100.75, 101.0, 99.5, 100.0),
    (100.0, 100.5, 99.75, 100.25),
    (100.25, 103.0, 100.25, 103.0),
    (103.0, 104.5, 102.5, 104.25),
]
