"""Rows and columns of the arrays that the kernel of followed trades takes and gives."""

from __future__ import annotations

#: Rows of the matrix of what candles say.
(
    PRICE_OPEN,
    PRICE_HIGH,
    PRICE_LOW,
    PRICE_CLOSE,
    CHANDELIER_LONG,
    CHANDELIER_SHORT,
    NEAR_TURN,
    FAR_TURN,
    DIVERGENCE,
    SIGNAL,
    FUNDING,
) = range(11)
#: Columns of the matrix of what is asked for each entry.
ROW, DIRECTION, LIMIT, WAITS, STOP, RUNGS, TRAILING, LOTS, TARGET = range(9)
SHARE = TARGET + 3
#: Columns of the result.
(
    FILL_ROW,
    EXIT_ROW,
    REASON,
    EXIT_PRICE,
    PROFIT,
    BEST,
    WORST,
    FILLED_RUNGS,
    ORDER_END,
) = range(9)
RESULTS = 9
#: Rows of what a trade is worth.
AT_CLOSE, AT_WORST = range(2)
#: What is kept of a trade between candles: its stop, whether that was moved and as which fraction
#: of a price it was set, what is left of the position, profit and funding so far, and what the
#: closed candles said.
(
    STOP_NOW,
    MOVED,
    AWAY,
    LEFT,
    GAIN,
    PAID_TO,
    RUNGS_NOW,
    RUNGS_BEFORE,
    RESTING,
    HALVED_NOW,
    BEST_SEEN,
    CLOSE,
) = range(12)
STANDING = 12
