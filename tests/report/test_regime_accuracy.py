"""How well the rules read regimes that are known (T2)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quorum.context.regime import REGIMES, Regime, RegimeReader, RegimeReading, View
from quorum.errors import DataError
from quorum.features.table import Features
from quorum.market import Frames, Market, build_market
from quorum.replay import regimes as generator
from quorum.replay import synthetic
from quorum.report.regime_accuracy import (
    COARSE,
    RegimeAccuracy,
    describe,
    regime_accuracy,
    score,
)

#: A seed that no setting of the rules was chosen on.
HELD_OUT = 301


@pytest.fixture(scope="module")
def datadir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("regimes") / "market"
    settings = synthetic.SyntheticSettings(seed=HELD_OUT, bases=("BTC", "SOL"))
    synthetic.make_market(settings, folder)
    return folder


@pytest.fixture(scope="module")
def results(datadir) -> list[RegimeAccuracy]:
    return regime_accuracy(datadir)


def test_the_names_are_the_generators():
    assert REGIMES == generator.REGIMES
    assert tuple(COARSE) == REGIMES


def test_the_rules_are_well_above_the_most_frequent_regime(results):
    bitcoin = results[0]
    assert bitcoin.pair == "BTC/USDT:USDT"
    assert bitcoin.accuracy > 1.3 * bitcoin.majority
    assert bitcoin.accuracy > bitcoin.majority + 0.06


def test_every_regime_counted_alike_the_rules_are_far_above_chance(results):
    for result in results:
        assert result.balanced > 2.3 / 8, result.pair
        assert (result.recall > 0).all(), result.pair


def test_nearly_every_hour_has_a_reading(results):
    for result in results:
        assert result.hours > 25_000
        assert result.unknown < 1_000


def test_bull_is_rarely_taken_for_bear(results):
    matrix = results[0].confusion
    bull, bear = [0, 1], [4, 5]
    right = matrix[np.ix_(bull, bull)].sum() + matrix[np.ix_(bear, bear)].sum()
    wrong = matrix[np.ix_(bull, bear)].sum() + matrix[np.ix_(bear, bull)].sum()
    assert right > 2 * wrong


def test_the_description_names_pairs_accuracy_and_regimes(results):
    text = describe(results)
    assert f"{results[0].accuracy:.1%}" in text
    assert all(result.pair in text for result in results)
    assert all(name in text for name in REGIMES)
    assert max(map(len, text.splitlines())) < 200
    assert describe([]) == ""


class Oracle(Regime):
    """An adjuster that knows the truth, or knows it wrongly."""

    answer: np.ndarray

    def reader(self) -> RegimeReader:
        return self

    def read(self, market: Market, features: Features) -> RegimeReading:
        return RegimeReading(np.eye(8)[self.answer[: len(market)]])


def hours(n: int) -> pd.DataFrame:
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC")})
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    return frame.assign(**prices, volume=1.0)


def judged(answer: list[int], truth: list[int]) -> RegimeAccuracy:
    """Score one answer per hour over a span long enough to have an ADX."""
    times = 100
    n = times * len(truth)
    market = build_market(
        "BTC/USDT:USDT", "4h", Frames(hours(n).assign(date=lambda f: f["date"][0] + f.index * FOUR))
    )
    oracle = Oracle()
    oracle.answer = np.tile(answer, times)
    return score(market, oracle, market.candles.time, np.tile(truth, times))


FOUR = pd.Timedelta(hours=4)


def test_an_oracle_is_always_right():
    result = judged([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7])
    assert (result.accuracy, result.balanced, result.stated) == (1, 1, 1)
    assert result.log_loss == 0
    assert result.majority == pytest.approx(1 / 8, abs=0.01)
    # The first candles have no ADX and so no coarse view.
    assert 0 < result.unknown < 40
    assert result.hours + result.unknown == 800


def test_a_constant_answer_reaches_the_majority_and_no_more():
    result = judged([1, 1, 1, 1], [1, 1, 1, 5])
    assert result.accuracy == result.majority == pytest.approx(0.75, abs=0.01)
    assert result.balanced == pytest.approx(0.5)
    assert result.confusion[5, 1] == result.hours - result.confusion[1, 1]
    assert result.log_loss == pytest.approx((1 - result.accuracy) * -np.log(1e-6))


def test_the_coarse_table_is_truth_against_view():
    result = judged([6, 6], [6, 0])
    assert result.coarse[View.VOLATILE, View.VOLATILE] == result.confusion[6, 6]
    assert result.coarse[View.TRENDING, View.VOLATILE] == result.confusion[0, 6]
    assert result.coarse_accuracy == pytest.approx(0.5, abs=0.01)


def test_a_pair_that_is_not_there_is_named(datadir):
    with pytest.raises(DataError, match="XYZ"):
        regime_accuracy(datadir, ["XYZ/USDT:USDT"])


def test_one_pair_can_be_asked_for(datadir, results):
    (only,) = regime_accuracy(datadir, ["SOL/USDT:USDT"])
    assert only.accuracy == results[1].accuracy


def test_a_market_without_truth_is_refused(tmp_path):
    settings = synthetic.SyntheticSettings(
        mode="random_walk", bases=("BTC",), start=date(2024, 1, 1), end=date(2024, 1, 8)
    )
    synthetic.make_market(settings, tmp_path / "walk")
    with pytest.raises(DataError, match=r"regimes\.feather"):
        regime_accuracy(tmp_path / "walk")


def test_an_unknown_regime_in_the_truth_is_refused(tmp_path):
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=2, freq="h", tz="UTC")})
    frame.assign(regime=["weak_bull", "sideways"]).to_feather(tmp_path / synthetic.TRUTH)
    with pytest.raises(DataError, match="sideways"):
        regime_accuracy(tmp_path)
