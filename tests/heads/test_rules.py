from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from evaluations import assert_votes_of, valid, with_constants
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import full_market
from pattern_markets import CHARTS, HAMMER, RANGE, Candle, drawn, mirrored, patterns_of

from quorum.heads.base import Votes
from quorum.heads.rules import RulesHead
from quorum.market import Market


def votes(market: Market, **changes: float) -> Votes:
    return with_constants(RulesHead, **changes).vote(market, patterns_of(market))


def reasons(v: Votes, row: int = -1) -> set[str]:
    return set(RulesHead.reason_text(int(v.reason[row])).split("+"))


def test_a_hammer_at_support_with_volume_is_a_valid_long_of_textbook_confidence() -> None:
    v = votes(drawn(RANGE, (HAMMER,), volume=3.0))
    assert v.direction[-1] == 1
    assert 0.90 <= v.confidence[-1] <= 0.95
    assert v.probability[-1] > 0.68
    assert {"pin_bar", "at_support", "volume"} <= reasons(v)


def test_a_shooting_star_at_resistance_is_the_mirrored_short() -> None:
    market = drawn(RANGE, (HAMMER,), volume=3.0)
    v, w = votes(market), votes(mirrored(market))
    assert w.direction[-1] == -1
    assert w.confidence[-1] == pytest.approx(v.confidence[-1], abs=1e-4)
    assert w.probability[-1] == pytest.approx(v.probability[-1], abs=1e-4)
    assert {"pin_bar", "at_resistance", "volume"} <= reasons(w)


def test_without_volume_the_confidence_is_multiplied_and_a_textbook_pattern_stays_valid() -> None:
    loud = votes(drawn(RANGE, (HAMMER,), volume=3.0))
    quiet = votes(drawn(RANGE, (HAMMER,), volume=1.0))
    assert quiet.confidence[-1] == pytest.approx(0.85 * loud.confidence[-1], abs=1e-4)
    assert quiet.confidence[-1] >= 0.70
    assert "volume" not in reasons(quiet)


def test_the_same_hammer_away_from_any_level_does_not_count() -> None:
    away = [*RANGE[:-2], (108, 9), (90, 22)]
    hammer: Candle = tuple(p - 11.0 for p in HAMMER)  # type: ignore[assignment]
    market = drawn(away, (hammer,), volume=3.0)
    x = patterns_of(market)
    assert x["candlestick_bull"][-1] >= 3
    assert votes(market).direction[-1] == 0


def test_weak_patterns_never_add_up_to_a_valid_vote() -> None:
    doji: Candle = (101.0, 101.5, 99.8, 101.02)
    market = drawn(RANGE, (doji, doji, doji, doji), volume=3.0)
    x = patterns_of(market)
    for name in ("candlestick_bull", "candlestick_bear"):
        x[name][:] = np.where(x[name] > 0, 1.5, 0.0)
    x["chart_bull"][:] = 0.0
    x["chart_bear"][:] = 0.0
    v = RulesHead().vote(market, x)
    assert (v.direction != 0).any()
    assert v.confidence.max() <= 0.60


@pytest.mark.parametrize("title", CHARTS)
def test_a_broken_chart_pattern_votes_its_way(title: str) -> None:
    name, side, legs = CHARTS[title]
    market = drawn(legs)
    v, w = votes(market), votes(mirrored(market))
    row = int(np.flatnonzero([name in reasons(v, t) for t in range(len(market))])[0])
    assert v.direction[row] == side
    assert w.direction[row] == -side
    assert w.confidence[row] == pytest.approx(v.confidence[row], abs=2e-4)


def held(*closes: float, hold: int = 8) -> Votes:
    after = [(a, max(a, b) + 0.1, min(a, b) - 0.1, b) for a, b in pairwise(closes)]
    return votes(drawn(RANGE, (HAMMER, *after), volume=1.0), hold=hold, decay=0.97)


def test_a_vote_is_held_with_decaying_confidence_and_then_forgotten() -> None:
    market = drawn(RANGE, (HAMMER,), volume=3.0)
    x = patterns_of(drawn(RANGE, (HAMMER, *[(101.2, 101.4, 101.0, 101.2)] * 10)))
    for side in ("bull", "bear"):
        x[f"candlestick_{side}"][len(market) :] = 0.0
        x[f"candlestick_{side}"][: len(market) - 1] = 0.0
        x[f"chart_{side}"][:] = 0.0
    longer = drawn(RANGE, (HAMMER, *[(101.2, 101.4, 101.0, 101.2)] * 10))
    v = with_constants(RulesHead, hold=4).vote(longer, x)
    born = len(market) - 1
    expected = v.confidence[born] * 0.97 ** np.arange(5)
    np.testing.assert_allclose(v.confidence[born : born + 5], expected, atol=1e-4)
    assert "held" in reasons(v, born + 1)
    assert "held" not in reasons(v, born)
    assert (v.direction[born + 5 :] == 0).all()


def test_a_close_under_the_hammer_refutes_it() -> None:
    v = held(101.2, 101.0, 98.5)
    assert v.direction[-2] == 1
    assert v.direction[-1] != 1


def evidence(bull: float, bear: float) -> Votes:
    """Vote on chosen pattern scores at the last candle, both levels being touched."""
    market = drawn(RANGE, (HAMMER,), volume=3.0)
    x = patterns_of(market)
    for side, score in (("bull", bull), ("bear", bear)):
        x[f"candlestick_{side}"][:] = 0.0
        x[f"candlestick_{side}"][-1] = score
        x[f"candlestick_{side}_code"][:] = 1.0
        x[f"chart_{side}"][:] = 0.0
    x["support"][:] = market.candles.low - 0.01
    x["resistance"][:] = market.candles.high + 0.01
    return with_constants(RulesHead, reach=1).vote(market, x)


def test_equal_patterns_of_both_directions_leave_the_head_flat() -> None:
    assert evidence(3.5, 3.5).direction[-1] == 0


def test_the_stronger_of_two_directions_speaks_with_less_confidence() -> None:
    v = evidence(3.5, 2.2)
    assert v.direction[-1] == 1
    assert v.confidence[-1] == pytest.approx(0.85 * 0.925, abs=1e-4)
    assert "against" in reasons(v)


def test_a_weak_pattern_does_not_speak_against_a_textbook_one() -> None:
    v = evidence(1.5, 3.5)
    assert v.direction[-1] == -1
    assert v.confidence[-1] == pytest.approx(0.925)
    assert "against" not in reasons(v)


@pytest.mark.parametrize(
    ("score", "confidence"), [(1.9, 0.60), (2.0, 0.70), (2.5, 0.775), (3.0, 0.90), (3.8, 0.94)]
)
def test_the_class_gives_the_confidence_of_h4(score: float, confidence: float) -> None:
    v = evidence(score, 0.0)
    assert v.direction[-1] == 1
    assert v.confidence[-1] == pytest.approx(confidence)


def test_a_chart_pattern_that_agrees_adds_confidence() -> None:
    market = drawn(RANGE, (HAMMER,), volume=3.0)
    x = patterns_of(market)
    alone = RulesHead().vote(market, x).confidence[-1]
    x["chart_bull"][-1] = 2.0
    x["chart_bull_code"][-1] = 2.0
    x["chart_bull_stop"][-1] = 90.0
    v = RulesHead().vote(market, x)
    assert v.confidence[-1] == pytest.approx(min(0.95, alone + 0.02), abs=1e-4)
    assert {"agreeing", "double", "pin_bar"} <= reasons(v)


def test_missing_volume_counts_as_unconfirmed() -> None:
    market = drawn(RANGE, (HAMMER,), volume=3.0)
    x = patterns_of(market)
    x["volume_ratio"][:] = np.nan
    v = RulesHead().vote(market, x)
    assert v.direction[-1] == 1
    assert 0.765 <= v.confidence[-1] <= 0.8075 + 1e-9


def test_the_head_abstains_until_there_is_a_swing() -> None:
    v = votes(drawn(RANGE).head(8))
    assert not v.available.any()
    assert (v.direction == 0).all()


@given(st.integers(2, 1500))
@settings(max_examples=8, deadline=None)
def test_votes_never_change_as_candles_arrive(n: int) -> None:
    market = full_market(1500)
    assert_votes_of(votes(market.head(n)), votes(market))


def test_a_random_market_gets_valid_votes_both_ways_but_not_all_the_time(market: Market) -> None:
    v = votes(market)
    assert 0.01 < np.mean(valid(v) & (v.direction > 0)) < 0.25
    assert 0.01 < np.mean(valid(v) & (v.direction < 0)) < 0.25
