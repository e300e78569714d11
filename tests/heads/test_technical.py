from __future__ import annotations

import numpy as np
import pytest
from drawn_markets import line, mirrored
from evaluations import assert_votes_of, columns_of, valid, with_constants
from numpy.testing import assert_allclose, assert_array_equal

from quorum.features.table import Features
from quorum.heads.base import Votes
from quorum.heads.technical import TechnicalHead
from quorum.heads.technical_table import GROUPS, INDICATORS, Scale, Scales, table
from quorum.market import Market

VOLUME_COLUMNS = ("vwap_distance", "cmf", "obv_slope")


def walk(n: int, seed: int = 3) -> Market:
    rng = np.random.default_rng(seed)
    return line(2000.0 + np.cumsum(rng.normal(0.0, 4.0, n)), wick=2.0)


def trend(step: float, n: int = 500) -> Market:
    """Make a trend with pullbacks: three candles with it, one against."""
    moves = step * np.tile([1.5, 1.0, 1.5, -1.0], n // 4)
    return line(2000.0 + np.cumsum(moves), wick=1.0)


def columns(market: Market) -> Features:
    return columns_of(market, "volatility", "trend", "momentum")


def vote(market: Market) -> Votes:
    return TechnicalHead().vote(market, columns(market))


def made(values: dict[str, float], n: int = 1) -> tuple[Market, Features]:
    """Make features that hold exactly these constant columns."""
    market = line(np.full(n, 100.0), wick=1.0)
    out = Features(n)
    for name, value in values.items():
        out.add(name, np.full(n, value))
    return market, out


def test_the_table_has_25_core_indicators_and_more_than_55_with_variations() -> None:
    _, volume = made(dict.fromkeys(VOLUME_COLUMNS, 0.0), 300)
    out = columns(walk(300))
    for name in VOLUME_COLUMNS:
        out.add(name, volume[name])
    rows = table(out)
    assert sum(row.core for row in rows) == 25
    assert [sum(row.core for row in rows if row.group == g) for g in range(3)] == [9, 10, 6]
    assert len(rows) == 63
    assert len({row.name for row in rows}) == 63
    assert {"ema_distance_144", "sma_distance_150", "rsi_28", "roc_atr_25"} <= {
        row.name for row in rows
    }


def test_every_row_names_a_scale_and_a_group() -> None:
    for row in INDICATORS:
        assert row.scale in Scales._fields
        assert not row.strength or row.strength_scale in Scales._fields
        assert 0 <= row.group < len(GROUPS)


@pytest.mark.parametrize(
    ("rsi", "score"),
    [(50, 0.5), (60, 0.6), (70, 0.7), (80, 0.65), (90, 0.6), (100, 0.6), (40, 0.4), (10, 0.4)],
)
def test_rsi_scores_its_own_value_up_to_the_line_and_less_beyond(rsi: float, score: float) -> None:
    _, features = made({"rsi_14": rsi})
    assert_allclose(TechnicalHead().scores(features)["rsi_14"], [score])


@pytest.mark.parametrize(
    ("keltner", "score"), [(0.0, 0.5), (0.5, 0.6), (1.0, 0.7), (2.0, 1.0), (9.0, 1.0), (-2.0, 0.0)]
)
def test_what_is_not_an_oscillator_scores_more_the_further_it_goes(
    keltner: float, score: float
) -> None:
    _, features = made({"keltner_position": keltner})
    assert_allclose(TechnicalHead().scores(features)["keltner_position"], [score], atol=1e-12)


def test_directional_movement_says_nothing_without_adx() -> None:
    for adx, score in ((8.0, 0.5), (17.5, 0.6), (25.0, 0.7), (40.0, 0.7), (np.nan, np.nan)):
        _, features = made({"di_spread": 20.0, "adx": adx})
        assert_allclose(TechnicalHead().scores(features)["di_spread@adx"], [score])


def test_mass_index_is_silent_without_a_signal() -> None:
    _, features = made({"mass_reversal": 0.0})
    assert np.isnan(TechnicalHead().scores(features)["mass_reversal"]).all()
    _, features = made({"mass_reversal": -1.0})
    assert_allclose(TechnicalHead().scores(features)["mass_reversal"], [0.3])


def test_groups_weigh_40_35_25() -> None:
    market, features = made({"ichimoku_score": 1.0, "rsi_14": 50.0, "keltner_position": -1.0})
    votes = TechnicalHead().vote(market, features)
    assert_allclose(votes.readings["trend_score"], [0.7])
    assert_allclose(votes.readings["momentum_score"], [0.5])
    assert_allclose(votes.readings["volatility_score"], [0.3])
    assert_allclose(votes.readings["score"], [0.40 * 0.7 + 0.35 * 0.5 + 0.25 * 0.3])
    assert votes.direction[0] == 0


def test_a_variation_weighs_half_a_core_indicator() -> None:
    market, features = made({"rsi_14": 70.0, "rsi_7": 50.0})
    votes = TechnicalHead().vote(market, features)
    assert_allclose(votes.readings["momentum_score"], [(0.7 + 0.5 * 0.5) / 1.5])


def test_45_of_50_indicators_agreeing_give_confidence_090() -> None:
    # 45 long indicators over the three groups, and five EMAs that say next to nothing.
    rising = {f"ema_distance_{i}": 0.9 for i in range(1, 26)}
    momentum = {f"rsi_{i}": 65.0 for i in range(30, 44)}
    bands = {"keltner_position": 1.0, "donchian_position": 1.0, "atr_move": 0.9}
    rest = {"ema_spread_5_13": 0.2, "macd": 0.9, "macd_signal": 0.9}
    against = {f"ema_distance_{i}": -0.1 for i in range(100, 105)}
    market, features = made({**rising, **momentum, **bands, **rest, **against})
    votes = TechnicalHead().vote(market, features)
    assert votes.readings["known"][0] == 50
    assert votes.readings["bullish"][0] == 45
    assert votes.readings["bearish"][0] == 0
    assert votes.direction[0] == 1
    assert votes.confidence[0] == 0.90


def test_a_group_that_disagrees_costs_confidence() -> None:
    market, features = made({"ichimoku_score": 1.0, "rsi_14": 69.0, "keltner_position": -0.2})
    votes = TechnicalHead().vote(market, features)
    assert votes.direction[0] == 1
    assert_allclose(votes.confidence, [round(2 / 3 * (1 - 0.25 * 0.25), 4)])
    assert TechnicalHead.reason_text(int(votes.reason[0])) == "trend_up+momentum_up"


@pytest.mark.parametrize(("score", "direction"), [(0.551, 1), (0.55, 0), (0.45, 0), (0.449, -1)])
def test_long_above_055_and_short_below_045(score: float, direction: int) -> None:
    market, features = made({"rsi_14": 100 * score})
    votes = TechnicalHead().vote(market, features)
    assert votes.direction[0] == direction
    assert votes.available[0]
    if direction:
        assert_allclose(votes.probability, [max(score, 1 - score)])


def test_a_steady_rise_votes_long_with_a_valid_vote_and_its_reasons() -> None:
    votes = vote(trend(3.0))
    assert valid(votes)[250:].mean() > 0.9
    assert (votes.direction[250:] == 1).all()
    reasons = TechnicalHead.reason_text(int(votes.reason[-2])).split("+")
    assert {"trend_up", "momentum_up", "averages_stacked", "strong_adx"} <= set(reasons)


def test_a_steady_fall_votes_short() -> None:
    votes = vote(trend(-2.0))
    assert (votes.direction[250:] == -1).all()
    assert valid(votes)[250:].mean() > 0.9
    assert "trend_down" in TechnicalHead.reason_text(int(votes.reason[-2]))


def test_a_choppy_market_is_rarely_valid() -> None:
    close = 2000.0 + 3.0 * np.tile([1.0, -1.0, -1.0, 1.0], 125)
    votes = vote(line(close, wick=1.0))
    assert votes.available[250:].all()
    assert valid(votes)[250:].mean() < 0.05


def test_the_close_through_the_channel_of_the_candle_before_is_a_reason() -> None:
    market = trend(3.0)
    votes, out = vote(market), columns(market)
    close = market.candles.close
    for t in range(300, 400):
        broke = close[t] > out["donchian_upper"][t - 1]
        assert bool(votes.reason[t] & TechnicalHead.bit("channel_break")) == broke
    assert (votes.reason[300:400] & TechnicalHead.bit("channel_break")).any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_mirror_image_votes_the_other_way(seed: int) -> None:
    market = walk(700, seed)
    # A reflection keeps the ATR but not its ratio to the price, so what is measured in percent
    # (ROC, PPO, TRIX) is turned only nearly.
    votes, other = vote(market), vote(mirrored(market, 2000.0))
    assert set(np.unique(votes.direction)) == {-1, 0, 1}
    score, turned = votes.readings["score"], other.readings["score"]
    known = np.isfinite(score)
    assert_array_equal(votes.available, other.available)
    assert_allclose(turned[known], 1.0 - score[known], atol=0.01)
    assert (votes.direction == -other.direction).mean() > 0.97
    assert not (votes.direction * other.direction > 0).any()


def test_a_prefix_votes_exactly_like_the_whole() -> None:
    market = walk(600)
    whole = vote(market)
    for n in np.random.default_rng(0).integers(1, 600, 12):
        assert_votes_of(vote(market.head(int(n))), whole)


def test_after_1400_candles_the_start_of_the_history_does_not_change_a_vote() -> None:
    market = walk(2600)
    whole, part = vote(market), vote(market.since(1000))
    for field in ("direction", "confidence", "reason"):
        assert_array_equal(getattr(part, field)[1400:], getattr(whole, field)[2400:])
    assert_allclose(part.probability[1400:], whole.probability[2400:], atol=1.01e-4)


@pytest.mark.parametrize("n", [0, 1, 50])
def test_short_histories_abstain(n: int) -> None:
    votes = vote(walk(600).head(n))
    assert len(votes.direction) == n
    assert not votes.available.any()
    assert not votes.direction.any()


def test_a_market_that_stands_still_abstains() -> None:
    votes = vote(line(np.full(400, 100.0)))
    assert not votes.available.any()


def test_features_without_any_indicator_abstain() -> None:
    market, features = made({"something": 1.0}, 5)
    votes = TechnicalHead().vote(market, features)
    assert not votes.available.any()


def test_volume_columns_join_where_they_exist() -> None:
    _, features = made({"cmf": 0.2, "obv_slope": 0.0, "vwap_distance": -2.0})
    scores = TechnicalHead().scores(features)
    assert {name: float(np.round(score[0], 6)) for name, score in scores.items()} == {
        "vwap_distance": 0.3,
        "cmf": 0.7,
        "obv_slope": 0.5,
    }


def test_scales_are_constants() -> None:
    head = with_constants(TechnicalHead, scales=Scales(rsi=Scale(centre=50.0, full=10.0)))
    _, features = made({"rsi_14": 60.0})
    assert_allclose(head.scores(features)["rsi_14"], [0.7])
