"""Guards: what they cannot see."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup

#: What is judged by the reference coin's candles alone.
BLIND = "the guards see no black swan, no stale and no crossed data"


def reference(setup: Setup) -> Iterator[Finding]:
    """The system guard looks at one coin; it need not be traded, but must be there."""
    system = setup.settings.guards.system
    if not system.enabled:
        yield Finding(
            Level.HINT,
            f"the system guard is off: {BLIND}",
            "quorum.guards.system.enabled = False",
            'remove "enabled": false, or the preset that sets it',
        )
        return
    markets = dict.fromkeys(f"{system.reference}/{pair.split('/', 1)[1]}" for pair in setup.pairs)
    where = f"quorum.guards.system.reference = {system.reference!r}: {', '.join(markets)}"
    listed = setup.exchange.listed() if setup.exchange is not None else None
    fix = "name a coin that is traded against the same currency"
    if listed is not None and markets and not any(market in listed for market in markets):
        yield Finding(Level.PROBLEM, f"{BLIND}: the coin they look at is not listed", where, fix)
        return
    spans = [s for s in setup.series if s.role == f"context {system.reference}"]
    if spans and not any(span.rows for span in spans):
        yield Finding(
            Level.WARNING,
            f"{BLIND} in a backtest: the coin they look at has no candles on disk",
            where,
            f"freqtrade download-data -p {' '.join(markets)} -t {setup.value('timeframe', '1h')}",
        )
        return
    yield Finding(Level.OK, f"the guards look at {system.reference}, traded or not", where)
