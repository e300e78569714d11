"""Regime labels: hindsight finds the truth of a synthetic market better than the rules can."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from markets import candle_frame
from regime_markets import SIGMA, frame_of, mirrored, swing, walk

from quorum.candles import Candles, candles_from_frame, epoch_ms
from quorum.context.regime import REGIMES
from quorum.errors import DataError
from quorum.learning.regime_labels import RegimeLabelConstants, regime_labels, regime_reach
from quorum.replay.datadir import DataDirectory
from quorum.replay.synthetic import TRUTH, SyntheticSettings, make_market
from quorum.report.regime_accuracy import regime_accuracy

HOUR = 3_600_000
USUAL = walk(300, seed=1)
AFTER = walk(80, seed=2)
PATHS = {
    "strong_bull": walk(90, drift=0.7 * SIGMA, sigma=0.8 * SIGMA, seed=3),
    "weak_bull": walk(90, drift=0.2 * SIGMA, sigma=0.7 * SIGMA, seed=13),
    "bull_range": swing(60, period=8, amplitude=0.8 * SIGMA, sigma=0.5 * SIGMA, seed=5),
    "high_volatility": walk(30, sigma=3 * SIGMA, seed=6),
    "low_volatility": swing(60, period=8, amplitude=0.2 * SIGMA, sigma=0.2 * SIGMA, seed=7),
}


def candles_of(*segments, mirror: bool = False) -> Candles:
    frame = frame_of(np.concatenate(segments), "4h")
    return candles_from_frame(mirrored(frame) if mirror else frame, "4h")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A market of two coins with known regimes, of another seed than the shipped one."""
    folder = tmp_path_factory.mktemp("regimes")
    years = SyntheticSettings(
        bases=("BTC", "SOL"),
        start=date(2020, 1, 1),
        end=date(2023, 1, 1),
        timeframes=("1h", "4h"),
        seed=11,
    )
    make_market(years, folder, lambda _: None)
    return folder


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("mirror", [False, True])
def test_the_middle_of_a_path_of_one_kind_is_labelled_so(name, mirror):
    path = PATHS[name]
    labels = regime_labels(candles_of(USUAL, path, AFTER, mirror=mirror))
    middle = labels[300 + len(path) // 3 : 300 + 2 * len(path) // 3]
    kind = name.replace("bull", "bear") if mirror else name
    kinds = {REGIMES.index(kind)}
    if name == "bull_range":
        # Which side a range takes is the side of the whole window.
        kinds = {REGIMES.index("bull_range"), REGIMES.index("bear_range")}
    assert np.isin(middle, list(kinds)).mean() > 0.8


def test_labels_agree_with_the_truth_better_than_the_causal_rules(synthetic):
    truth = pd.read_feather(synthetic / TRUTH)
    codes = truth["regime"].map({name: i for i, name in enumerate(REGIMES)}).to_numpy()
    causal = {r.pair: r for r in regime_accuracy(synthetic)}
    for pair, rules in causal.items():
        series = DataDirectory(synthetic).find(pair, "4h", "futures")
        candles = candles_from_frame(series.read(), "4h")
        labels = regime_labels(candles)
        row = np.searchsorted(epoch_ms(truth["date"]), candles.close_time - HOUR)
        known = labels >= 0
        true, read = codes[row[known]], labels[known]
        recall = [(read[true == code] == code).mean() for code in np.unique(true)]
        assert (true == read).mean() > rules.accuracy + 0.08, pair
        assert np.mean(recall) > rules.balanced + 0.08, pair


def test_a_label_never_looks_beyond_its_reach():
    frame = candle_frame(900, seed=4, timeframe="4h")
    whole = regime_labels(candles_from_frame(frame, "4h"))
    reach = regime_reach() // (4 * HOUR)
    assert reach < 100
    for n in (300, 420, 777):
        part = regime_labels(candles_from_frame(frame.iloc[:n], "4h"))
        np.testing.assert_array_equal(part[: n - reach], whole[: n - reach])
        assert (part[: n - reach] >= 0).any()


def test_the_future_does_count():
    rise, fall = (walk(60, drift=drift * SIGMA, seed=9) for drift in (0.5, -0.5))
    calm = walk(15, sigma=0.6 * SIGMA, seed=10)
    before_rise, before_fall = (
        regime_labels(candles_of(USUAL, calm, then, AFTER))[314] for then in (rise, fall)
    )
    assert before_rise != before_fall


def test_both_ends_of_the_data_are_unknown():
    rules = RegimeLabelConstants(window=30)
    labels = regime_labels(candles_from_frame(candle_frame(500, timeframe="4h"), "4h"), rules)
    known = np.flatnonzero(labels >= 0)
    # The usual volatility is known from 180 of its own windows of 12 candles on.
    assert (known[0], known[-1]) == (190, 500 - 30 - 1)
    assert len(known) == known[-1] - known[0] + 1


@pytest.mark.parametrize("n", [0, 1, 84, 85, 150])
def test_a_history_too_short_has_no_labels(n):
    labels = regime_labels(candles_from_frame(candle_frame(200, timeframe="4h"), "4h").head(n))
    assert labels.tolist() == [-1] * n


def test_a_market_that_stands_still_has_no_regime():
    labels = regime_labels(candles_of(USUAL, np.zeros(120), AFTER))
    # Wicks of hand-made candles and the volatility around each fade within six candles.
    still = labels[300 + 12 : 420 - 6]
    assert (still == -1).all()
    assert (labels[250:290] >= 0).all()
    assert (regime_labels(candles_of(np.zeros(600))) == -1).all()


def test_labels_do_not_depend_on_the_price_level():
    frame = candle_frame(500, seed=6, timeframe="4h")
    scaled = frame.assign(**{c: frame[c] * 1e-6 for c in ("open", "high", "low", "close")})
    one, other = (regime_labels(candles_from_frame(f, "4h")) for f in (frame, scaled))
    assert (one == other).mean() > 0.99


def test_other_timeframes_are_refused():
    with pytest.raises(DataError, match="need 4h candles, got 1h"):
        regime_labels(candles_from_frame(candle_frame(300), "1h"))
