"""A member that eats windows goes the whole way: folds, store, prediction, replay (spec M10)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_sequence import LENGTH, PLACE, ToySequence
from trained_markets import LEARNING, plan, settings, small_training

from quorum.features import compute_features
from quorum.features.predictions import AGREEMENT, CONTRIBUTION, ENSEMBLE_UP, SIGNAL_UP
from quorum.learning.dataset import feature_names
from quorum.learning.evaluation import evaluate_chain
from quorum.learning.findings import joined
from quorum.learning.importance import model_importance
from quorum.learning.inputs import MarketInputs, learnable
from quorum.learning.models import MEMBERS
from quorum.learning.prediction import Models
from quorum.learning.store import ModelStore
from quorum.learning.training import train
from quorum.learning.vintage import LoadedVintage, VintageFiles
from quorum.market import Frames, build_market
from quorum.pipeline import evaluate
from quorum.replay.datadir import DataDirectory
from quorum.verify import certify

PART = f"{CONTRIBUTION}toy"
THREE = {"ensemble": {"members": ["lightgbm", "xgboost", "toy"]}}


@pytest.fixture(scope="module", autouse=True)
def registered():
    MEMBERS["toy"] = PLACE
    yield
    del MEMBERS["toy"]


@pytest.fixture(scope="module")
def chosen(registered):
    return settings(**THREE)


@pytest.fixture(scope="module")
def trained(chosen, tmp_path_factory):
    """Train an ensemble of three on the small market; its folder, plan, store and result."""
    folder = small_training().folder
    planned = plan(folder, ("BTC", "ETH"), chosen)
    store = ModelStore(tmp_path_factory.mktemp("sequence") / "store")
    return folder, planned, store, train(planned, store)


@pytest.fixture(scope="module")
def models(trained, chosen):
    return Models(trained[2], chosen.learning, "1h")


def test_it_is_stored_and_read_again(trained):
    _, _, store, result = trained
    for manifest in result.vintages:
        assert "member_toy/model.json" in manifest.files
        assert manifest.metrics["member_toy"]["rows"] > 400
        vintage = LoadedVintage(manifest, VintageFiles(store, manifest))
        assert vintage.ensemble.members == ("lightgbm", "xgboost", "toy")
        toy = vintage.member("toy")
        assert isinstance(toy.model, ToySequence)
        assert len(toy.features) == ToySequence.most_inputs
        assert set(toy.features) < set(manifest.features)


def test_it_is_given_the_features_that_carry_the_trees_most(trained):
    _, _, store, result = trained
    manifest = result.vintages[-1]
    vintage = LoadedVintage(manifest, VintageFiles(store, manifest))
    gain = np.zeros(len(manifest.features))
    for member in (vintage.signal, vintage.member("lightgbm")):
        values = np.array([member.importance[name] for name in manifest.features])
        gain += values / values.sum()
    best = np.argsort(-gain, kind="stable")[: ToySequence.most_inputs]
    assert set(vintage.member("toy").features) == {manifest.features[i] for i in best}


def test_a_backtest_predicts_with_it_and_the_row_alone_gives_the_same_bits(trained, chosen, models):
    _, planned, store, result = trained
    market = planned.load(planned.pairs[0])
    features = evaluate(market, chosen, models).features
    said = np.flatnonzero(np.isfinite(features[PART]))
    assert len(said) > 2000
    assert np.isfinite(features[ENSEMBLE_UP][said]).all()
    manifest = result.vintages[-1]
    vintage = LoadedVintage(manifest, VintageFiles(store, manifest))
    columns = compute_features(market)
    names = feature_names(columns)
    for row in said[-40::7]:
        alone = vintage.predict(MarketInputs(market, columns, names, np.array([row])))
        for name in (PART, ENSEMBLE_UP, AGREEMENT, SIGNAL_UP):
            assert alone[name][0] == features[name][row]


def test_a_candle_without_a_full_window_is_silent_and_rows_go_on(trained, chosen, models):
    folder, planned, _, result = trained
    data, frames = DataDirectory(folder), {}
    for name in ("1h", "4h", "1d"):
        frames[name] = data.find(planned.pairs[0], name, "futures").read()
    base = frames.pop("1h")
    whole = build_market(planned.pairs[0], "1h", Frames(base, frames))
    first = int(np.searchsorted(whole.close_time, result.vintages[1].valid_from)) + 300
    lacking = base.drop(index=range(first, first + 5)).reset_index(drop=True)
    market = build_market(planned.pairs[0], "1h", Frames(lacking, frames))
    features = evaluate(market, chosen, models).features
    usable = np.flatnonzero(learnable(market, features))
    after = usable[usable >= first][0]  # signals pause for a while after a gap
    assert market.tradable[after]
    silent = np.arange(after, after + LENGTH - 1)
    assert np.isfinite(features[SIGNAL_UP][silent]).all()
    assert not np.isfinite(features[ENSEMBLE_UP][silent]).any()
    assert np.isfinite(features[ENSEMBLE_UP][after + LENGTH - 1])


def test_the_certificate_covers_it(trained, chosen, models):
    _, planned, _, _ = trained
    market = planned.load(planned.pairs[1])
    certificate = certify(market, chosen, models, stretch=8, starts=0)
    assert certificate.columns[f"feature {PART}"].compared > 1000
    assert certificate.rewritten == 0


def test_replay_evidence_and_explanation_know_it(trained, chosen):
    _, planned, store, result = trained
    for replay in result.replays:
        assert np.isfinite(replay.predictions[PART]).sum() > 2000
        explained = {part for _, part in replay.probe.contributions}
        assert "member_toy" in explained
    loaded = [LoadedVintage(v, VintageFiles(store, v)) for v in result.vintages]
    found = model_importance("member_toy", result, loaded, store, 5)
    assert {w.name for w in found.features} <= set(result.vintages[0].features)
    assert found.features[0].shap > 0
    evidence = evaluate_chain(result, store, chosen.learning, planned.step)
    assert "ensemble" in evidence.models
    assert not any("toy joined" in text for text in evidence.conclusions), "it never had to"


def test_what_a_member_added_is_told_of_all_vintages(trained):
    _, _, _, result = trained
    first, *others = result.vintages
    added = {"estimate": 0.002, "low": 0.001, "high": 0.003}
    less = {"estimate": -0.001, "low": -0.002, "high": 0.0}
    told = joined(
        [
            first.model_copy(update={"metrics": {"ensemble": {"added": {"toy": added}}}}),
            first.model_copy(update={"metrics": {"ensemble": {"left_out": {"toy": less}}}}),
            *others,
        ]
    )
    (text,) = told
    assert text.startswith(f"toy joined the ensemble of 1 of {len(others) + 2} vintages: ")
    assert "was -0.0005 nats on average" in text
    few = {"ensemble": {"left_out": {"toy": {"rows": 3, "needed": 300}}}}
    (text,) = joined([first.model_copy(update={"metrics": few})])
    assert text == (
        "toy joined the ensemble of 0 of 1 vintages: it had too few windows to learn from"
    )


def test_training_again_fits_nothing_anew(trained):
    _, planned, store, result = trained
    again = train(planned, store)
    assert again.reused == len(result.vintages)
    assert [v.key for v in again.vintages] == [v.key for v in result.vintages]


def test_a_member_with_too_few_windows_is_left_out_and_the_rest_goes_on(
    tmp_path, monkeypatch, trained
):
    monkeypatch.setattr(ToySequence, "eats", replace(ToySequence.eats, length=10_000))
    folder = trained[0]
    chosen = settings(**THREE, folds={**LEARNING["folds"], "refit_days": 60, "first_days": 200})
    result = train(plan(folder, ("BTC",), chosen), ModelStore(tmp_path))
    vintage = result.vintages[-1]
    assert vintage.metrics["ensemble"]["left_out"] == {"toy": {"rows": 0, "needed": 300}}
    assert not any(name.startswith("member_toy") for name in vintage.files)
