"""Money paid in or out is neither a loss nor a gain (spec G5)."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from guard_accounts import HOUR, START, account, guards
from hypothesis import given
from hypothesis import strategies as st

from quorum.guards import Reason, State
from quorum.guards.store import SqlStore


def dip(machine, name: str) -> float:
    return next(limit.used for limit in machine.limits() if limit.name == name)


@pytest.mark.parametrize("left", [940.0, 10.0, 5_000.0, 100_000.0])
def test_a_payment_without_a_trade_changes_nothing(left, caplog):
    machine = guards(drawdown={"enabled": True})
    machine.observe(account(1000.0, initial=1000.0))
    changes = machine.observe(account(left, START + HOUR, initial=left))
    assert (machine.state, changes, machine.size_factor) == (State.ACTIVE, (), 1.0)
    assert dip(machine, "drawdown from peak") == pytest.approx(0.0, abs=1e-9)
    assert f"{abs(left - 1000):.2f} paid {'in' if left > 1000 else 'out'}" in caplog.text


@pytest.mark.parametrize("paid", [-900.0, -60.0, 0.0, 60.0, 9000.0])
def test_a_loss_after_a_payment_halts_at_the_same_percentage(paid):
    start = 1000.0 + paid
    for lost, state in ((4.99, State.REDUCING), (5.0, State.HALTED)):
        machine = guards()
        machine.observe(account(1000.0, initial=1000.0))
        machine.observe(account(start, START + HOUR, initial=start))
        left = start * (1 - lost / 100)
        machine.observe(account(left, START + 2 * HOUR, initial=start))
        assert machine.state is state, lost


@pytest.mark.parametrize("initial", [500.0, 970.0, 1000.0, 4000.0])
def test_a_loss_before_a_payment_stays_the_loss_it_was(initial):
    machine = guards(system={"max_drawdown": 50}, drawdown={"enabled": True})
    machine.observe(account(1000.0, initial=1000.0))
    machine.observe(account(970.0, START + HOUR, initial=1000.0))
    names = ("drawdown from peak", "loss of the day", "drawdown of the week")
    before = [dip(machine, name) for name in names], machine.size_factor
    machine.observe(account(initial - 30.0, START + 2 * HOUR, initial=initial))
    assert [dip(machine, name) for name in names] == pytest.approx(before[0])
    assert machine.size_factor == pytest.approx(before[1])


def test_a_stated_initial_balance_moves_with_payments():
    rules = {"enabled": True, "initial_balance": 1000.0}
    machine = guards(drawdown=rules, system={"enabled": False}, day={"enabled": False})
    machine.observe(account(1000.0, initial=1000.0))
    machine.observe(account(500.0, START + HOUR, initial=500.0))
    assert machine.headroom == pytest.approx(25.0)
    assert machine.state is State.ACTIVE


def test_money_paid_out_while_no_bot_ran_is_no_loss(tmp_path):
    url = f"sqlite:///{tmp_path / 'guards.sqlite'}"
    first = guards(SqlStore(url))
    first.observe(account(1000.0, initial=1000.0))
    second = guards(SqlStore(url))
    second.observe(account(400.0, START + timedelta(days=2), initial=400.0))
    assert second.state is State.ACTIVE
    second.observe(account(379.0, START + timedelta(days=2, hours=1), initial=400.0))
    assert second.state is State.HALTED
    assert second.ledger.reason is Reason.EMERGENCY_SHUTDOWN


def test_an_empty_account_that_is_filled_begins_anew(caplog):
    machine = guards()
    machine.observe(account(1.0, initial=1.0))
    caplog.set_level(logging.WARNING)
    machine.observe(account(1000.0, START + HOUR, initial=1001.0))
    assert dip(machine, "drawdown from peak") == 0.0
    assert machine.state is State.ACTIVE


def test_differences_of_booking_are_no_payments_but_add_up():
    """The wallet knows of a fee or a fill before the host's books do, and the other way round."""
    machine = guards()
    machine.observe(account(1000.0, initial=1000.0))
    for hour in range(1, 9):
        machine.observe(account(1000.0, START + hour * HOUR, initial=1000.0 + 0.5 * (-1) ** hour))
    assert machine.ledger.day_open == 1000.0
    for hour in range(9, 17):
        machine.observe(account(1000.0 - hour, START + hour * HOUR, initial=1000.0 - hour))
    assert dip(machine, "drawdown from peak") <= 0.2 + 1e-9


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("traded"), st.floats(-0.03, 0.05)),
            st.tuples(st.just("paid"), st.floats(-0.5, -0.01) | st.floats(0.01, 3.0)),
        ),
        max_size=30,
    )
)
def test_the_drawdown_is_that_of_the_trading_alone(steps):
    machine = guards(system={"max_drawdown": 100})
    initial, equity, growth, peak, at = 1000.0, 1000.0, 1.0, 1.0, START
    machine.observe(account(equity, at, initial=initial))
    for kind, share in steps:
        at += timedelta(minutes=1)
        if kind == "traded":
            equity *= 1 + share
            growth *= 1 + share
            peak = max(peak, growth)
        else:
            initial, equity = initial + share * equity, equity * (1 + share)
        machine.observe(account(equity, at, initial=initial))
        assert dip(machine, "drawdown from peak") == pytest.approx(
            100 * (1 - growth / peak), abs=1e-6
        )
