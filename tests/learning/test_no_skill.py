"""Where nothing can be known no skill is found, and where something can it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trained_markets import DAY, HELD_OUT, HOUR, LEARNING, plan, settings, written

from quorum.candles import epoch_ms
from quorum.context.regime import REGIMES
from quorum.learning import training
from quorum.learning.dataset import PairRows
from quorum.learning.evaluation import EvidenceSettings, evaluate_chain
from quorum.learning.evidence_document import TOTAL, Evidence, Figures
from quorum.learning.scoring import draw_days, row_log_loss
from quorum.learning.store import ModelStore
from quorum.learning.training import train

PAIRS = ("BTC", "ETH")
DAYS = 450
#: Claims that are looked at below, of all models together.
CLAIMS = 16
#: So many intervals together hold the truth with 95 %: alone, one of twenty would not.
TOGETHER = EvidenceSettings(level=1 - 0.05 / CLAIMS, runs=3000)


def judged(folder: Path, store: ModelStore) -> Evidence:
    chosen = settings(folds={**LEARNING["folds"], "refit_days": 90}, max_age_days=91)
    planned = plan(folder, PAIRS, chosen)
    return evaluate_chain(train(planned, store), store, chosen.learning, HOUR, TOGETHER)


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("walk") / "market"
    return written(folder, DAYS, PAIRS, mode="random_walk", seed=HELD_OUT)


@pytest.fixture(scope="module")
def of_walk(walk, tmp_path_factory) -> Evidence:
    return judged(walk, ModelStore(tmp_path_factory.mktemp("of_walk")))


def shuffled_rows(market, settings) -> PairRows:
    """Return a pair's rows with outcomes dealt out at random, each whole."""
    rows = pair_rows(market, settings)
    rng = np.random.default_rng(HELD_OUT)
    known, told = np.flatnonzero(rows.label_known), np.flatnonzero(rows.regime >= 0)
    changed = {}
    for name in ("label", "r_long", "r_short", "weight"):
        changed[name] = getattr(rows, name).copy()
    dealt = rng.permutation(known)
    for values in changed.values():
        values[known] = values[dealt]
    regime = rows.regime.copy()
    regime[told] = regime[rng.permutation(told)]
    return replace(rows, **changed, regime=regime)


pair_rows = training.pair_rows


@pytest.fixture(scope="module")
def of_shuffled(tmp_path_factory) -> Evidence:
    """A market with regimes, whose labels belong to other rows."""
    folder = written(tmp_path_factory.mktemp("shuffled") / "market", DAYS, PAIRS, seed=HELD_OUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "pair_rows", shuffled_rows)
        return judged(folder, ModelStore(tmp_path_factory.mktemp("of_shuffled")))


def claims(figures: Figures) -> list[str]:
    """Return the metrics that beat chance beyond their interval."""
    chance = {"auc": 0.5, "direction_auc": 0.5, "gain_on_majority": 0.0, "gain_on_momentum": 0.0}
    found = [
        name
        for name, value in chance.items()
        if (metric := getattr(figures, name)) is not None and metric.above(value)
    ]
    for name in ("trades", "leaning"):
        trades = getattr(figures, name)
        if trades is not None and trades.mean_r.above(0.0):
            found.append(name)
    return found


def test_on_a_random_walk_no_metric_of_any_model_beats_chance(of_walk):
    assert {"signal", "ensemble"} <= set(of_walk.models)
    assert of_walk.models["signal"].periods[TOTAL].days > 250
    for model in of_walk.models.values():
        if model.name != "regime":
            assert claims(model.periods[TOTAL]) == [], model.findings


def test_on_shuffled_labels_no_metric_of_the_market_models_beats_chance(of_shuffled):
    assert {"signal", "ensemble"} <= set(of_shuffled.models)
    for name, model in of_shuffled.models.items():
        if name != "meta":  # learns from trades of the true market
            assert claims(model.periods[TOTAL]) == [], model.findings


@pytest.mark.parametrize("which", ["of_walk", "of_shuffled"])
def test_the_sentences_claim_no_skill_where_there_is_none(which, request):
    evidence: Evidence = request.getfixturevalue(which)
    said = " ".join(evidence.conclusions)
    assert "told no better than by chance" in said
    for name in ("signal", "ensemble"):
        assert "better than chance" not in " ".join(evidence.models[name].findings)


def test_probabilities_that_mean_nothing_stay_near_the_base_rates(of_shuffled):
    total = of_shuffled.models["signal"].periods[TOTAL]
    assert total.rows > 3000
    assert total.log_loss.estimate == pytest.approx(total.baselines["majority"].log_loss, abs=0.01)
    assert total.coverage == 0.0


# Known regimes ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known_regimes(tmp_path_factory):
    """Three years whose regimes are known, and what the classifier said of them."""
    folder = written(
        tmp_path_factory.mktemp("known") / "market", 1096, ("BTC", "ETH"), seed=HELD_OUT
    )
    chosen = settings(
        folds={**LEARNING["folds"], "refit_days": 180, "first_days": 400},
        regime_days=365,
        max_age_days=181,
        meta={"enabled": False},
    )
    planned = plan(folder, PAIRS, chosen)
    store = ModelStore(tmp_path_factory.mktemp("of_known"))
    trained = train(planned, store)
    return folder, trained, evaluate_chain(trained, store, chosen.learning, HOUR)


def test_the_regime_classifier_finds_the_regimes_it_was_taught_from_both_sides(known_regimes):
    total = known_regimes[2].models["regime"].periods[TOTAL]
    assert total.auc.above(0.5)
    assert total.gain_on_majority.above(0.0)
    assert total.gain_on_momentum.above(0.0)
    assert total.auc.low > total.baselines["shuffled"].auc.estimate


def test_the_regime_classifier_finds_the_true_regimes_better_than_chance_and_majority(
    known_regimes,
):
    folder, trained, _ = known_regimes
    truth = pd.read_feather(folder / "regimes.feather")
    hours = epoch_ms(truth["date"])
    codes = truth["regime"].map({name: i for i, name in enumerate(REGIMES)}).to_numpy(np.int64)
    first = trained.vintages[0].valid_from
    usual = np.bincount(codes[hours < first], minlength=8) + 1
    time, p, true = [], [], []
    for rows, replay in zip(trained.rows, trained.replays, strict=True):
        said = np.column_stack([replay.predictions[f"model_regime_{name}"] for name in REGIMES])
        known = np.isfinite(said).all(axis=1)
        time.append(rows.known_at[known])
        p.append(said[known].astype(np.float64))
        true.append(codes[np.searchsorted(hours, rows.known_at[known] - HOUR)])
    at, said, came = np.concatenate(time), np.concatenate(p), np.concatenate(true)
    base = np.tile(usual / usual.sum(), (len(came), 1))
    gain = row_log_loss(base, came) - row_log_loss(said, came)
    right = (said.argmax(axis=1) == came).astype(float) - (usual.argmax() == came)
    draws, length = draw_days(at, (gain, right), 7.0, 500, 0.95, 1)
    assert length >= 7.0
    assert len(at) > 200 * 24
    assert draws.auc(at, said, [came == k for k in range(8)]).low > 0.5
    assert draws.mean(at, right).low > 0.0
    recall = [np.mean(said.argmax(axis=1)[came == k] == k) for k in np.unique(came)]
    assert np.mean(recall) > 1.5 / 8
    assert first > hours[0] + 365 * DAY
