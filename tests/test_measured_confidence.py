"""Measured confidence: what signals did drives band, promise and size (spec C12)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from published import agreeing, published, table_of

from quorum.bot.models import BotModels, measures
from quorum.candles import DAY_MS
from quorum.confidence import (
    LEAST,
    MeasuredSettings,
    Measures,
    Outcomes,
    no_outcomes,
    spread_weight,
)
from quorum.consensus import Band
from quorum.entry import Account, draw_up
from quorum.errors import DataError
from quorum.market import HOUR_MS
from quorum.measured import OutcomePool, outcome_file
from quorum.settings import Settings, load_settings
from quorum.signals import SignalTable

PAIR = "X/USDT:USDT"


def outcomes(n: int, win_rate, won_r: float, stated=0.9, side: int = 1, start: int = 0) -> Outcomes:
    """Return outcomes a day apart, won in the given proportion, else -1 R."""
    time = start + np.arange(n, dtype=np.int64) * DAY_MS
    share = np.broadcast_to(np.asarray(win_rate, dtype=np.float64), n)
    won = np.floor(np.cumsum(share) + 1e-9) > np.floor(np.cumsum(share) - share + 1e-9)
    return Outcomes(
        time,
        time + 6 * HOUR_MS,
        np.full(n, side, np.int8),
        np.full(n, stated),
        np.ones(n),
        np.where(won, won_r, -1.0),
    )


def pool_of(*parts: Outcomes) -> OutcomePool:
    pool = OutcomePool()
    pool.parts = {f"{i}/USDT": part for i, part in enumerate(parts)}
    return pool


def signal_at(day: int, side: int = 1, settings: Settings | None = None, **columns) -> SignalTable:
    """Return the table of one very confident signal of nine heads at noon of a day."""
    frame = published([agreeing(9, 0.80, 0.80, side)], **columns)
    table = table_of(frame, settings)
    return replace(table, time=np.array([day * DAY_MS + 11 * HOUR_MS]))


def judged(pool: OutcomePool, table: SignalTable, **consensus) -> SignalTable:
    s = load_settings({"consensus": consensus})
    return pool.judge(table, HOUR_MS, s.consensus)


ENOUGH = int(LEAST) + 50


def test_too_few_outcomes_leave_confidence_as_stated():
    table = signal_at(400)
    few = judged(pool_of(outcomes(int(LEAST) - 1, 0.9, 3.0)), table)
    assert few.band[0] == table.band[0] == Band.VERY_HIGH
    assert few.confidence[0] == table.consensus.confidence[0]
    assert few.expectation(0) is None
    assert np.isnan(few.measured.win_rate[0])


def test_what_lost_is_the_smallest_size_or_no_trade():
    pool, table = pool_of(outcomes(ENOUGH, 0.25, 2.0)), signal_at(400)
    smallest = judged(pool, table)
    assert (smallest.entry[0], smallest.band[0]) == (1, Band.MEDIUM)
    assert smallest.measured.expected_r[0] == pytest.approx(0.25 * 3 - 1, abs=0.02)
    signal = draw_up(smallest, 0, PAIR, 100.0, Account(100_000.0), Settings())
    assert signal.position_size_pct == pytest.approx(1.0)
    assert signal.consensus_confidence == table.consensus.confidence[0]
    assert signal.measured_confidence == pytest.approx(0.65)
    assert signal.expected_win_rate == pytest.approx(0.25, abs=0.02)
    assert signal.expected_r == pytest.approx(-0.25, abs=0.02)
    assert signal.promise.endswith("(measured)")
    refused = judged(pool, table, measured={"losing": "refuse"})
    assert (refused.entry[0], refused.band[0]) == (0, Band.INSUFFICIENT)


def test_what_won_is_sized_by_what_it_returned():
    for rate, band in ((0.36, Band.MEDIUM), (0.40, Band.HIGH), (0.60, Band.VERY_HIGH)):
        table = judged(pool_of(outcomes(ENOUGH, rate, 2.0)), signal_at(400))
        assert (table.entry[0], table.band[0]) == (1, band), rate
        assert table.measured.expected_r[0] == pytest.approx(3 * rate - 1, abs=0.03)


def test_the_plan_of_the_exits_stays_with_the_stated_band():
    table = judged(pool_of(outcomes(ENOUGH, 0.25, 2.0)), signal_at(400))
    signal = draw_up(table, 0, PAIR, 100.0, Account(100_000.0), Settings())
    assert (signal.confidence_band, signal.risk_reward_ratio) == ("medium", 3.0)


def test_stated_confidence_stays_available():
    pool = pool_of(outcomes(ENOUGH, 0.25, 2.0))
    stated = load_settings({"consensus": {"confidence": "stated"}})
    assert measures(Settings())
    assert not measures(stated)
    models = BotModels(Path("nowhere"), stated, "1h", outcomes=pool)
    frame = published([agreeing(9, 0.80, 0.80)])
    table = models.decide(
        frame, np.array([400 * DAY_MS]), table_of(frame).votes.heads, stated.head_weights(),
        stated.consensus,
    )  # fmt: skip
    assert table.measured is None
    assert table.band[0] == Band.VERY_HIGH


def test_each_side_is_measured_for_itself():
    pool = pool_of(outcomes(300, 0.6, 2.0), outcomes(300, 0.2, 2.0, side=-1))
    long, short = (judged(pool, signal_at(400, side)) for side in (1, -1))
    assert long.measured.expected_r[0] > 0.5 > 0 > -0.2 > short.measured.expected_r[0]


def test_little_evidence_is_held_towards_the_base_rate():
    many, few = outcomes(400, 0.3, 2.0), outcomes(5, 1.0, 2.0, stated=0.97)
    s = Measures(
        Outcomes(*(np.concatenate(p) for p in zip(_arrays(many), _arrays(few), strict=True)))
    )
    found = s.at(np.full(2, 450 * DAY_MS), np.ones(2, np.int8), np.array([0.9, 0.97]))
    assert found.win_rate[0] == pytest.approx(0.31, abs=0.01)
    assert found.win_rate[0] < found.win_rate[1] < 0.45


def _arrays(o: Outcomes):
    return (o.time, o.known_at, o.direction, o.stated, o.weight, o.r)


@given(st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_measure_never_falls_with_the_stated_confidence(seed):
    rng = np.random.default_rng(seed)
    o = random_outcomes(rng, 600)
    stated = np.linspace(0.65, 1.0, 36)
    for side in (1, -1):
        found = Measures(o).at(np.full(36, 500 * DAY_MS), np.full(36, side, np.int8), stated)
        assert np.all(np.diff(found.win_rate) >= -1e-9)
        assert np.all(np.diff(found.expectancy) >= -1e-9)
        assert np.all((found.win_rate >= 0) & (found.win_rate <= 1))


def random_outcomes(rng: np.random.Generator, n: int) -> Outcomes:
    time = np.sort(rng.integers(0, 500 * 24, n)) * HOUR_MS
    direction = rng.choice(np.array([1, -1], np.int8), n)
    return Outcomes(
        time,
        time + rng.integers(1, 168, n) * HOUR_MS,
        direction,
        rng.uniform(0.65, 1.0, n),
        spread_weight(time, direction),
        rng.choice([-1.05, 0.4, 2.0], n),
    )


@given(st.integers(0, 2**32 - 1), st.integers(100, 499))
@hypothesis_settings(max_examples=25, deadline=None)
def test_what_is_settled_later_changes_nothing(seed, day):
    rng = np.random.default_rng(seed)
    o = random_outcomes(rng, 600)
    at = (np.full(20, day * DAY_MS + 5 * HOUR_MS), rng.choice(np.array([1, -1], np.int8), 20),
          rng.uniform(0.65, 1, 20))  # fmt: skip
    known = o.known_at < (day - 1) * DAY_MS
    garbled = replace(
        o,
        r=np.where(known, o.r, 50.0),
        known_at=np.where(known, o.known_at, o.known_at + 7 * HOUR_MS),
    )
    for other in (o.take(known), garbled):
        for a, b in zip(Measures(o).at(*at), Measures(other).at(*at), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-9)


def test_signals_of_one_day_count_as_one():
    time = np.arange(48, dtype=np.int64) * HOUR_MS
    weight = spread_weight(time, np.ones(48, np.int8))
    assert weight[0] == 1.0
    assert weight[-1] == pytest.approx(1 / 24)
    both = spread_weight(time, np.tile(np.array([1, -1], np.int8), 24))
    assert both[-1] == pytest.approx(1 / 12)


def test_an_expectancy_stands_for_the_confidence_of_its_band():
    s, edges = MeasuredSettings(), (0.65, 0.75, 0.85)
    found = s.confidence(np.array([0.0, 0.075, 0.15, 0.30, 0.45, 9.0, -9.0, np.nan]), edges)
    np.testing.assert_allclose(found, [0.65, 0.70, 0.75, 0.85, 0.95, 1.0, 0.0, np.nan])


def test_no_outcomes_measure_nothing():
    found = Measures(no_outcomes()).at(np.array([DAY_MS]), np.ones(1, np.int8), np.array([0.9]))
    assert np.isnan(found.win_rate[0])


def test_a_file_of_outcomes_is_read_as_it_was_written(tmp_path):
    path = outcome_file(tmp_path / "kept", Settings(), "1h")
    pool = OutcomePool(path, keep=True)
    pool.parts = {"A/USDT": outcomes(5, 0.4, 2.0), "B/USDT": outcomes(3, 0.4, 2.0, side=-1)}
    pool.save()
    again = OutcomePool(path)
    assert again.parts.keys() == pool.parts.keys()
    for pair, part in pool.parts.items():
        for a, b in zip(_arrays(part), _arrays(again.parts[pair]), strict=True):
            np.testing.assert_array_equal(a, b)
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="outcomes of earlier signals cannot be read"):
        OutcomePool(path)


def test_outcomes_belong_to_what_decides_them(tmp_path):
    def file(section) -> str:
        return outcome_file(tmp_path, load_settings(section), "1h").name

    same = file({})
    assert file({"consensus": {"gate": 0.9, "measured": {"losing": "refuse"}}}) == same
    assert file({"sizing": {"max_percent": 5.0}}) == same
    assert file({"consensus": {"quorum": 5}}) != same
    assert file({"exits": {"target": {"swing_margin": 1.0}}}) != same
