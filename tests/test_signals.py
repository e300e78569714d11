"""Signals: published columns, the signal record, and scenario 1 of spec E."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import START

from quorum.candles import epoch_ms
from quorum.consensus import ConsensusSettings, VoteTable
from quorum.heads import HEADS
from quorum.market import Frames, build_market
from quorum.settings import Settings
from quorum.signals import Account, Signal, decide, make_signal, read_votes

NAMES = tuple(head.name for head in HEADS)
WEIGHTS = {head.name: head.weight for head in HEADS}


def published(
    rows: list[list[tuple[int, float, float] | None]], *, close=100.0, atr=1.0, **columns
) -> pd.DataFrame:
    """Return a frame with published votes; None abstains."""
    n = len(rows)
    data = {
        "date": pd.date_range(START, periods=n, freq="1h").as_unit("ms"),
        "close": np.full(n, close),
        "atr": np.full(n, atr),
        "swing_high_near": np.full(n, np.nan),
        "swing_low_near": np.full(n, np.nan),
        "tradable": np.ones(n, bool),
        **columns,
    }
    for h, name in enumerate(NAMES):
        votes = [row[h] for row in rows]
        data[f"vote_{name}"] = np.array(
            [np.nan if v is None else v[0] * v[1] for v in votes], np.float32
        )
        data[f"confidence_{name}"] = np.array([v[2] if v else 0.0 for v in votes], np.float32)
        data[f"reason_{name}"] = np.array([1 if v and v[0] else 0 for v in votes], np.int64)
    return pd.DataFrame(data)


def table_of(frame: pd.DataFrame, settings: Settings | None = None):
    return decide(
        frame, epoch_ms(frame["date"]), NAMES, WEIGHTS, (settings or Settings()).consensus
    )


def agreeing(count: int, probability: float, confidence: float, side: int = 1):
    return [(side, probability, confidence)] * count + [(0, 0.5, 0.0)] * (9 - count)


def test_scenario_1_of_the_specification_comes_out_as_written():
    # 7 of 9, consensus confidence .92: .78 + .09 (seven agree) + .05 (mean probability .80).
    frame = published([agreeing(7, 0.80, 0.78)], close=43250.0, atr=300.0)
    signal = make_signal(
        table_of(frame), 0, "BTC/USDT:USDT", 43250.0, Account(100_000.0), Settings()
    )
    assert signal.direction == 1
    assert (signal.agreeing_heads, signal.total_heads) == (7, 9)
    assert signal.consensus_confidence == pytest.approx(0.92)
    assert signal.confidence_band == "very_high"
    assert signal.signal_quality == "excellent"
    assert signal.stop_loss == pytest.approx(42800.0)
    assert signal.take_profit == pytest.approx(44600.0)
    assert signal.risk_reward_ratio == pytest.approx(3.0)
    assert signal.position_size_pct == pytest.approx(2.7)
    assert signal.position_size_quote == pytest.approx(2700.0)
    assert signal.risk_amount == pytest.approx(2700 * 450 / 43250)
    assert signal.reward_amount == pytest.approx(3 * signal.risk_amount)
    assert signal.expected_win_rate == 0.80
    assert signal.tag == "7/9 very_high"


def test_what_later_steps_know_is_unknown_and_not_guessed():
    frame = published([agreeing(5, 0.80, 0.80)])
    signal = make_signal(table_of(frame), 0, "X", 100.0, Account(1e5), Settings())
    assert signal.liquidation_risk_detected is None
    assert signal.extreme_leverage_detected is None
    assert signal.entry_zone_status is None
    assert signal.regime is None


def test_a_short_mirrors_a_long():
    long = published([agreeing(5, 0.8, 0.8)])
    short = published([agreeing(5, 0.8, 0.8, side=-1)])
    a = make_signal(table_of(long), 0, "X", 100.0, Account(1e5), Settings())
    b = make_signal(table_of(short), 0, "X", 100.0, Account(1e5), Settings())
    assert b.direction == -1
    assert b.stop_loss - 100 == pytest.approx(100 - a.stop_loss)
    assert 100 - b.take_profit == pytest.approx(a.take_profit - 100)


def test_a_signal_survives_json_with_every_field():
    frame = published([agreeing(5, 0.8, 0.8)])
    signal = make_signal(table_of(frame), 0, "X", 100.0, Account(1e5), Settings())
    stored = json.loads(json.dumps(signal.model_dump(mode="json")))
    assert Signal.model_validate(stored) == signal
    assert set(stored["votes"]) == set(NAMES)


def test_a_row_without_a_signal_cannot_be_turned_into_one():
    table = table_of(published([agreeing(3, 0.8, 0.8)]))
    with pytest.raises(ValueError, match="row 0 has no signal"):
        make_signal(table, 0, "X", 100.0, Account(1e5), Settings())


@pytest.mark.parametrize(
    ("changes", "trades"),
    [
        ({}, True),
        ({"tradable": [False]}, False),
        ({"atr": [math.nan]}, False),
        ({"atr": [0.0]}, False),
    ],
)
def test_the_gate_needs_a_tradable_candle_and_a_usable_atr(changes, trades):
    table = table_of(published([agreeing(5, 0.8, 0.8)], **changes))
    assert (table.entry[0] == 1) == trades


def test_consensus_under_the_gate_does_not_trade():
    frame = published([agreeing(4, 0.62, 0.70)])
    strict = Settings(consensus=ConsensusSettings(gate=0.75, medium=0.65))
    assert table_of(frame).entry[0] == 1
    assert table_of(frame, strict).entry[0] == 0


vote = st.one_of(
    st.none(),
    st.just((0, 0.5, 0.0)),
    st.tuples(
        st.sampled_from([-1, 1]),
        st.integers(1, 10000).map(lambda x: x / 1e4),
        st.integers(0, 10000).map(lambda x: x / 1e4),
    ),
)


@given(st.lists(st.lists(vote, min_size=9, max_size=9), min_size=1, max_size=5))
def test_votes_read_back_from_published_columns_are_exactly_those_cast(rows):
    votes: VoteTable = read_votes(published(rows), NAMES)
    for t, row in enumerate(rows):
        for h, v in enumerate(row):
            assert votes.available[t, h] == (v is not None)
            expected = v or (0, 0.5, 0.0)
            got = (votes.direction[t, h], votes.probability[t, h], votes.confidence[t, h])
            assert got == expected


@given(st.integers(2, 200), st.sets(st.integers(1, 198), max_size=20))
def test_every_candle_is_found_by_its_time_with_and_without_gaps(n, missing):
    frame = published([agreeing(4, 0.8, 0.8)] * n)
    frame = frame.drop(index=[m for m in missing if m < n - 1]).reset_index(drop=True)
    table = table_of(frame)
    for row, time in enumerate(table.time):
        assert table.row_at(int(time)) == row
        assert table.row_at(int(time) + 1) is None
    assert table.row_at(int(table.time[0]) - 3_600_000) is None
    assert table.row_at(int(table.time[-1]) + 3_600_000) is None


def test_an_empty_market_has_no_candle_to_find():
    frame = published([agreeing(4, 0.8, 0.8)]).iloc[:0]
    assert table_of(frame).row_at(0) is None


def test_prices_of_candles_are_checked_before_anything_is_computed():
    frame = published([agreeing(4, 0.8, 0.8)])
    with pytest.raises(ValueError, match="missing"):
        build_market("X/USDT", "1h", Frames(frame))
