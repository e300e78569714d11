"""Guards of the day and the week (spec G2), and where days begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from guard_accounts import HOUR, PAIR, START, account, answer, done, guards, running
from hypothesis import given
from hypothesis import strategies as st

from quorum.guards import Reason, State
from quorum.guards.calendar import Calendar
from quorum.guards.day import DayLimits

DAY = timedelta(days=1)
#: The system tier out of the way of the limits under test.
CALM = {"system": {"max_drawdown": 50.0}}


@pytest.mark.parametrize(
    ("equity", "stopped"), [(97_000.01, False), (97_000, True), (96_999, True)]
)
def test_the_loss_of_a_day_ends_entries_at_its_limit_and_not_before(equity, stopped):
    machine = guards()
    machine.observe(account(at=START))
    reason = answer(machine, account(equity, START + HOUR))
    assert reason is (Reason.DAILY_LOSS if stopped else None)
    assert machine.state is (State.REDUCING if stopped else State.ACTIVE)


def test_a_floating_loss_counts_although_no_trade_has_closed():
    machine = guards()
    machine.observe(account())
    losing = account(
        96_500.0, START + HOUR, balance=100_000.0, opened=(running(START, floating=-3500.0),)
    )
    assert answer(machine, losing, pair="ETH/USDT:USDT") is Reason.DAILY_LOSS


def test_a_day_that_reached_its_limit_stays_stopped_when_equity_returns():
    machine = guards()
    machine.observe(account())
    machine.observe(account(96_900.0, START + HOUR))
    assert answer(machine, account(100_500.0, START + 2 * HOUR)) is Reason.DAILY_LOSS


def test_the_next_day_begins_with_its_own_opening_equity():
    machine = guards()
    machine.observe(account())
    machine.observe(account(97_000.0, START + HOUR))
    assert answer(machine, account(97_000.0, START + DAY)) is None
    assert machine.ledger.day_open == 97_000.0


def test_a_breach_on_the_candle_of_a_fill_is_seen_at_its_close():
    machine = guards()
    machine.observe(account())
    filled = account(
        96_999.0, START + HOUR, balance=100_000.0, opened=(running(START, floating=-3001.0),)
    )
    changes = machine.observe(filled)
    assert [(c.before, c.after, c.reason) for c in changes] == [
        (State.ACTIVE, State.REDUCING, Reason.DAILY_LOSS)
    ]


def test_a_day_that_began_unobserved_opens_with_the_last_equity_known_if_higher():
    machine = guards()
    machine.observe(account(100_000.0, START + 20 * HOUR))
    # A gap over midnight in which 3 % were lost.
    assert answer(machine, account(97_000.0, START + 31 * HOUR)) is Reason.DAILY_LOSS
    other = guards()
    other.observe(account(100_000.0, START + 20 * HOUR))
    other.observe(account(101_000.0, START + 31 * HOUR))
    assert other.ledger.day_open == 101_000.0


def test_a_gap_of_weeks_ends_what_has_run_out():
    machine = guards(**CALM)
    machine.observe(account())
    machine.observe(account(88_000.0, START + HOUR))
    assert machine.state is State.REDUCING
    machine.observe(account(88_000.0, START + 30 * DAY))
    assert machine.state is State.ACTIVE


@pytest.mark.parametrize(("count", "refused"), [(9, False), (10, True)])
def test_the_trades_of_a_day_have_a_maximum(count, refused):
    at = START + 23 * HOUR
    some = tuple(
        done(START + i * HOUR, 1.0, pair=f"P{i}/USDT:USDT", opened=START + i * HOUR)
        for i in range(count)
    )
    yesterday = (done(START - HOUR, 1.0), done(START + HOUR, 1.0, opened=START - HOUR))
    state = account(at=at, closed=tuple(sorted((*yesterday, *some), key=lambda t: t.closed)))
    assert answer(guards(), state) is (Reason.DAILY_TRADES if refused else None)
    assert answer(guards(), account(at=START + DAY, closed=state.closed)) is None


def test_three_losses_in_a_row_pause_entries_for_a_day_to_the_second():
    losses = tuple(
        done(START + i * HOUR, -1.0, pair=f"P{i}/USDT:USDT", reason="time_stop") for i in range(3)
    )
    end = losses[-1].closed + DAY
    assert answer(guards(), account(at=START + HOUR, closed=losses[:2])) is None
    machine = guards()
    assert answer(machine, account(at=START + 2 * HOUR, closed=losses)) is Reason.LOSS_STREAK
    assert answer(machine, account(at=end - timedelta(seconds=1), closed=losses)) is not None
    assert answer(machine, account(at=end, closed=losses)) is None


def test_a_win_ends_the_row_and_a_pause_begins_a_new_count():
    # After a win among three trades it takes four losses in a row.
    results = [-1.0, -1.0, 1.0, -1.0, -1.0, -1.0]
    trades = tuple(
        done(START + i * HOUR, p, pair=f"P{i}/USDT:USDT", reason="time_stop")
        for i, p in enumerate(results)
    )
    machine = guards()
    assert answer(machine, account(at=START + 6 * HOUR, closed=trades)) is None
    more = (*trades, done(START + 7 * HOUR, -1.0, reason="time_stop"))
    assert answer(machine, account(at=START + 7 * HOUR, closed=more)) is Reason.LOSS_STREAK
    later = START + 32 * HOUR
    fourth = (*more, done(later, -1.0, pair="P9/USDT:USDT", reason="time_stop"))
    assert answer(machine, account(at=later, closed=fourth)) is None


@pytest.mark.parametrize(("equity", "stopped"), [(91_000.01, False), (91_000, True)])
def test_the_drawdown_of_a_week_is_from_its_highest_equity_and_lasts_the_week(equity, stopped):
    machine = guards(day={"max_loss": 50.0, "max_weekly_drawdown": 9.0}, **CALM)
    machine.observe(account(95_000.0))
    machine.observe(account(100_000.0, START + HOUR))
    reason = answer(machine, account(equity, START + DAY))
    assert reason is (Reason.WEEKLY_DRAWDOWN if stopped else None)
    if stopped:
        sunday, monday = START + 4 * DAY + 23 * HOUR, START + 5 * DAY
        assert answer(machine, account(99_000.0, sunday)) is Reason.WEEKLY_DRAWDOWN
        assert answer(machine, account(99_000.0, monday)) is None


def test_two_stops_in_a_week_rest_the_plan_and_no_other():
    monday = START - 2 * DAY
    first, second = done(monday, -1.0), done(START - 3 * HOUR, -1.0, reason="trailing_stop_loss")
    at = START + HOUR

    def asked(*closed, **request):
        return answer(guards(), account(at=at, closed=closed), **request)

    assert asked(first, second) is Reason.PLAN_STOPPED
    assert asked(second) is None
    assert asked(done(monday - timedelta(seconds=1), -1.0), second) is None, "last week's"
    assert asked(first, done(START - 3 * HOUR, 5.0)) is None, "a trailed stop in profit"
    assert asked(first, done(START - 3 * HOUR, -1.0, reason="time_stop")) is None
    assert asked(first, second, direction=-1) is None
    assert asked(first, second, pair="ETH/USDT:USDT") is None
    next_week = account(at=START + 5 * DAY, closed=(first, second))
    assert answer(guards(), next_week) is None
    assert first.pair == PAIR


def test_days_begin_at_local_midnight_across_both_changes_of_the_clock():
    prague = Calendar("Europe/Prague")
    lengths = {}
    for day in (datetime(2024, 3, 31), datetime(2024, 10, 27), datetime(2024, 7, 1)):  # noqa: DTZ001
        start = day.replace(tzinfo=ZoneInfo("Europe/Prague")).timestamp()
        end = (day + DAY).replace(tzinfo=ZoneInfo("Europe/Prague")).timestamp()
        lengths[day.month] = (end - start) / 3600
        assert prague.day_start(start) == start
        assert prague.day_start(end - 1) == start
        assert prague.day_start(end) == end
        assert prague.day_start(start - 1) < start
    assert lengths == {3: 23, 10: 25, 7: 24}


def test_the_daily_limit_follows_the_local_day_when_the_clock_changes():
    # 31 March 2024: midnight in Prague is 23:00 UTC, the day after begins at 22:00 UTC.
    machine = guards(timezone="Europe/Prague")
    begin = datetime(2024, 3, 30, 23, tzinfo=UTC)
    machine.observe(account(100_000.0, begin))
    assert answer(machine, account(97_000.0, begin + 22 * HOUR)) is Reason.DAILY_LOSS
    assert answer(machine, account(97_000.0, begin + 23 * HOUR)) is None


@given(
    st.sampled_from(["UTC", "Europe/Prague", "America/New_York", "Asia/Kolkata", "Asia/Beirut"]),
    st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_every_moment_lies_in_its_own_day_and_week(zone, moment):
    now = moment.replace(tzinfo=UTC).timestamp()
    calendar = Calendar(zone)
    day, week = calendar.day_start(now), calendar.week_start(now)
    assert week <= day <= now < day + 26 * 3600
    assert now < week + 7 * 86400 + 7200
    local = datetime.fromtimestamp(day, tz=ZoneInfo(zone))
    assert local.date() == datetime.fromtimestamp(now, tz=ZoneInfo(zone)).date()
    assert datetime.fromtimestamp(week, tz=ZoneInfo(zone)).weekday() == 0


@pytest.mark.parametrize(
    ("rate", "losses"), [(0.80, 2), (0.65, 3), (0.50, 5), (0.40, 6), (0.27, 10), (0.235, 12)]
)
def test_the_streak_that_pauses_is_the_one_that_is_unlikely_at_the_measured_rate(rate, losses):
    trades = 100_000
    assert DayLimits().streak(round(rate * trades), trades) == losses


@pytest.mark.parametrize("losses", [1, 2, 3, 5, 20])
def test_before_trades_are_known_the_setting_says_how_many(losses):
    assert DayLimits(max_losses=losses).streak(0, 0) == losses


def test_a_system_that_seldom_wins_is_not_paused_by_what_is_usual_for_it():
    # Nine losses after each win: 10 % won.
    profits = ([50.0] + [-10.0] * 9) * 8
    closed = tuple(
        done(START + i * timedelta(minutes=1), profit) for i, profit in enumerate(profits)
    )
    minute = timedelta(minutes=1)
    usual = guards(day={"max_loss": 90.0, "max_weekly_drawdown": 90.0}, **CALM)
    usual.observe(account(at=START))
    paused = []
    for n in range(1, len(closed) + 1):
        at = START + n * minute
        usual.observe(account(at=at, closed=closed[:n]))
        paused.append(usual.ledger.paused_until)
    assert paused[3] > 0, "nothing is known yet: three losses pause"
    assert usual.ledger.streak_limit > 9
    assert len(set(paused[40:])) == 1, "nine are usual by then"
