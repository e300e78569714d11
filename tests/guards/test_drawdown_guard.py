"""Drawdown rules as funded accounts have them (spec G4)."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from guard_accounts import HOUR, START, account, answer, guards
from hypothesis import given
from hypothesis import strategies as st

from quorum.guards import Reason

RULES = {
    "preset": "off",
    "drawdown": {"enabled": True},
}


@pytest.mark.parametrize(("equity", "stopped"), [(97_000.01, False), (97_000, True)])
def test_entries_end_at_three_fifths_of_the_daily_allowance(equity, stopped):
    machine = guards(**RULES)
    machine.observe(account())
    reason = answer(machine, account(equity, START + HOUR))
    assert reason is (Reason.DRAWDOWN_DAY if stopped else None)


@pytest.mark.parametrize(("equity", "stopped"), [(92_000.01, False), (92_000, True)])
def test_entries_end_at_four_fifths_of_the_total_allowance(equity, stopped):
    machine = guards(**RULES)
    machine.observe(account())
    machine.observe(account(equity, START + timedelta(days=1)))
    reason = answer(machine, account(equity, START + timedelta(days=2)))
    assert reason is (Reason.DRAWDOWN_TOTAL if stopped else None)


def test_the_daily_allowance_is_of_the_initial_balance_from_the_opening_equity():
    machine = guards(**RULES)
    machine.observe(account(200_000.0))
    assert answer(machine, account(197_000.01, START + HOUR)) is None
    assert answer(machine, account(197_000.0, START + HOUR)) is Reason.DRAWDOWN_DAY
    own = guards(preset="off", drawdown={"enabled": True, "initial_balance": 200_000.0})
    own.observe(account(200_000.0))
    assert answer(own, account(197_000.0, START + HOUR)) is None


def test_sizes_shrink_linearly_with_what_is_used_of_the_scarcer_allowance():
    machine = guards(**RULES)
    machine.observe(account())
    assert (machine.size_factor, machine.headroom) == (1.0, 5000.0)
    machine.observe(account(99_000.0, START + HOUR))
    assert machine.size_factor == pytest.approx(0.8)
    assert machine.headroom == pytest.approx(4000.0)
    machine.observe(account(93_000.0, START + 24 * HOUR))
    assert machine.size_factor == pytest.approx(0.3)
    assert machine.headroom == pytest.approx(3000.0)
    machine.observe(account(80_000.0, START + 25 * HOUR))
    assert (machine.size_factor, machine.headroom) == (0.0, 0.0)


def test_without_drawdown_rules_sizes_are_left_alone():
    machine = guards()
    machine.observe(account())
    machine.observe(account(98_000.0, START + HOUR))
    assert (machine.size_factor, machine.headroom) == (1.0, math.inf)


@given(st.lists(st.floats(50_000, 150_000), min_size=2, max_size=20), st.floats(0.001, 1000))
def test_the_factor_falls_with_equity_and_does_not_know_the_currency(path, scale):
    def factors(scale):
        machine = guards(**RULES)
        found = []
        for i, equity in enumerate(path):
            state = account(equity * scale, START + i * HOUR, initial=100_000.0 * scale)
            machine.observe(state)
            found.append((machine.ledger.day_open, equity, machine.size_factor))
        return found

    ours = factors(1.0)
    assert [f for _, _, f in factors(scale)] == pytest.approx([f for _, _, f in ours], abs=1e-9)
    for opened, equity, factor in ours:
        assert 0 <= factor <= 1
        lower = [f for o, e, f in ours if o == opened and e < equity]
        assert all(f <= factor + 1e-12 for f in lower)
