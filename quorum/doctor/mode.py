"""Spot or futures: pairs, margin and stake currency must agree with it."""

from __future__ import annotations

from collections.abc import Iterator

from quorum.doctor.base import Finding, Level, Setup


def trading_mode(setup: Setup) -> Iterator[Finding]:
    """Compare trading mode, margin mode, pairs and leverage."""
    mode = "futures" if setup.futures else "spot"
    wrong = [pair for pair in setup.pairs if (":" in pair) != setup.futures]
    if wrong:
        yield Finding(
            Level.PROBLEM,
            f"{len(wrong)} pairs are not {mode} pairs",
            f"exchange.pair_whitelist: {', '.join(wrong)}; {setup.place('trading_mode')}",
            "write BTC/USDT:USDT for futures, BTC/USDT for spot",
        )
    if setup.futures and setup.config.get("margin_mode") != "isolated":
        yield Finding(
            Level.PROBLEM,
            "futures need isolated margin: in cross margin one trade can cost the whole wallet",
            setup.place("margin_mode"),
            'set "margin_mode": "isolated"',
        )
    if not setup.futures:
        yield Finding(
            Level.HINT,
            "spot: short signals are not traded, and funding and open interest are not read",
            setup.place("trading_mode"),
            'set "trading_mode": "futures" to trade both sides',
        )
        if setup.settings.leverage > 1:
            yield Finding(
                Level.WARNING,
                "leverage has no effect in spot mode",
                f"quorum.leverage = {setup.settings.leverage:g}",
                "remove it",
            )
    if not wrong:
        yield Finding(Level.OK, f"{len(setup.pairs)} pairs suit {mode} mode")


def stake_currency(setup: Setup) -> Iterator[Finding]:
    """Compare the quote currency of the pairs with the stake currency."""
    stake = str(setup.value("stake_currency", ""))
    others = [pair for pair in setup.pairs if _quote(pair) != stake]
    if others:
        yield Finding(
            Level.PROBLEM,
            f"{len(others)} pairs are not quoted in the stake currency",
            f"{setup.place('stake_currency')}: {', '.join(others)}",
            "use one currency",
        )
    if not setup.pairs:
        yield Finding(
            Level.HINT,
            "no pair is listed; a dynamic pair list decides, and its pairs are not checked",
            setup.place("exchange.pair_whitelist"),
        )


def _quote(pair: str) -> str:
    return pair.partition("/")[2].partition(":")[0]


def listed(setup: Setup) -> Iterator[Finding]:
    """Every pair must be traded at the exchange."""
    known = setup.exchange.listed() if setup.exchange else None
    if known is None:
        yield Finding(Level.HINT, "pairs not checked: the exchange does not answer")
        return
    gone = [pair for pair in setup.pairs if pair not in known]
    if gone:
        yield Finding(
            Level.PROBLEM,
            f"the exchange does not list {len(gone)} of {len(setup.pairs)} pairs",
            f"exchange.pair_whitelist: {', '.join(gone)}",
            "remove them",
        )
    else:
        yield Finding(Level.OK, f"the exchange lists all {len(setup.pairs)} pairs")


def initial_state(setup: Setup) -> Iterator[Finding]:
    """A bot that is not told to run waits for somebody to start it."""
    state = setup.value("initial_state", "stopped")
    if state == "running":
        yield Finding(Level.OK, "the bot trades as soon as it is started")
    else:
        yield Finding(
            Level.HINT,
            "the bot starts stopped: it trades only after /start, also after a crash",
            setup.place("initial_state"),
            'set "initial_state": "running"',
        )
