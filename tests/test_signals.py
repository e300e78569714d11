"""Signals: votes read back from published columns, the gate, and finding a candle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import NAMES, WEIGHTS, agreeing, published, table_of

from quorum.candles import epoch_ms
from quorum.consensus import ConsensusSettings, VoteTable
from quorum.market import Frames, build_market
from quorum.settings import Settings
from quorum.signals import decide, read_votes


@pytest.mark.parametrize(
    ("changes", "trades"),
    [
        ({}, True),
        ({"tradable": False}, False),
        ({"atr": math.nan}, False),
        ({"atr": 0.0}, False),
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


def test_calibrated_confidences_take_the_place_of_those_the_heads_stated():
    frame = published([agreeing(5, 0.8, 0.8), agreeing(5, 0.8, 0.8)])
    time, consensus = epoch_ms(frame["date"]), Settings().consensus
    calibrated = np.full((2, len(NAMES)), 0.72)
    calibrated[1] = 0.69
    table = decide(frame, time, NAMES, WEIGHTS, consensus, confidence=calibrated)
    stated = decide(frame, time, NAMES, WEIGHTS, consensus)
    assert table.entry.tolist() == [1, 0]
    assert table.consensus.confidence[0] == pytest.approx(stated.consensus.confidence[0] - 0.08)
    np.testing.assert_array_equal(table.votes.confidence, calibrated)


def test_weights_per_candle_decide_each_candle_s_probability():
    row = [(1, 0.6, 0.8)] * 2 + [(1, 0.9, 0.8)] * 2 + [(0, 0.5, 0.0)] * 5
    frame = published([row, row])
    weights = np.zeros((2, len(NAMES)))
    weights[0, :2], weights[1, 2:4] = 1.0, 1.0
    table = decide(frame, epoch_ms(frame["date"]), NAMES, weights, Settings().consensus)
    np.testing.assert_allclose(table.consensus.probability, [0.6, 0.9])
