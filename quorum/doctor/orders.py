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
    at_exchange = bool(types.get("stoploss_on_exchange", False))
    spot = setup.value("trading_mode", "spot") == "spot"
    # Spot exchanges take no other stop than one with a limit.
    if types.get("stoploss", "market") != "market" and not (spot and at_exchange):
        yield Finding(
            Level.WARNING,
            "a stop that is a limit order may not fill when it is needed most",
            f"order_types.stoploss = {types.get('stoploss')!r} {source}",
            'set "stoploss": "market"',
        )
    yield from _protection(spot, at_exchange, setup.dry_run, source)
    if good:
        yield Finding(Level.OK, "targets rest in the book as limit orders")


def _protection(spot: bool, at_exchange: bool, dry_run: bool, source: str) -> Iterator[Finding]:
    """A stop in force at all times: at the exchange, or by a bot that runs."""
    where = f"order_types.stoploss_on_exchange = {at_exchange} {source}"
    if spot and at_exchange:
        yield Finding(
            Level.WARNING,
            "a stop at a spot exchange holds the coins: take-profit levels do not rest in the "
            "book, each is taken at the market when the bot sees price there, and a backtest, "
            "which fills them at their price, earns a little more",
            where,
            'set "stoploss_on_exchange": false where levels matter more than an absent bot',
        )
    elif not at_exchange:
        yield Finding(
            Level.HINT if dry_run else Level.WARNING,
            "stops live in the bot only: while it is down nothing protects an open trade",
            where,
            "keep the bot running (docs/live.md)"
            if spot
            else 'set "stoploss_on_exchange": true before trading live',
        )
