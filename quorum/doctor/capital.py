"""Wallet, number of trades and the smallest order the exchange takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from quorum.doctor.base import Finding, Level, Setup


def _wallet(setup: Setup) -> float | None:
    """Return the configured capital, None where only the exchange knows it."""
    if setup.value("available_capital") is not None:
        return float(setup.value("available_capital"))
    if not setup.dry_run:
        return None
    wallet = setup.value("dry_run_wallet", 1000)
    if isinstance(wallet, Mapping):
        wallet = wallet.get(setup.value("stake_currency"), 0.0)
    return float(wallet)


def _percents(setup: Setup) -> tuple[float, float]:
    """Return the smallest and the largest position in percent of the capital."""
    sizing = setup.settings.sizing
    most = sizing.max_percent
    if setup.settings.guards.position.enabled:
        most = min(most, setup.settings.guards.position.max_stake)
    if sizing.method != "bands" or sizing.basis != "notional":
        return most, most
    return min(sizing.bands.medium[2], most), min(sizing.bands.very_high[3], most)


def smallest_order(setup: Setup) -> Iterator[Finding]:
    """Compare the positions Quorum takes with the smallest order."""
    wallet = _wallet(setup)
    if wallet is None:
        yield Finding(Level.HINT, "not checked: only the exchange knows the live balance")
        return
    own = setup.settings.sizing.min_order
    asked = setup.exchange.smallest_orders(setup.pairs) if setup.exchange else None
    orders = {pair: max(own, (asked or {}).get(pair, 0.0)) for pair in setup.pairs}
    low, high = (percent / 100 * wallet for percent in _percents(setup))
    never = [pair for pair, order in orders.items() if order > high]
    some = [pair for pair, order in orders.items() if low < order <= high]
    where = f"wallet {wallet:g} {setup.value('stake_currency', '')}, positions {low:g} to {high:g}"
    known = "" if asked else " (the exchange's own minimum was not asked for)"
    if never:
        yield Finding(
            Level.PROBLEM,
            f"{len(never)} pairs can never be traded: every position is under their smallest "
            f"order{known}",
            f"{where}: {_listed(never, orders)}",
            "more capital, other pairs, or quorum.sizing",
        )
    if some:
        yield Finding(
            Level.WARNING,
            f"signals of low confidence are refused in {len(some)} pairs: smaller than their "
            f"smallest order{known}",
            f"{where}: {_listed(some, orders)}",
            "more capital, other pairs, or quorum.sizing",
        )
    if not never and not some:
        yield Finding(Level.OK, f"every position is above the smallest order{known}", where)


def _listed(pairs: list[str], orders: Mapping[str, float]) -> str:
    return ", ".join(f"{pair} {orders[pair]:g}" for pair in pairs)


def open_trades(setup: Setup) -> Iterator[Finding]:
    """Compare the host's number of trades with that of the guards, and with the wallet."""
    configured = setup.value("max_open_trades", 0)
    most = float("inf") if configured == -1 else float(configured)
    where = setup.place("max_open_trades")
    if most == 0:
        yield Finding(Level.PROBLEM, "no trade is ever opened", where, "set it to 10")
        return
    position = setup.settings.guards.position
    if position.enabled and most > position.max_open:
        yield Finding(
            Level.HINT,
            f"the guards open {position.max_open} trades at most",
            f"{where}; quorum.guards.position.max_open = {position.max_open}",
        )
        most = position.max_open
    needed = most * _percents(setup)[1] / setup.settings.leverage
    ratio = 100 * float(setup.value("tradable_balance_ratio", 0.99))
    if needed > ratio:
        yield Finding(
            Level.WARNING,
            f"{most:g} trades of the largest size need {needed:.0f} % of the capital: late "
            "entries get less than their size",
            where,
            "fewer trades or smaller positions",
        )
    else:
        yield Finding(Level.OK, f"{most:g} trades of the largest size fit the wallet", where)


def stake_amount(setup: Setup) -> Iterator[Finding]:
    """A fixed stake is replaced by Quorum's own size, but it bounds what the host counts with."""
    stake = setup.value("stake_amount")
    if stake != "unlimited":
        yield Finding(
            Level.HINT,
            "the stake is decided by quorum.sizing; this amount is never used",
            setup.place("stake_amount"),
            'set "stake_amount": "unlimited"',
        )
