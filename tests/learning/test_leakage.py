"""No model learned from anything that was not known an embargo before it spoke."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from trained_markets import HOUR, Training, live_at, model_files, small_training

from quorum.candles import epoch_ms
from quorum.features import compute_features
from quorum.learning.dataset import feature_matrix, feature_names, horizons, pair_rows
from quorum.learning.store import ModelStore
from quorum.learning.training import Trained, train
from quorum.learning.vintage import LoadedVintage, VintageFiles
from quorum.market import Frames, Market, build_market
from quorum.replay.datadir import DataDirectory

SIGNAL = "model_signal_up"


@pytest.fixture(scope="module")
def small() -> Training:
    return small_training()


def test_every_predicted_row_comes_a_horizon_and_an_embargo_after_the_last_row_learned_from(small):
    vintages = small.trained.vintages
    learning = small.plan.settings.learning
    horizon, reach = horizons(learning, HOUR)
    embargo = learning.folds.embargo_ms
    starts = [v.valid_from for v in vintages]
    predicted = 0
    for rows, replay in zip(small.trained.rows, small.trained.replays, strict=True):
        for time in rows.known_at[np.isfinite(replay.predictions[SIGNAL])]:
            vintage = vintages[live_at(starts, int(time))]
            assert vintage.cut_off + horizon + embargo <= time
            regime, meta = vintage.metrics["regime"], vintage.metrics["meta"]
            assert regime["cut_off"] + reach + embargo <= time
            if "cut_off" in meta:
                days = learning.meta.horizon_days
                assert meta["cut_off"] + int(days * 24 * HOUR) + embargo <= time
            predicted += 1
    assert predicted > 5000
    assert len(vintages) >= 3


def test_rows_before_the_first_vintage_are_not_predicted(small):
    first = small.trained.vintages[0].valid_from
    for rows, replay in zip(small.trained.rows, small.trained.replays, strict=True):
        said = np.isfinite(replay.predictions[SIGNAL])
        assert not said[rows.known_at < first].any()
        assert said[rows.known_at >= first].all()


def test_each_row_is_predicted_by_the_newest_vintage_of_its_time(small):
    vintages = small.trained.vintages
    starts = [v.valid_from for v in vintages]
    pair, rows, replay = small.plan.pairs[1], small.trained.rows[1], small.trained.replays[1]
    market = small.plan.load(pair)
    features = compute_features(market)
    for start in starts:
        moments = [start - HOUR, start, start + 17 * HOUR]
        for time in (t for t in moments if live_at(starts, t) >= 0):
            at = int(np.searchsorted(rows.known_at, time))
            assert rows.known_at[at] == time
            manifest = vintages[live_at(starts, time)]
            vintage = LoadedVintage(manifest, VintageFiles(small.store, manifest))
            candle = np.flatnonzero(market.close_time == time)
            X = feature_matrix(features, feature_names(features), candle)
            assert vintage.signal.predict_proba(X)[0, 2] == pytest.approx(
                float(replay.predictions[SIGNAL][at]), abs=1e-6
            )


def poisoned_market(pair: str, folder: Path, start: int) -> Market:
    """Return the market with another future: candles that open from ``start`` on go wild."""
    data = DataDirectory(folder)
    frames = {}
    for name in ("1h", "4h", "1d"):
        frame = data.find(pair, name, "futures").read()
        hours = np.maximum(epoch_ms(frame["date"]) - start, -1) / HOUR
        factor = np.where(hours >= 0, np.exp(0.01 * np.maximum(hours, 0) ** 0.9), 1.0)
        wild = {c: frame[c] * factor for c in ("open", "high", "low", "close", "volume")}
        frames[name] = frame.assign(**wild)
    return build_market(pair, "1h", Frames(frames.pop("1h"), frames))


@pytest.fixture(scope="module")
def another_future(small, tmp_path_factory) -> tuple[int, ModelStore, Trained]:
    """The same training where all that comes after the second vintage's first day is other."""
    start = small.trained.vintages[1].valid_from
    source = partial(poisoned_market, folder=small.folder, start=start)
    store = ModelStore(tmp_path_factory.mktemp("poisoned"))
    return start, store, train(replace(small.plan, load=source), store)


def test_another_future_leaves_the_models_of_the_past_as_they_are(small, another_future):
    start, store, trained = another_future
    past = [v for v in small.trained.vintages if v.valid_from <= start]
    assert len(past) == 2
    for before, after in zip(past, trained.vintages, strict=False):
        assert before.valid_from == after.valid_from
        assert model_files(small.store, before.key) == model_files(store, after.key)


def test_another_future_does_change_features_labels_and_the_models_after_it(small, another_future):
    start, store, trained = another_future
    pair = small.plan.pairs[0]
    poisoned = pair_rows(poisoned_market(pair, small.folder, start), small.plan.settings)
    clean = pair_rows(small.plan.load(pair), small.plan.settings)
    n = min(len(poisoned.label), len(clean.label))
    horizon, _ = horizons(small.plan.settings.learning, HOUR)
    reached = (clean.known_at[:n] <= start) & (clean.known_at[:n] > start - horizon)
    assert (poisoned.label[:n] != clean.label[:n])[reached].any()
    assert (poisoned.label[:n] == clean.label[:n])[clean.known_at[:n] <= start - horizon].all()
    assert (poisoned.regime[:n] != clean.regime[:n])[clean.known_at[:n] <= start].any()
    last, other = small.trained.vintages[-1], trained.vintages[-1]
    assert model_files(small.store, last.key) != model_files(store, other.key)
