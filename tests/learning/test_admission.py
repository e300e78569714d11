"""A member that must add something joins an ensemble only where it does (spec M11)."""

from __future__ import annotations

import numpy as np
import pytest
from toy_sequence import LENGTH, PLACE, ToySequence
from trained_markets import HOUR, settings

from quorum.learning.ensemble_fitting import FoldRows, fit_ensemble
from quorum.learning.models import MEMBERS

THREE = {"ensemble": {"members": ["lightgbm", "toy", "xgboost"]}}
N, NAMES = 4000, ("one", "two", "three")


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    monkeypatch.setitem(MEMBERS, "toy", PLACE)
    monkeypatch.setattr(ToySequence, "must_add", True)


def fold(*, told: bool) -> FoldRows:
    """Return a fold whose labels follow from how a column changed within a window, or do not."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((N, 3)).astype(np.float32)
    change = np.zeros(N)
    change[LENGTH - 1 :] = X[LENGTH - 1 :, 0] - X[: N - LENGTH + 1, 0]
    score = (change if told else rng.standard_normal(N)) + 0.5 * rng.standard_normal(N)
    shared = {
        "X": X,
        "known_at": np.arange(N) * HOUR,
        "pair": np.zeros(N, np.int16),
        "label": np.where(score > 0.5, 1, np.where(score < -0.5, -1, 0)).astype(np.int8),
        "r_long": score.astype(np.float32),
        "r_short": -score.astype(np.float32),
    }
    rows = np.arange(0, N, 2)
    return FoldRows(
        settings(**THREE).learning, NAMES, HOUR, shared, rows, np.ones(len(rows)), 2 * HOUR
    )


def test_one_that_lowers_the_log_loss_beyond_chance_joins():
    fit = fit_ensemble(fold(told=True))
    assert fit.stack.members == ("lightgbm", "toy", "xgboost")
    assert set(fit.parts) == {"signal", "member_lightgbm", "member_toy"}
    added = fit.metrics["added"]["toy"]
    assert added["estimate"] > added["low"] > 0
    assert fit.metrics["left_out"] == {}


def test_one_that_does_not_is_left_out_and_what_it_would_have_added_is_told():
    fit = fit_ensemble(fold(told=False))
    assert fit.stack.members == ("lightgbm", "xgboost")
    assert set(fit.parts) == {"signal", "member_lightgbm"}
    left_out = fit.metrics["left_out"]["toy"]
    assert left_out["low"] <= 0
    assert left_out["low"] <= left_out["estimate"] <= left_out["high"]


def test_a_member_learns_from_as_many_rows_as_it_asks_for(monkeypatch):
    monkeypatch.setattr(ToySequence, "most_rows", 600)
    fit = fit_ensemble(fold(told=True))
    assert 450 < fit.parts["member_toy"].metrics["rows"] <= 600
