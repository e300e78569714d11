"""The state machine of the guards: bad input, faults, clocks, presets, and a model of it."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import timedelta

import pytest
from guard_accounts import HOUR, START, account, answer, done, entry, guards, running
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quorum.errors import SettingsError
from quorum.guards import (
    Guards,
    GuardSettings,
    Ledger,
    LedgerStore,
    Reason,
    State,
    rearm,
)
from quorum.guards.position import PositionGuard
from quorum.guards.system import SystemGuard
from quorum.settings import load_settings
from quorum.state import StateError


class OneLedger(LedgerStore):
    """A store that is a variable, so that it outlives a machine."""

    def __init__(self) -> None:
        self.kept: Ledger | None = None

    def load(self):
        return None if self.kept is None else Ledger(**vars(self.kept))

    def save(self, ledger, transitions=()):
        self.kept = Ledger(**vars(ledger))


@pytest.mark.parametrize("equity", [math.nan, math.inf, 0.0, -5.0])
def test_without_usable_equity_entries_are_refused_and_nothing_is_closed(equity):
    machine = guards()
    machine.observe(account())
    assert answer(machine, account(equity, START + HOUR)) is Reason.EQUITY_UNKNOWN
    assert machine.closing is None
    assert machine.state is State.ACTIVE
    assert answer(machine, account(100_000.0, START + 2 * HOUR)) is None
    assert machine.ledger.peak == 100_000.0


def test_an_account_that_was_never_observed_enters_nothing():
    assert guards().permit(entry(), account()).reason is Reason.EQUITY_UNKNOWN
    assert answer(guards(), account(math.nan)) is Reason.EQUITY_UNKNOWN


@pytest.mark.parametrize(("seconds", "refused"), [(60, False), (61, True)])
def test_a_clock_that_goes_back_refuses_entries_until_it_has_caught_up(seconds, refused):
    machine = guards()
    machine.observe(account(at=START + HOUR))
    back = account(at=START + HOUR - timedelta(seconds=seconds))
    assert answer(machine, back) is (Reason.CLOCK_BACKWARDS if refused else None)
    assert answer(machine, account(at=START + HOUR)) is None


def test_a_clock_that_goes_back_ends_neither_day_nor_pause_but_limits_still_act():
    machine = guards()
    machine.observe(account(at=START + HOUR))
    machine.observe(account(96_000.0, START + 2 * HOUR))
    opened = machine.ledger.day_start
    machine.observe(account(96_000.0, START - 30 * HOUR))
    assert machine.ledger.day_start == opened
    assert machine.ledger.day_stopped
    machine.observe(account(94_000.0, START - 30 * HOUR))
    assert machine.state is State.HALTED


@pytest.mark.parametrize("method", ["observe", "refusals"])
def test_a_guard_that_fails_refuses_and_is_logged_once(method, monkeypatch, caplog):
    target = SystemGuard if method == "observe" else PositionGuard

    def broken(*_):
        raise ZeroDivisionError("of all things")

    machine = guards()
    with monkeypatch.context() as patch:
        patch.setattr(target, method, broken)
        with caplog.at_level(logging.ERROR):
            for hours in range(3):
                assert answer(machine, account(at=START + hours * HOUR)) is Reason.GUARD_FAILED
    assert len([r for r in caplog.records if "refuse all entries" in r.message]) == 1
    assert "of all things" in caplog.text
    assert answer(machine, account(at=START + 4 * HOUR)) is None


def test_after_re_arming_the_drawdown_is_measured_anew_and_can_trip_again():
    store = OneLedger()
    machine = guards(store, day={"max_loss": 50.0})
    machine.observe(account())
    machine.observe(account(95_000.0, START + HOUR))
    rearm(store, "looked at it")
    changes = machine.observe(account(95_000.0, START + 2 * HOUR))
    assert [(c.before, c.after) for c in changes] == [(State.HALTED, State.ACTIVE)]
    assert answer(machine, account(90_250.01, START + 3 * HOUR)) is None
    assert answer(machine, account(90_250.0, START + 4 * HOUR)) is Reason.EMERGENCY_SHUTDOWN
    assert machine.ledger.arms == 1


class Unwritable(OneLedger):
    """A store that can be read but, for a while, not be written."""

    broken = False

    def save(self, ledger, transitions=()):
        if self.broken:
            raise StateError("read-only")
        super().save(ledger, transitions)


def test_a_halt_that_is_not_on_disk_yet_is_not_taken_back_by_what_is():
    store = Unwritable()
    machine = guards(store)
    machine.observe(account())
    store.broken = True
    machine.observe(account(95_000.0, START + HOUR))
    assert machine.state is State.HALTED
    # What the store holds was written before: no person has re-armed anything.
    machine.observe(account(100_000.0, START + 2 * HOUR))
    assert machine.state is State.HALTED
    assert machine.closing is None, "nothing is closed before the halt is on disk"
    store.broken = False
    machine.observe(account(100_000.0, START + 3 * HOUR))
    assert machine.closing is Reason.EMERGENCY_SHUTDOWN
    assert store.kept.state is State.HALTED


def test_only_a_re_arming_after_the_last_one_known_ends_a_halt():
    store = OneLedger()
    machine = guards(store, day={"max_loss": 50.0})
    machine.observe(account())
    machine.observe(account(95_000.0, START + HOUR))
    rearm(store, "once")
    armed = store.load()
    machine.observe(account(95_000.0, START + 2 * HOUR))
    machine.observe(account(90_000.0, START + 3 * HOUR))
    assert machine.state is State.HALTED
    # Another process puts the state of before back: it tells of the same re-arming.
    store.kept = armed
    machine.observe(account(90_000.0, START + 4 * HOUR))
    assert machine.state is State.HALTED


def test_re_arming_does_not_end_the_stop_of_the_day():
    store = OneLedger()
    machine = guards(store)
    machine.observe(account())
    machine.observe(account(95_000.0, START + HOUR))
    rearm(store, "looked at it")
    assert answer(machine, account(95_000.0, START + 2 * HOUR)) is Reason.DAILY_LOSS
    assert answer(machine, account(95_000.0, START + 24 * HOUR)) is None


def test_turned_off_everything_is_allowed():
    machine = guards(preset="off")
    machine.observe(account())
    for equity in (50_000.0, math.nan, -1.0):
        assert answer(machine, account(equity, START + HOUR), stop=None, notional=1e9) is None
    assert machine.closing is None


def test_presets_change_numbers_and_given_numbers_win():
    assert GuardSettings() == GuardSettings(preset="default")
    careful = GuardSettings(preset="conservative")
    assert (careful.day.max_loss, careful.position.max_open) == (2.0, 5)
    own = GuardSettings(preset="conservative", day={"max_loss": 2.5}, timezone="Asia/Tokyo")
    assert (own.day.max_loss, own.day.max_trades, own.timezone) == (2.5, 5, "Asia/Tokyo")
    funded = GuardSettings(preset="ftmo_2step")
    assert funded.drawdown.enabled
    assert funded.timezone == "Europe/Prague"
    assert not GuardSettings().drawdown.enabled
    off = Guards(GuardSettings(preset="off", day={"enabled": True}))
    assert [guard.name for guard in off.guards] == ["day"]


@pytest.mark.parametrize(
    "section",
    [{"preset": "brave"}, {"timezone": "Mars/Olympus"}, {"day": {"max_loss": 0}}, {"dya": {}}],
)
def test_bad_settings_are_refused_by_name(section):
    with pytest.raises(SettingsError, match=rf"quorum\.guards\.{next(iter(section))}"):
        load_settings({"guards": section})


def test_limits_tell_what_is_used():
    machine = guards(preset="ftmo_2step")
    assert all(limit.used is None or limit.used == 0 for limit in machine.limits())
    machine.observe(account())
    machine.observe(account(98_000.0, START + HOUR))
    used = {limit.name: limit.used for limit in machine.limits()}
    assert used["loss of the day"] == pytest.approx(2.0)
    assert used["drawdown from peak"] == pytest.approx(2.0)
    assert used["allowance of the day"] == pytest.approx(2.0)
    assert used["total allowance"] == pytest.approx(2.0)
    assert {limit.guard for limit in machine.limits()} == {"position", "day", "system", "drawdown"}


class AnyLife(RuleBasedStateMachine):
    """The machine against a model of its own: equity, days, halts, restarts, a person."""

    def __init__(self) -> None:
        super().__init__()
        self.store = OneLedger()
        self.settings = GuardSettings(position={"enabled": False}, day={"max_weekly_drawdown": 100})
        self.machine = Guards(self.settings, self.store)
        self.at, self.equity = START, 100_000.0
        self.peak = self.day_open = self.equity
        self.halted = self.stopped = False
        self._see()

    def _see(self) -> None:
        self.machine.observe(account(self.equity, self.at))
        self.peak = max(self.peak, self.equity)
        if self.equity <= self.peak * 0.95 * (1 + 1e-12):
            self.halted = True
        if self.equity <= self.day_open * 0.97 * (1 + 1e-12):
            self.stopped = True

    @rule(change=st.floats(-0.06, 0.06), hours=st.integers(1, 5))
    def candle(self, change: float, hours: int) -> None:
        before = self.equity
        day, self.at = self.at.date(), self.at + hours * HOUR
        self.equity = round(self.equity * (1 + change), 2)
        if self.at.date() != day:
            midnight = (self.at.hour, self.at.minute) == (0, 0)
            self.day_open = self.equity if midnight else max(before, self.equity)
            self.stopped = False
        self._see()

    @rule(equity=st.sampled_from([math.nan, -1.0, 0.0]))
    def glitch(self, equity: float) -> None:
        state = account(equity, self.at)
        self.machine.observe(state)
        assert not self.machine.permit(entry(self.at), state).allowed
        self._see()

    @rule()
    def restart(self) -> None:
        self.machine = Guards(self.settings, self.store)
        self._see()

    @rule(hours=st.integers(1, 100))
    def clock_goes_back(self, hours: int) -> None:
        state = account(self.equity, self.at - hours * HOUR)
        self.machine.observe(state)
        assert not self.machine.permit(entry(state.at), state).allowed
        self._see()

    @precondition(lambda self: self.halted)
    @rule()
    def person_rearms(self) -> None:
        rearm(self.store, "model")
        self.halted, self.peak = False, self.equity
        self._see()

    @invariant()
    def agrees_with_the_model(self) -> None:
        state = State.HALTED if self.halted else State.REDUCING if self.stopped else State.ACTIVE
        assert self.machine.state is state
        assert (self.machine.closing is not None) is self.halted
        here = account(self.equity, self.at)
        assert self.machine.permit(entry(self.at), here).allowed is (state is State.ACTIVE)
        assert self.store.kept is not None
        assert self.store.kept.state is state


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = run_settings(max_examples=60, stateful_step_count=30, deadline=None)


#: What a playbook of few wins asks not to be refused for (spec A-3).
RARE_WINS = frozenset({"loss_streak", "no_target", "max_stake", "daily_trades"})


def test_a_pause_after_losses_leaves_alone_who_declares_that_losses_are_its_rule():
    machine = guards()
    losses = tuple(done(START - (4 - n) * HOUR, -10.0, reason="time_stop") for n in range(3))
    state = account(closed=losses)
    assert answer(machine, state) is Reason.LOSS_STREAK
    assert answer(machine, state, unguarded=RARE_WINS) is None
    assert machine.lets_enter(RARE_WINS)
    assert not machine.lets_enter()


def test_one_refusal_that_is_not_asked_does_not_hide_the_next():
    machine = guards()
    request = {"target": None, "notional": 50_000.0}
    assert answer(machine, account(), **request) is Reason.NO_TARGET
    assert (
        answer(machine, account(), unguarded=frozenset({"no_target"}), **request)
        is Reason.MAX_STAKE
    )
    assert answer(machine, account(), unguarded=RARE_WINS, **request) is None


def test_the_limit_of_the_day_holds_for_everyone():
    machine = guards()
    machine.observe(account(at=START))
    assert (
        answer(machine, account(96_000.0, START + HOUR), unguarded=RARE_WINS) is Reason.DAILY_LOSS
    )


def test_trades_that_are_not_counted_pause_nobody_and_use_up_no_number():
    machine = guards(day={"max_trades": 2}, position={"max_open": 2, "max_correlation": 1.0})
    losses = tuple(replace(done(START - (4 - n) * HOUR, -10.0), counted=False) for n in range(3))
    held = tuple(replace(running(START, f"{n}/USDT:USDT"), counted=False) for n in range(5))
    assert answer(machine, account(closed=losses, opened=held)) is None
