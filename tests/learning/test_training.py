"""Training: the same wherever it runs and however often it begins, and clear about bad input."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from trained_markets import (
    DAY,
    HOUR,
    LEARNING,
    Training,
    model_files,
    part,
    plan,
    settings,
    small_training,
)

from quorum.errors import DataError
from quorum.learning import training
from quorum.learning.backends import BackendSettings
from quorum.learning.dataset import PairRows, pair_rows
from quorum.learning.store import ModelStore
from quorum.learning.training import Plan, Trained, train
from quorum.market import Market
from quorum.settings import Settings

UP, DOWN = "model_signal_up", "model_signal_down"


@pytest.fixture(scope="module")
def small() -> Training:
    return small_training()


@pytest.fixture(scope="module")
def brief(small, tmp_path_factory) -> tuple[Plan, ModelStore, Trained]:
    """A training of one pair and three folds."""
    planned = short(small.folder, folds={**LEARNING["folds"], "refit_days": 30})
    store = ModelStore(tmp_path_factory.mktemp("brief"))
    return planned, store, train(planned, store)


def short(folder: Path, **learning: object) -> Plan:
    """Return a plan of one pair and half a year, without the meta-model."""
    chosen = settings(meta={"enabled": False}, **learning)
    return plan(folder, ("BTC",), chosen, source=partial(part, folder=folder, days=(0, 180)))


# Again, and elsewhere -----------------------------------------------------------------------


def test_training_again_fits_nothing_and_publishes_the_same_vintages(small, tmp_path):
    shutil.copytree(small.store.root, tmp_path / "store")
    store = ModelStore(tmp_path / "store")
    again = train(small.plan, store)
    assert again.reused == len(again.vintages) == len(small.trained.vintages)
    assert again.chain.vintages == small.trained.chain.vintages
    assert again.chain.id != small.trained.chain.id
    assert store.current() == again.chain
    assert again.vintages == small.trained.vintages
    for a, b in zip(again.replays, small.trained.replays, strict=True):
        assert all(np.array_equal(a.predictions[k], b.predictions[k], True) for k in b.predictions)


class InterruptedTrainingError(Exception):
    """Stands for a trainer that is stopped."""


def test_an_interrupted_training_goes_on_where_it_ended(brief, tmp_path):
    planned, _, whole = brief
    store = ModelStore(tmp_path)

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("models", 2):
            raise InterruptedTrainingError

    with pytest.raises(InterruptedTrainingError):
        train(planned, store, stop)
    assert store.current() is None
    assert len(store.vintages()) == 2
    after = train(planned, store)
    assert after.reused == 2
    assert after.chain.vintages == whole.chain.vintages


def test_two_processes_train_byte_for_byte_what_one_does(brief, tmp_path):
    planned, first, alone = brief
    store = ModelStore(tmp_path)
    trained = train(replace(planned, backend=BackendSettings(n_jobs=2)), store)
    assert trained.reused == 0
    assert len(trained.vintages) == 3
    assert trained.chain.vintages == alone.chain.vintages
    for key in trained.chain.vintages:
        assert model_files(store, key) == model_files(first, key)


def test_more_history_leaves_the_vintages_of_the_past_as_they_are(small, tmp_path):
    store = ModelStore(tmp_path)
    first = small.trained.vintages[0]
    days = (0, int((first.valid_from - small.trained.rows[0].known_at[0]) / DAY) + 20)
    source = partial(part, folder=small.folder, days=days)
    trained = train(replace(small.plan, load=source), store)
    assert [v.valid_from for v in trained.vintages] == [first.valid_from]
    assert model_files(store, trained.vintages[0].key) == model_files(small.store, first.key)


# Bad input ----------------------------------------------------------------------------------


def test_too_little_history_for_one_fold_is_told_before_anything_is_written(small, tmp_path):
    store = ModelStore(tmp_path / "store")
    source = partial(part, folder=small.folder, days=(0, 80))
    with pytest.raises(DataError, match=r"too few for one fold.*folds.first_days = 90"):
        train(replace(small.plan, load=source), store)
    assert store.vintages() == ()
    assert store.current() is None


def test_too_few_rows_in_every_fold_are_told_with_the_setting(small, tmp_path):
    wanted = short(small.folder, folds={**LEARNING["folds"], "min_rows": 1_000_000})
    with pytest.raises(DataError, match=r"folds.min_rows = 1000000 are needed"):
        train(wanted, ModelStore(tmp_path))


def test_no_pair_with_a_row_is_refused(small, tmp_path):
    source = partial(part, folder=small.folder, days=(0, 5))
    with pytest.raises(DataError, match="candles are too few"):
        train(replace(small.plan, load=source), ModelStore(tmp_path))


def late(pair: str, folder: Path) -> Market:
    """Return half a year of the first pair and only the last two months of the second."""
    return part(pair, folder, (0, 180) if pair.startswith("BTC") else (120, 180))


def test_a_pair_that_starts_late_joins_when_it_has_rows(small, tmp_path):
    chosen = settings(meta={"enabled": False}, folds={**LEARNING["folds"], "refit_days": 30})
    source = partial(late, folder=small.folder)
    trained = train(plan(None, ("BTC", "ETH"), chosen, source=source), ModelStore(tmp_path))
    old, new = trained.rows
    assert new.known_at[0] > trained.vintages[0].valid_from
    rows = [v.rows for v in trained.vintages]
    thin = chosen.learning.thin
    alone = int(np.sum(old.known_at <= trained.vintages[0].cut_off)) / thin
    assert rows[0] == pytest.approx(alone, rel=0.02)
    said = np.isfinite(trained.replays[1].predictions[UP])
    assert said.all(), "a model that never saw the pair speaks of it: it is one for all pairs"
    both = int(np.sum(new.known_at <= trained.vintages[-1].cut_off)) / thin
    assert both > 100
    assert rows[-1] >= both


def changed(market: Market, settings: Settings, change: str) -> PairRows:
    """Return the rows of a pair with what is wrong with them."""
    rows = pair_rows(market, settings)
    if change == "constant features":
        return replace(rows, X=np.ones_like(rows.X))
    if change == "unknown features":
        return replace(rows, X=np.full_like(rows.X, np.nan))
    single = np.where(rows.label_known, 1, rows.label).astype(np.int8)
    return replace(rows, label=single)


@pytest.mark.parametrize("change", ["constant features", "unknown features"])
def test_features_that_say_nothing_train_models_that_promise_the_base_rates(
    change, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "pair_rows", partial(changed, change=change))
    trained = train(short(small.folder), ModelStore(tmp_path))
    up = trained.replays[0].predictions[UP]
    for vintage, until in zip(
        trained.vintages, [v.valid_from for v in trained.vintages[1:]] + [2**62], strict=True
    ):
        at = trained.rows[0].known_at
        said = up[(at >= vintage.valid_from) & (at < until)]
        assert np.ptp(said) < 1e-6
        assert said[0] == pytest.approx(vintage.metrics["labels"]["1"], abs=0.1)


def test_a_single_class_in_a_window_is_predicted_as_the_base_rate_and_said(
    small, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "pair_rows", partial(changed, change="single class"))
    trained = train(short(small.folder), ModelStore(tmp_path))
    for vintage in trained.vintages:
        assert "only class 1" in vintage.metrics["signal"]["fallback"]
    said = trained.replays[0].predictions
    known = np.isfinite(said[UP])
    assert known.any()
    assert (said[UP][known] > 0.99).all()
    assert (said[DOWN][known] < 0.01).all()


def test_pairs_with_other_features_are_refused_by_name(small, tmp_path, monkeypatch):
    def other(market: Market, settings: Settings) -> PairRows:
        rows = pair_rows(market, settings)
        if market.pair.startswith("BTC"):
            return rows
        return replace(rows, names=("novel", *rows.names[1:]))

    monkeypatch.setattr(training, "pair_rows", other)
    with pytest.raises(DataError, match=r"ETH/USDT:USDT: other features than BTC.*novel"):
        train(small.plan, ModelStore(tmp_path))


def test_vintages_that_are_worse_than_the_base_rates_are_not_used_and_it_says_why(small, tmp_path):
    strict = short(small.folder, promotion={"max_drift": 0.0})
    with pytest.raises(DataError, match=r"no vintage of \d+ may be used.*drift"):
        train(strict, ModelStore(tmp_path))
    assert ModelStore(tmp_path).current() is None


def test_the_chain_in_use_stays_when_a_training_fails(small, tmp_path):
    shutil.copytree(small.store.root, tmp_path / "store")
    store = ModelStore(tmp_path / "store")
    before = store.current()
    source = partial(part, folder=small.folder, days=(0, 80))
    with pytest.raises(DataError):
        train(replace(small.plan, load=source), store)
    assert store.current() == before


def test_vintages_follow_each_other_by_the_refit_and_speak_an_embargo_after_their_labels(small):
    learning = small.plan.settings.learning
    vintages = small.trained.vintages
    assert np.diff([v.valid_from for v in vintages]).tolist() == [
        learning.folds.refit_days * DAY
    ] * (len(vintages) - 1)
    for vintage in vintages:
        assert vintage.cut_off + vintage.horizon_ms + vintage.embargo_ms <= vintage.valid_from
        assert vintage.horizon_ms == learning.labels.horizon * HOUR
        assert vintage.rows > learning.folds.min_rows
