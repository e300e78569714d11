"""The start-up history against what the exchange gives."""

from __future__ import annotations

import math
from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup


def startup(setup: Setup) -> Iterator[Finding]:
    """Count the requests per pair and timeframe, as the host does at start."""
    if setup.strategy is None:
        return
    timeframe = str(setup.strategy.values.get("timeframe"))
    wanted = int(setup.strategy.values.get("startup_candle_count", 0))
    if setup.exchange is None:
        yield Finding(Level.HINT, "start-up length not checked: the exchange is not known")
        return
    limit = setup.exchange.candle_limit(timeframe, "futures" if setup.futures else "spot")
    # One more for the candle that has not closed yet.
    calls = math.ceil((wanted + 1) / limit)
    where = f"startup_candle_count = {wanted}, {limit} {timeframe} candles per request"
    if calls > setup.limits.calls:
        yield Finding(
            Level.PROBLEM,
            f"the host refuses to start: {calls} requests per pair, {setup.limits.calls} allowed",
            where,
            "another exchange, or a longer timeframe",
        )
    else:
        yield Finding(Level.OK, f"{calls} requests per pair at start", where)
