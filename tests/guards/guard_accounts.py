"""Accounts made by hand for the tests of the guards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from quorum.account import AccountState, ClosedPosition, OpenPosition
from quorum.guards import EntryRequest, Guards, GuardSettings, LedgerStore

#: A Wednesday.
START = datetime(2024, 5, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAIR = "SOL/USDT:USDT"


def account(
    equity: float = 100_000.0,
    at: datetime = START,
    *,
    balance: float | None = None,
    opened: tuple[OpenPosition, ...] = (),
    closed: tuple[ClosedPosition, ...] = (),
    initial: float = 100_000.0,
) -> AccountState:
    return AccountState(at, initial, equity if balance is None else balance, equity, opened, closed)


def running(at: datetime, pair: str = PAIR, direction: int = 1, floating=0.0) -> OpenPosition:
    return OpenPosition(pair, direction, at, 100.0, 100.0, 1000.0, floating)


def done(
    at: datetime,
    profit: float,
    *,
    pair: str = PAIR,
    direction: int = 1,
    reason: str = "stop_loss",
    opened: datetime | None = None,
) -> ClosedPosition:
    return ClosedPosition(pair, direction, opened or at - HOUR, at, profit, profit / 1000.0, reason)


def entry(at: datetime = START, *, pair: str = PAIR, direction: int = 1, **changes) -> EntryRequest:
    values = {
        "notional": 1000.0,
        "price": 100.0,
        "stop": 100.0 - direction,
        "target": 100.0 + 3 * direction,
        **changes,
    }
    return EntryRequest(pair, direction, at, **values)


def guards(store: LedgerStore | None = None, **settings) -> Guards:
    return Guards(GuardSettings(**settings), store)


def answer(machine: Guards, state: AccountState, **request):
    """Observe an account, then ask for an entry; return the reason of the refusal."""
    machine.observe(state)
    return machine.permit(entry(state.at, **request), state).reason
