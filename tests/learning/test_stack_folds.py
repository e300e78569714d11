"""What an ensemble is worth on rows its joining had not seen (spec M4 c, M9)."""

from __future__ import annotations

import numpy as np
import pytest

from quorum.learning.folds import PurgedKFold
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.stack_folds import stack_metrics, stack_out_of_fold

HOUR = 3_600_000
CLASSES = (-1, 0, 1)
TWO = EnsembleSettings(members=("lightgbm", "xgboost"))
N = 1500


def said_of(y, sharpness: float, seed: int):
    """Return probabilities that lean to the label by so much."""
    scores = np.random.default_rng(seed).standard_normal((len(y), 3))
    scores[np.arange(len(y)), y + 1] += sharpness
    p = np.exp(scores)
    return p / p.sum(axis=1, keepdims=True)


def joined(members, y, weight=None):
    time = np.arange(len(y)) * HOUR
    weight = np.ones(len(y)) if weight is None else weight
    out = stack_out_of_fold(
        members, y, weight, time, time + 5 * HOUR,
        classes=CLASSES, settings=TWO, blocks=PurgedKFold(3, 2 * HOUR),
    )  # fmt: skip
    return out, stack_metrics(out, y, weight, CLASSES)


@pytest.fixture
def y():
    return np.random.default_rng(1).choice(CLASSES, N, p=(0.3, 0.3, 0.4))


def test_members_that_know_something_beat_the_base_rates_on_rows_not_fitted(y):
    out, metrics = joined({"lightgbm": said_of(y, 0.8, 2), "xgboost": said_of(y, 0.8, 3)}, y)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out.sum(axis=1), 1.0)
    shares = np.array([np.mean(y == c) for c in CLASSES])
    assert metrics["prior"]["log_loss"] == pytest.approx(-np.sum(shares * np.log(shares)))
    assert metrics["calibrated"]["log_loss"] < metrics["prior"]["log_loss"] - 0.1


def test_members_that_know_nothing_are_not_better_than_the_base_rates(y):
    _, metrics = joined({"lightgbm": said_of(y, 0.0, 2), "xgboost": said_of(y, 0.0, 3)}, y)
    assert metrics["calibrated"]["log_loss"] > metrics["prior"]["log_loss"]


def test_a_row_follows_from_other_blocks_alone(y):
    members = {"lightgbm": said_of(y, 0.5, 2), "xgboost": said_of(y, 0.5, 3)}
    before, _ = joined(members, y)
    changed = y.copy()
    changed[: N // 3] = 1  # labels of the first block, which no other label may see but its own
    after, _ = joined(members, changed)
    np.testing.assert_array_equal(after[: N // 3], before[: N // 3])
    assert not np.array_equal(after[N // 3 :], before[N // 3 :])


def test_rows_that_a_member_did_not_predict_are_left_out(y):
    late = said_of(y, 0.5, 3)
    late[:100] = np.nan
    out, metrics = joined({"lightgbm": said_of(y, 0.5, 2), "xgboost": late}, y)
    assert not np.isfinite(out[:100]).any()
    assert np.isfinite(out[100:]).all()
    assert stack_metrics(out[:100], y[:100], np.ones(100), CLASSES) == {}
    assert metrics["calibrated"]["log_loss"] > 0
