"""H2 sentiment: as known at the candle, fresh or stale, agreeing or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluations import assert_votes_of, valid
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import START, candle_frame

from quorum.features.table import Features
from quorum.heads.base import Votes
from quorum.heads.sentiment import SentimentHead, SentimentHeadSettings
from quorum.market import Frames, Market, Records, build_market

HOURS = 240
START_MS = int(START.timestamp() * 1000)


def records_of(*rows: tuple[float, str, float, float]) -> Records:
    """Records of ``(hours after the start, source, score, weight)``."""
    # As in a file: of records known at the same time the order is kept.
    rows = tuple(sorted(rows, key=lambda row: row[0]))
    sources = tuple(sorted({row[1] for row in rows}))
    return Records(
        known_at=np.array([START_MS + int(row[0] * 3_600_000) for row in rows], dtype=np.int64),
        columns={
            "score": np.array([row[2] for row in rows], dtype=np.float64),
            "weight": np.array([row[3] for row in rows], dtype=np.float64),
            "source": np.array([sources.index(row[1]) for row in rows], dtype=np.int64),
        },
        labels={"source": sources},
    )


def market_with(records: Records | None) -> Market:
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(HOURS)))
    return replace(market, records={} if records is None else {"sentiment": records})


def vote(*rows: tuple[float, str, float, float], **changes: object) -> Votes:
    market = market_with(records_of(*rows) if rows else None)
    head = SentimentHead(SentimentHeadSettings(**changes))
    return head.vote(market, Features(len(market)))


def reason(votes: Votes, t: int) -> str:
    return SentimentHead.reason_text(int(votes.reason[t]))


def test_without_records_the_head_abstains():
    assert not vote().available.any()
    empty = market_with(records_of((0, "news", 0.0, 1.0)).until(0))
    assert not SentimentHead().vote(empty, Features(HOURS)).available.any()


def test_a_record_is_seen_by_the_first_candle_that_closes_after_it():
    votes = vote((10.5, "fear_greed", -0.8, 1.0))
    assert not votes.available[:10].any()  # the tenth closes at 10:00
    assert votes.available[10]
    assert valid(votes)[10]


def test_a_record_known_exactly_at_the_close_is_seen():
    assert vote((10, "fear_greed", -0.8, 1.0)).available[9]


def test_fresh_extreme_fear_alone_is_a_valid_long_vote():
    votes = vote((0, "fear_greed", -0.8, 1.0))
    assert valid(votes)[:24].all()
    assert votes.direction[0] == 1
    assert votes.probability[0] == pytest.approx(0.82)
    assert votes.confidence[0] == pytest.approx(0.74)
    assert reason(votes, 0) == "extreme_fear"


def test_extreme_greed_is_the_mirror_image_of_extreme_fear():
    fear, greed = vote((0, "fear_greed", -0.8, 1.0)), vote((0, "fear_greed", 0.8, 1.0))
    np.testing.assert_array_equal(fear.direction, -greed.direction)
    np.testing.assert_array_equal(fear.probability, greed.probability)
    np.testing.assert_array_equal(fear.confidence, greed.confidence)
    assert reason(greed, 0) == "extreme_greed"


def test_an_index_that_has_not_been_renewed_grows_stale_and_then_abstains():
    votes = vote((0, "fear_greed", -0.8, 1.0))
    assert not valid(votes)[30:].any()
    assert (np.diff(votes.confidence[24:90]) <= 0).all()
    assert votes.available[95]
    assert not votes.available[96:].any()


@pytest.mark.parametrize("score", [-0.48, -0.2, 0.0, 0.3, 0.49])
def test_a_lukewarm_index_says_nothing(score):
    votes = vote((0, "fear_greed", score, 1.0))
    assert votes.available[0]
    assert not votes.direction.any()


def test_the_last_index_counts_not_the_mean_of_the_days():
    votes = vote((0, "fear_greed", -0.9, 1.0), (24, "fear_greed", 0.0, 1.0))
    assert votes.direction[22] == 1
    assert votes.direction[24] == 0


def test_read_with_the_trend_the_index_votes_the_other_way():
    votes = vote((0, "fear_greed", -0.8, 1.0), fear_greed_reading="trend")
    assert votes.direction[0] == -1
    assert reason(votes, 0) == "extreme_fear"


def test_probability_is_at_most_its_maximum():
    assert vote((0, "fear_greed", -1.0, 1.0)).probability[0] == pytest.approx(0.9)


def test_one_headline_is_not_enough_but_many_votes_are():
    assert not valid(vote((0, "news:site", 0.9, 1.0))).any()
    assert valid(vote((1, "news:site", 0.9, 8.0)))[0]


def test_news_is_read_with_the_crowd_and_decays():
    votes = vote((1, "news:site", 0.9, 3.0))
    assert votes.direction[0] == 1
    assert reason(votes, 0) == "news"
    assert votes.confidence[6] == pytest.approx(votes.confidence[0] / 2, abs=1e-4)


def test_headlines_are_averaged_by_weight_and_age():
    votes = vote((1, "news:site", 1.0, 3.0), (7, "news:site", -1.0, 3.0))
    # After one half-life the older weighs half: (-3 + 1.5) / 4.5.
    assert votes.readings["score"][6] == pytest.approx(-1 / 3)


def test_agreeing_sources_raise_confidence_and_disagreeing_ones_lower_it():
    one = vote((0, "fear_greed", -0.8, 1.0)).confidence[0]
    rows = (0, "fear_greed", -0.8, 1.0), (1, "news:site", 0.8, 5.0)
    agreeing = vote(*rows)
    assert agreeing.confidence[0] == pytest.approx(0.83)
    assert agreeing.confidence[0] > one
    assert reason(agreeing, 0) == "extreme_fear+news"
    against = vote(rows[0], (1, "news:site", -0.4, 5.0))
    assert against.confidence[0] < one
    assert "sources_disagree" in reason(against, 0)


def test_sources_that_cancel_out_make_no_vote():
    votes = vote((1, "news:one", 0.8, 3.0), (1, "news:other", -0.8, 3.0))
    assert votes.available[0]
    assert votes.direction[0] == 0


def test_an_unknown_source_counts_as_other():
    assert reason(vote((1, "analyst", 0.9, 6.0)), 0) == "other"


def test_records_without_weight_are_silent():
    votes = vote((1, "news:site", 0.9, 0.0))
    assert not votes.direction.any()


ROWS = st.lists(
    st.tuples(
        st.floats(-50, HOURS + 20),
        st.sampled_from(["fear_greed", "news:a", "news:b", "social", "x"]),
        st.floats(-1, 1),
        st.floats(0, 5),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, HOURS))
def test_no_vote_is_rewritten_by_later_records(rows, n):
    market = market_with(records_of(*rows))
    whole = SentimentHead().vote(market, Features(HOURS))
    part = SentimentHead().vote(market.head(n), Features(n))
    assert_votes_of(part, whole)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_the_opposite_mood_votes_the_other_way(rows):
    votes = vote(*rows)
    image = vote(*((hour, source, -score, weight) for hour, source, score, weight in rows))
    np.testing.assert_array_equal(votes.available, image.available)
    np.testing.assert_array_equal(votes.direction, -image.direction)
    np.testing.assert_array_equal(votes.probability, image.probability)
    np.testing.assert_array_equal(votes.confidence, image.confidence)
