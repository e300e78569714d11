"""Consensus: the worked example of spec C8 and the edges of C2-C10."""

from __future__ import annotations

import numpy as np
import pytest
from evaluations import varied
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.consensus import (
    Band,
    ConsensusSettings,
    Quality,
    VoteTable,
    bands,
    tally,
    valid_votes,
)
from quorum.heads import HEADS

WEIGHTS = {
    "technical": 0.13,
    "sentiment": 0.09,
    "volume": 0.13,
    "rules": 0.09,
    "ict": 0.13,
    "wyckoff": 0.13,
    "harmonic": 0.09,
    "structure": 0.09,
    "crypto": 0.12,
}
NAMES = tuple(WEIGHTS)


def table(rows: list[list[tuple[int, float, float] | None]], heads=NAMES) -> VoteTable:
    """Build a vote table; None is an abstention."""
    votes = [[v or (0, 0.5, 0.0) for v in row] for row in rows]
    shape = (len(rows), len(rows[0]))
    return VoteTable(
        heads=heads[: shape[1]],
        direction=np.array([[v[0] for v in r] for r in votes], np.int8).reshape(shape),
        probability=np.array([[v[1] for v in r] for r in votes], float).reshape(shape),
        confidence=np.array([[v[2] for v in r] for r in votes], float).reshape(shape),
        reason=np.zeros(shape, np.int64),
        available=np.array([[v is not None for v in r] for r in rows]).reshape(shape),
    )


C8 = [
    (1, 0.75, 0.80),
    (-1, 0.55, 0.65),
    (1, 0.78, 0.82),
    (0, 0.50, 0.60),
    (1, 0.88, 0.84),
    (1, 0.90, 0.86),
    (-1, 0.68, 0.72),
    (0, 0.52, 0.65),
    (1, 0.83, 0.80),
]


def test_the_weights_of_the_nine_heads_are_those_of_the_specification():
    assert {head.name: head.weight for head in HEADS[:9]} == WEIGHTS


def test_the_worked_example_c8_comes_out_as_written():
    result = tally(table([C8]), WEIGHTS)

    assert result.direction[0] == 1
    assert result.agreeing[0] == 5
    assert result.available[0] == 9
    assert result.probability[0] == pytest.approx(0.828, abs=5e-4)
    assert result.confidence[0] == pytest.approx(0.824 + 0.03 + 0.05)
    assert bands(result.confidence, ConsensusSettings())[0] == Band.VERY_HIGH


def test_the_mirror_of_c8_is_a_short_of_the_same_strength():
    mirror = [(-d, p, c) for d, p, c in C8]
    long, short = tally(table([C8]), WEIGHTS), tally(table([mirror]), WEIGHTS)

    assert short.direction[0] == -1
    assert short.probability[0] == long.probability[0]
    assert short.confidence[0] == long.confidence[0]
    assert short.confluence[0] == pytest.approx(100 - long.confluence[0])


def test_confluence_is_the_weighted_mean_of_p_long_over_the_available_heads():
    # P(long): .75, .45, .78, .5, .88, .90, .32, .5 (flat), .83 times the weights of H0.
    expected = 100 * (
        0.13 * (0.75 + 0.78 + 0.88 + 0.90) + 0.09 * (0.45 + 0.5 + 0.32 + 0.5) + 0.12 * 0.83
    )
    assert tally(table([C8]), WEIGHTS).confluence[0] == pytest.approx(expected)


def test_confluence_is_fifty_when_no_head_is_available():
    result = tally(table([[None] * 9]), WEIGHTS)
    assert result.confluence[0] == 50.0
    assert result.direction[0] == 0


@pytest.mark.parametrize(
    ("probability", "confidence", "valid"),
    [(0.60, 0.70, True), (0.5999, 0.70, False), (0.60, 0.6999, False), (0.9, 0.9, True)],
)
def test_a_vote_is_valid_from_the_thresholds_of_c2_upwards(probability, confidence, valid):
    row = [(1, probability, confidence)] * 4 + [(0, 0.5, 0.0)] * 5
    assert (tally(table([row]), WEIGHTS).direction[0] == 1) == valid


def test_three_valid_votes_are_no_quorum_and_four_are():
    three = [(1, 0.8, 0.8)] * 3 + [(0, 0.5, 0.0)] * 6
    four = [(1, 0.8, 0.8)] * 4 + [(0, 0.5, 0.0)] * 5
    result = tally(table([three, four]), WEIGHTS)
    assert result.direction.tolist() == [0, 1]
    assert result.confidence[0] == 0.0


def test_a_tie_is_no_consensus():
    row = [(1, 0.8, 0.8)] * 4 + [(-1, 0.8, 0.8)] * 4 + [(0, 0.5, 0.0)]
    assert tally(table([row]), WEIGHTS).direction[0] == 0


def test_the_quorum_grows_with_the_available_heads():
    names = tuple(f"head{i}" for i in range(14))
    weights = dict.fromkeys(names, 1.0)
    # 0.44 * 14 = 6.16: seven of fourteen are needed.
    six = [(1, 0.8, 0.8)] * 6 + [(0, 0.5, 0.0)] * 8
    seven = [(1, 0.8, 0.8)] * 7 + [(0, 0.5, 0.0)] * 7
    assert tally(table([six, seven], names), weights).direction.tolist() == [0, 1]


def test_abstaining_heads_are_not_counted_as_available():
    row = [(1, 0.8, 0.8)] * 4 + [None] * 5
    result = tally(table([row]), WEIGHTS)
    assert result.available[0] == 4
    assert result.direction[0] == 1


@pytest.mark.parametrize(
    ("agreeing", "bonus"), [(4, 0.0), (5, 0.03), (6, 0.06), (7, 0.09), (8, 0.12), (9, 0.15)]
)
def test_agreement_earns_the_bonus_of_c5(agreeing, bonus):
    row = [(1, 0.7, 0.7)] * agreeing + [(0, 0.5, 0.0)] * (9 - agreeing)
    assert tally(table([row]), WEIGHTS).confidence[0] == pytest.approx(0.7 + bonus + 0.02)


@pytest.mark.parametrize(
    ("probability", "bonus"), [(0.60, 0.02), (0.74, 0.02), (0.75, 0.05), (0.85, 0.08)]
)
def test_strength_earns_the_bonus_of_c5(probability, bonus):
    row = [(1, probability, 0.7)] * 4 + [(0, 0.5, 0.0)] * 5
    assert tally(table([row]), WEIGHTS).confidence[0] == pytest.approx(0.7 + bonus)


def test_confidence_is_capped_at_one():
    assert tally(table([[(1, 0.95, 0.99)] * 9]), WEIGHTS).confidence[0] == 1.0


@pytest.mark.parametrize(
    ("confidence", "band"),
    [
        (0.0, Band.INSUFFICIENT),
        (0.6499, Band.INSUFFICIENT),
        (0.65, Band.MEDIUM),
        (0.75, Band.HIGH),
        (0.8499, Band.HIGH),
        (0.85, Band.VERY_HIGH),
        (1.0, Band.VERY_HIGH),
    ],
)
def test_bands_begin_at_their_edges(confidence, band):
    settings = ConsensusSettings()
    assert settings.band(confidence) == band
    assert bands(np.array([confidence]), settings)[0] == band


@pytest.mark.parametrize(
    ("confidence", "agreeing", "quality"),
    [
        (0.85, 7, Quality.EXCELLENT),
        (0.85, 6, Quality.GOOD),
        (0.84, 7, Quality.GOOD),
        (0.75, 5, Quality.GOOD),
        (0.75, 4, Quality.ACCEPTABLE),
        (0.68, 4, Quality.ACCEPTABLE),
    ],
)
def test_quality_needs_confidence_and_agreement(confidence, agreeing, quality):
    assert ConsensusSettings().quality(confidence, agreeing) == quality


def test_bands_out_of_order_are_refused():
    with pytest.raises(ValueError, match="bands must rise"):
        ConsensusSettings(medium=0.8, high=0.7)


vote = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from([-1, 0, 1]),
        st.integers(5000, 10000).map(lambda x: x / 1e4),
        st.integers(0, 10000).map(lambda x: x / 1e4),
    ),
)


@given(st.lists(st.lists(vote, min_size=9, max_size=9), min_size=1, max_size=8))
@settings(deadline=None)
def test_any_votes_give_a_consensus_within_its_bounds_and_by_the_count(rows):
    result = tally(table(rows), WEIGHTS)
    for t, row in enumerate(rows):
        valid = [v[0] for v in row if v and v[0] and v[1] >= 0.6 and v[2] >= 0.7]
        longs, shorts = valid.count(1), valid.count(-1)
        needed = max(4, int(np.ceil(0.44 * sum(v is not None for v in row))))
        met = longs != shorts and max(longs, shorts) >= needed
        assert result.direction[t] == (np.sign(longs - shorts) if met else 0)
        assert 0 <= result.confluence[t] <= 100
        assert (result.confidence[t] > 0) == met
        assert result.confidence[t] <= 1


# Effective heads, weights per candle ------------------------------------------------------


def same_votes(n: int, rows: list[tuple[int, float, float]]) -> VoteTable:
    return table([rows] * n)


LONGS = [(1, 0.8, 0.8)] * 4 + [(0, 0.5, 0.0)] * 5


def test_without_correlation_the_effective_number_is_the_plain_count():
    result = tally(table([C8]), WEIGHTS)
    assert result.effective.tolist() == [5.0]


def test_four_copies_of_one_opinion_are_no_quorum_of_independent_heads():
    votes = same_votes(60, LONGS)
    plain = tally(votes, WEIGHTS)
    counted = tally(votes, WEIGHTS, varied(ConsensusSettings, effective=True, effective_window=50))
    assert plain.direction.tolist() == [1] * 60
    # Until the window is full nothing is known of their correlation.
    assert counted.direction.tolist() == [1] * 49 + [0] * 11
    assert counted.effective.tolist() == [4.0] * 49 + [1.0] * 11
    assert counted.agreeing.tolist() == [4] * 60
    assert counted.confluence.tolist() == plain.confluence.tolist()


def test_four_independent_heads_remain_a_quorum_of_a_little_less():
    rng = np.random.default_rng(3)
    history = [[(int(s), 0.8, 0.6) for s in rng.choice([-1, 1], 9)] for _ in range(400)]
    votes = table([*history, LONGS])
    settings = varied(
        ConsensusSettings, effective=True, effective_window=400, quorum=3, quorum_share=0.3
    )
    result = tally(votes, WEIGHTS, settings)
    assert result.direction[-1] == 1
    assert 3.0 < result.effective[-1] < 4.0
    strict = settings.model_copy(update={"quorum": 4})
    assert tally(votes, WEIGHTS, strict).direction[-1] == 0


def test_two_independent_heads_outvote_three_copies():
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(200):
        copied, *free = (int(s) for s in rng.choice([-1, 1], 3))
        rows.append([(copied, 0.8, 0.6)] * 3 + [(s, 0.8, 0.6) for s in free])
    rows.append([(1, 0.8, 0.8)] * 3 + [(-1, 0.8, 0.8)] * 2)
    votes = table(rows)
    lenient = {"quorum": 1, "quorum_share": 0.1}
    plain = tally(votes, WEIGHTS, ConsensusSettings(**lenient))
    counted = tally(
        votes, WEIGHTS, varied(ConsensusSettings, effective=True, effective_window=200, **lenient)
    )
    assert (plain.direction[-1], plain.agreeing[-1]) == (1, 3)
    assert (counted.direction[-1], counted.agreeing[-1]) == (-1, 2)
    assert counted.effective[-1] > 1.7


def test_an_array_of_the_same_weights_changes_nothing():
    rows = [C8, LONGS, [(-d, p, c) for d, p, c in C8]]
    fixed = tally(table(rows), WEIGHTS)
    track = tally(table(rows), np.tile(list(WEIGHTS.values()), (3, 1)))
    for name in ("direction", "agreeing", "probability", "confidence", "confluence"):
        np.testing.assert_array_equal(getattr(fixed, name), getattr(track, name))


def test_each_candle_has_its_own_weights():
    row = [(1, 0.6, 0.8), (1, 0.9, 0.8), (1, 0.7, 0.8), (1, 0.7, 0.8)]
    weights = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0]])
    result = tally(table([row] * 3), weights)
    np.testing.assert_allclose(result.probability, [0.6, 0.9, 0.75])
    np.testing.assert_allclose(result.confluence, [60, 90, 75])


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"weights: shape \(2, 9\), votes have \(1, 9\)"):
        tally(table([C8]), np.ones((2, 9)))


def test_valid_votes_are_those_of_c2():
    assert valid_votes(table([C8]), ConsensusSettings()).tolist() == [[1, 0, 1, 0, 1, 1, -1, 0, 1]]
