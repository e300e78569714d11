"""What guards measure losses at: the worst that was seen (spec G3, G4, G5)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from guard_accounts import HOUR, START, account, guards

from quorum.guards import Reason, State

#: One tier each, so that no other answers first.
SYSTEM = {"day": {"enabled": False}}
RULES = {**SYSTEM, "system": {"max_drawdown": 50.0}, "drawdown": {"enabled": True}}


def at_worst(equity: float, worst: float | None, hours: float = 1.0):
    return replace(account(equity, START + hours * HOUR), worst=worst)


@pytest.mark.parametrize(
    ("worst", "halts"), [(95_000.0, True), (95_000.01, False), (None, False), (math.nan, False)]
)
def test_a_fall_that_closes_back_halts_at_the_limit(worst, halts):
    machine = guards(**SYSTEM)
    machine.observe(account())
    machine.observe(at_worst(100_000.0, worst))
    assert (machine.state is State.HALTED) is halts
    assert machine.ledger.equity == 100_000.0


def test_the_worst_price_can_be_left_out():
    machine = guards(**SYSTEM, system={"worst_price": False})
    machine.observe(account())
    machine.observe(at_worst(100_000.0, 50_000.0))
    assert machine.state is State.ACTIVE
    assert machine.ledger.worst == 100_000.0


def test_the_fall_came_before_the_close_that_is_a_new_peak():
    machine = guards(**SYSTEM)
    machine.observe(account())
    # 4 % under the peak before it, 5.9 % under the one its close makes.
    state = at_worst(102_000.0, 96_000.0)
    for _ in range(2):
        machine.observe(state)
        assert machine.state is State.ACTIVE
        assert machine.ledger.drawdown == pytest.approx(4.0)
    machine.observe(at_worst(102_000.0, 97_000.0, hours=2))
    assert machine.ledger.drawdown == pytest.approx(100 * 5 / 102)
    machine.observe(at_worst(102_000.0, 96_900.0, hours=3))
    assert machine.state is State.HALTED


def test_an_equity_under_the_worst_is_the_worst():
    machine = guards(**SYSTEM)
    machine.observe(account())
    machine.observe(at_worst(96_000.0, 97_000.0))
    assert machine.ledger.worst == 96_000.0
    assert machine.ledger.drawdown == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("worst", "reason"),
    [(97_000.01, None), (97_000.0, Reason.DRAWDOWN_DAY), (92_000.0, Reason.DRAWDOWN_TOTAL)],
)
def test_the_drawdown_rules_see_the_worst_and_sizes_what_is_there_now(worst, reason):
    machine = guards(**RULES)
    machine.observe(account())
    machine.observe(at_worst(100_000.0, worst))
    assert machine.ledger.reason is reason
    assert machine.size_factor == 1.0
    assert machine.headroom == 5_000.0
    machine.observe(at_worst(100_000.0, 100_000.0, hours=2))
    assert machine.state is State.ACTIVE


def test_the_last_candle_of_a_day_is_no_loss_of_the_next():
    machine = guards(**RULES)
    machine.observe(account(at=START + 23 * HOUR))
    machine.observe(at_worst(100_000.0, 97_000.0, hours=24))
    assert machine.state is State.ACTIVE
    machine.observe(at_worst(100_000.0, 97_000.0, hours=25))
    assert machine.ledger.reason is Reason.DRAWDOWN_DAY
    machine.observe(at_worst(100_000.0, 92_000.0, hours=48))
    assert machine.ledger.reason is Reason.DRAWDOWN_TOTAL, "the total knows no days"
