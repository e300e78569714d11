"""What Quorum needs of the host's prices."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup

#: How far the host lets a price lie from the market where nothing is configured.
HOST_RATIO = 0.02


def order_book(setup: Setup) -> Iterator[Finding]:
    """Both prices must come from the order book: a ticker of futures has no bid and ask."""
    good = True
    for side in ("entry_pricing", "exit_pricing"):
        path = f"{side}.use_order_book"
        if setup.value(path) is not True:
            good = False
            yield Finding(
                Level.PROBLEM if setup.futures else Level.WARNING,
                f"{side} does not use the order book",
                setup.place(path),
                f'set "{side}": {{"price_side": "other", "use_order_book": true}}',
            )
        elif setup.value(f"{side}.price_side", "same") in ("same", "bid" if "en" in side else ""):
            yield Finding(
                Level.HINT,
                f"{side}: immediate orders wait at our own side of the book and may not fill",
                setup.place(f"{side}.price_side"),
                'set "price_side": "other"',
            )
    if good:
        yield Finding(Level.OK, "prices come from the order book")


def custom_prices(setup: Setup) -> Iterator[Finding]:
    """A target rests at its own price; the host pulls it in when it lies too far away."""
    path = "custom_price_max_distance_ratio"
    exits = setup.settings.exits
    needed = exits.stop.max_risk / 100 * max(exits.target.risk_reward)
    ratio = setup.value(path, HOST_RATIO)
    if not isinstance(ratio, int | float) or ratio < needed:
        yield Finding(
            Level.PROBLEM,
            f"targets may lie {needed:.0%} away, and the host moves what is further than "
            f"{ratio:.0%} towards the market: they would be sold too early",
            setup.place(path),
            f'set "{path}": {max(0.5, needed):g}',
        )
    else:
        yield Finding(Level.OK, f"targets up to {ratio:.0%} away can rest in the book")
