"""Order types: what rests, what goes to the market, what protects when the bot is away."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup


def order_types(setup: Setup) -> Iterator[Finding]:
    """Targets must rest as limits, stops must fill."""
    types = setup.strategy.values.get("order_types") if setup.strategy else None
    types = types or setup.value("order_types", {})
    source = f"({setup.source('order_types')})" if "order_types" in setup.config else "(default)"
    good = True
    if types.get("exit", "limit") != "limit":
        good = False
        yield Finding(
            Level.PROBLEM,
            "exits go to the market: every rung of the ladder is sold at once",
            f"order_types.exit = {types.get('exit')!r} {source}",
            'set "exit": "limit"',
        )
    if types.get("entry", "limit") != "limit":
        yield Finding(
            Level.WARNING,
            "entries go to the market: none waits for a pullback",
            f"order_types.entry = {types.get('entry')!r} {source}",
            'set "entry": "limit"',
        )
    if types.get("stoploss", "market") != "market":
        yield Finding(
            Level.WARNING,
            "a stop that is a limit order may not fill when it is needed most",
            f"order_types.stoploss = {types.get('stoploss')!r} {source}",
            'set "stoploss": "market"',
        )
    if not types.get("stoploss_on_exchange", False):
        yield Finding(
            Level.HINT if setup.dry_run else Level.WARNING,
            "stops live in the bot only: while it is down nothing protects an open trade",
            f"order_types.stoploss_on_exchange = {types.get('stoploss_on_exchange')!r} {source}",
            'set "stoploss_on_exchange": true before trading live',
        )
    if good:
        yield Finding(Level.OK, "targets rest in the book as limit orders")
