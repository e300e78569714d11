"""The clock against the exchange's."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup


def clock(setup: Setup) -> Iterator[Finding]:
    """Signed requests are refused and candles come late when the clock is off."""
    offset = setup.exchange.clock_offset() if setup.exchange else None
    if offset is None:
        name = setup.exchange.name if setup.exchange else "the exchange"
        yield Finding(Level.HINT, f"clock not checked: {name} does not answer")
        return
    limits = setup.limits
    where = f"our clock deviates by {-offset:+.0f} ms"
    fix = "synchronise the clock (NTP)"
    if abs(offset) >= limits.clock_problem:
        yield Finding(Level.PROBLEM, "signed requests will be refused", where, fix)
    elif abs(offset) >= limits.clock_warning:
        yield Finding(Level.WARNING, "the clock is off", where, fix)
    else:
        yield Finding(Level.OK, "the clock agrees with the exchange's", where)
