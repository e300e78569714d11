"""Judging models: figures that are right, intervals that hold, evidence that is kept whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from trained_markets import DAY, HOUR, Training, small_training
from typer.testing import CliRunner

from quorum.cli import app
from quorum.errors import DataError
from quorum.learning.baselines import alone, shifts, training_rates
from quorum.learning.disk import StoreError
from quorum.learning.evaluation import EvidenceSettings, evaluate_chain, figures
from quorum.learning.evidence_document import (
    TOTAL,
    Evidence,
    evidence_path,
    load_evidence,
    save_evidence,
)
from quorum.learning.out_of_sample import Forecast, Openings
from quorum.learning.probabilities import normalised
from quorum.learning.scoring import draw_days, placements

FIRST = 1_640_995_200_000


@pytest.fixture(scope="module")
def small() -> Training:
    return small_training()


@pytest.fixture(scope="module")
def evidence(small) -> Evidence:
    return evaluate_chain(small.trained, small.store, small.plan.settings.learning, HOUR)


# Figures ------------------------------------------------------------------------------------


def forecast(skill: float, days: int = 300, seed: int = 0, edge: float = 0.0) -> Forecast:
    """Return forecasts that know ``skill`` of what comes; outcomes last two days."""
    rng = np.random.default_rng(seed)
    n = days * 6
    drift = np.repeat(rng.normal(size=days // 2), 12)
    code = np.where(drift > 0.4, 2, np.where(drift < -0.4, 0, 1)).astype(np.int64)
    score = skill * drift + rng.normal(size=n)
    p = normalised(np.exp(np.column_stack([-score, np.zeros(n), score]) * 0.3 * (skill > 0)))
    base = np.tile(np.bincount(code, minlength=3) / n, (n, 1))
    time = FIRST + np.arange(n) * 4 * HOUR
    side = np.sign(score).astype(np.int8)
    one = np.ones(n, np.int8)
    r = drift + edge
    openings = Openings(time, time + 2 * DAY, np.zeros(n, np.int16), r, -r, side, side, one, -one)
    return Forecast(
        "signal",
        (-1, 0, 1),
        (0, 2),
        time,
        np.zeros(n, np.int16),
        code,
        p,
        normalised(p**3),
        base,
        base,
        2.0,
        1.0,
        openings,
    )


def test_forecasts_that_know_something_beat_chance_on_every_count():
    found, block = figures(forecast(0.8), EvidenceSettings())
    assert found.auc.above(0.5)
    assert found.direction_auc is not None
    assert found.direction_auc.above(0.5)
    assert found.gain_on_majority.above(0.0)
    assert found.trades is not None
    assert found.trades.mean_r.above(0.0)
    assert block >= 4.0


def test_the_figures_are_those_of_an_independent_implementation():
    f = forecast(0.5)
    found, _ = figures(f, EvidenceSettings(threshold=0.5))
    areas = [roc_auc_score(f.code == k, f.p[:, k]) for k in range(3)]
    assert found.auc.estimate == pytest.approx(np.mean(areas))
    assert found.log_loss.estimate == pytest.approx(-np.log(f.p[np.arange(len(f)), f.code]).mean())
    assert found.brier.estimate == pytest.approx(((f.p - np.eye(3)[f.code]) ** 2).sum(1).mean())
    sided = f.code != 1
    score = (f.p[:, 2] - f.p[:, 0])[sided]
    assert found.direction_auc is not None
    assert found.direction_auc.estimate == pytest.approx(roc_auc_score(f.code[sided] == 2, score))
    sure = np.maximum(f.p[:, 0], f.p[:, 2]) >= 0.5
    best = np.where(f.p[:, 2] > f.p[:, 0], 2, 0)
    assert found.coverage == pytest.approx(sure.mean())
    assert found.precision.estimate == pytest.approx((best == f.code)[sure].mean())


def test_intervals_that_know_overlaps_hold_chance_about_as_often_as_they_promise():
    settings = EvidenceSettings(runs=200)
    above = [
        figures(forecast(0.0, seed=seed), settings)[0].leaning.mean_r.above(0.0)
        for seed in range(60)
    ]
    assert np.mean(above) <= 0.10


def test_intervals_are_as_wide_as_the_independent_outcomes_make_them():
    rng = np.random.default_rng(3)
    days = 400
    values = np.repeat(rng.normal(size=days // 2), 12)  # an outcome lasts two days
    time = FIRST + np.arange(len(values)) * 4 * HOUR
    draws, _ = draw_days(time, (values,), 4.0, 2000, 0.95, 0)
    found = draws.mean(time, values)
    true = 2 * 1.96 * values.std() / np.sqrt(days / 2)
    assert found.high - found.low == pytest.approx(true, rel=0.25)


def test_shuffled_labels_are_chance_whatever_the_skill():
    found, _ = figures(forecast(1.0), EvidenceSettings())
    shuffled = found.baselines["shuffled"]
    assert shuffled.auc.low < 0.5 < shuffled.auc.high
    assert shuffled.auc.high < found.auc.estimate
    assert shuffled.log_loss > found.log_loss.estimate
    assert shuffled.mean_r.low < 0.0 < shuffled.mean_r.high


def test_few_days_tell_no_interval():
    found, _ = figures(forecast(1.0, days=12), EvidenceSettings())
    assert found.auc.estimate is not None
    assert found.auc.low is None
    assert not found.auc.above(0.5)


def test_trades_of_a_pair_do_not_overlap():
    time = np.arange(10, dtype=np.int64)
    acts = np.array([0, 1, 1, 1, 0, 1, 1, 0, 0, 1], bool)
    assert alone(time, time + 3, acts).tolist() == [1, 5, 9]
    assert alone(time, time, acts).tolist() == np.flatnonzero(acts).tolist()
    assert alone(time, time + 3, np.zeros(10, bool)).tolist() == []


def test_base_rates_are_those_of_the_training_rows_alone():
    time = np.array([5, 1, 2, 3, 4], np.int64)
    code = np.array([1, 0, 0, 1, 1], np.int64)
    state = np.array([0, 0, 1, 1, 1], np.int64)
    first, last = np.array([1, 2]), np.array([3, 4])
    rates = training_rates(time, code, 2, np.zeros(5, np.int64), 1, first, last)
    assert rates[:, 0].tolist() == [[3 / 5, 2 / 5], [2 / 5, 3 / 5]]
    after = training_rates(time, code, 2, state, 2, first, last)
    assert after[1].tolist() == [[0.5, 0.5], [2 / 5, 3 / 5]]


def test_shifted_rows_stay_in_their_pair_and_none_stays_in_place():
    pair = np.array([0, 1] * 20 + [1] * 10, np.int16)
    for rows in shifts(pair, 20, np.random.default_rng(1)):
        assert sorted(rows.tolist()) == list(range(50))
        assert (pair[rows] == pair).all()
        assert (rows != np.arange(50)).all()


def test_placements_of_ties_count_half():
    score = np.array([1.0, 2.0, 2.0, 3.0])
    happened = np.array([False, True, False, True])
    assert placements(score, happened).tolist() == [1.0, 0.75, 0.75, 1.0]


def test_every_day_between_is_drawn_from():
    time = np.array([FIRST, FIRST + DAY, FIRST + 9 * DAY])
    draws, length = draw_days(time, (), 2.0, 50, 0.95, 0)
    assert draws.counts.shape == (50, 10)
    assert (draws.counts.sum(axis=1) == 10).all()
    assert length == 2.0


# Of a training ------------------------------------------------------------------------------


def test_every_model_is_judged_by_year_and_in_total_next_to_the_baselines(small, evidence):
    assert {"signal", "ensemble"} <= set(evidence.models)
    for model in evidence.models.values():
        assert list(model.periods)[-1] == TOTAL
        years = [figures for period, figures in model.periods.items() if period != TOTAL]
        assert sum(f.rows for f in years) == model.periods[TOTAL].rows
        assert set(model.periods[TOTAL].baselines) == {"majority", "momentum", "shuffled"}
        assert model.findings
    assert evidence.chain == small.trained.chain.id
    assert evidence.first >= small.trained.vintages[0].valid_from
    assert evidence.models["signal"].covered == 1.0


def test_calibration_is_judged_on_the_models_own_probabilities(small, evidence):
    total = evidence.models["signal"].periods[TOTAL]
    assert total.ece_before > total.ece_after  # balanced classes promise too much
    replay, rows = small.trained.replays[0], small.trained.rows[0]
    probe = replay.probe
    assert probe.raw["signal"].shape == (len(probe.sampled), 3)
    assert np.allclose(probe.raw["signal"].sum(axis=1), 1.0, atol=1e-5)
    assert (rows.known_at[probe.sampled] // HOUR % 4 == 0).all()


def test_importance_is_told_in_shares_and_how_stable_it_is(evidence):
    for name in ("signal", "ensemble"):
        found = evidence.models[name].importance
        assert found.vintages == 3
        assert -1.0 <= found.rank_correlation <= 1.0
        assert 0 < sum(f.shap for f in found.features) <= 1.0 + 1e-9
        shap = [f.shap for f in found.features]
        assert shap == sorted(shap, reverse=True)
        assert all(0.0 <= f.top <= 1.0 for f in found.features)


def test_judging_twice_gives_the_same(small, evidence):
    again = evaluate_chain(small.trained, small.store, small.plan.settings.learning, HOUR)
    assert again == evidence


# The document -------------------------------------------------------------------------------


def test_evidence_is_read_as_it_was_saved(evidence, tmp_path):
    path = save_evidence(tmp_path, evidence)
    assert path == evidence_path(tmp_path, evidence.chain)
    assert load_evidence(tmp_path, evidence.chain) == evidence
    assert load_evidence(tmp_path, "another") is None


def test_evidence_of_a_chain_that_is_gone_is_removed(evidence, tmp_path):
    old = save_evidence(tmp_path, evidence.model_copy(update={"chain": "old"}))
    assert old.is_file()
    save_evidence(tmp_path, evidence)
    assert not old.exists()
    assert load_evidence(tmp_path, evidence.chain) == evidence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"format_version": 1, "chain": ', "not whole"),
        (b'{"format_version": 99}', "format version 99"),
        (b'{"format_version": 1, "chain": "x"}', "not the evidence"),
        (b"[]", "format version None"),
    ],
)
def test_damaged_evidence_is_refused_by_name(text, said, tmp_path):
    path = evidence_path(tmp_path, "x")
    path.parent.mkdir()
    path.write_bytes(text)
    with pytest.raises(DataError, match=said) as caught:
        load_evidence(tmp_path, "x")
    assert str(path) in str(caught.value)


def test_what_the_disk_refuses_leaves_the_evidence_that_was_there(evidence, tmp_path, monkeypatch):
    save_evidence(tmp_path, evidence)
    before = evidence_path(tmp_path, evidence.chain).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("quorum.learning.disk.os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        save_evidence(tmp_path, evidence.model_copy(update={"conclusions": ("other",)}))
    assert evidence_path(tmp_path, evidence.chain).read_bytes() == before


def test_a_chain_named_like_a_path_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not the id"):
        load_evidence(tmp_path, "../secret")


# The command --------------------------------------------------------------------------------


def test_the_command_prints_what_was_saved_and_its_conclusions(evidence, tmp_path):
    from shutil import copytree

    root = small_training().store.root
    copytree(root, tmp_path / "store")
    arguments = ["models", "evidence", "--models-dir", str(tmp_path / "store")]
    missing = CliRunner().invoke(app, arguments)
    assert missing.exit_code == 1
    save_evidence(tmp_path / "store", evidence)
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    told = " ".join(shown.output.split())
    for line in evidence.conclusions:
        assert line[:60] in told
    assert "shuffled" in told


def test_the_document_is_plain_json_without_nan(evidence, tmp_path):
    text = save_evidence(tmp_path, evidence).read_text(encoding="utf-8")
    assert "NaN" not in text
    total = json.loads(text)["models"]["signal"]["periods"][TOTAL]
    assert set(total["auc"]) == {"estimate", "low", "high"}


# By vintage ---------------------------------------------------------------------------------


def test_each_vintage_is_judged_on_the_rows_of_its_time(evidence, small):
    starts = [vintage.valid_from for vintage in small.trained.vintages]
    for model in evidence.models.values():
        assert sum(turn.rows for turn in model.turns) == model.periods[TOTAL].rows
        assert [turn.valid_from for turn in model.turns] == sorted(
            {turn.valid_from for turn in model.turns} & set(starts)
        )


def test_reliability_is_kept_from_before_calibration_too(evidence):
    for model in evidence.models.values():
        before, after = (
            sum(one.count for one in bins) for bins in (model.reliability_before, model.reliability)
        )
        assert 0 < before <= after
