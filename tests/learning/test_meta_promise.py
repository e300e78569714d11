"""A meta-model that is worse than the base rate is not the promise (spec M4 d, M8)."""

from __future__ import annotations

import numpy as np
import pytest
from trained_markets import DAY, LEARNING, settings

from quorum.learning.consensus_models import SignalRows, fit_meta
from quorum.learning.vintage import META, RETURNS_FILE

N = 900
END = 400 * DAY


def signals(*, lasting: bool) -> SignalRows:
    """Return signals whose first column tells the winners.

    Unless it lasts: then it tells the losers in the second third, and nothing in the last.
    """
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, 3)).astype(np.float32)
    time = np.linspace(0, 300 * DAY, N).astype(np.int64)
    side = np.ones(N) if lasting else np.repeat([1.0, -1.0, 0.0], N // 3)
    won = X[:, 0] * side + 0.3 * rng.standard_normal(N) > 0
    return SignalRows(
        names=("told", "noise", "more_noise"),
        X=X,
        time=time,
        known_at=time + DAY,
        r=np.where(won, 2.0, -1.0),
        pair=np.arange(N, dtype=np.int16) % 7,
        direction=np.ones(N, np.int8),
        votes=np.zeros((N, 1), np.int8),
    )


def fitted(*, lasting: bool, worse_than_prior: float = 0.0):
    promotion = {**LEARNING["promotion"], "worse_than_prior": worse_than_prior}
    return fit_meta(signals(lasting=lasting), END, settings(promotion=promotion).learning)


def test_a_meta_model_better_than_the_base_rate_is_stored():
    files, metrics = fitted(lasting=True)
    assert {name.split("/")[0] for name in files} == {META}
    assert RETURNS_FILE in files
    assert "left_out" not in metrics
    assert metrics["calibrated"]["log_loss"] < metrics["prior"]["log_loss"]


def test_a_meta_model_worse_than_the_base_rate_is_left_out_and_said_so():
    files, metrics = fitted(lasting=False)
    excess = metrics["calibrated"]["log_loss"] - metrics["prior"]["log_loss"]
    assert excess > 0
    assert files == {}
    assert metrics["left_out"] == (
        f"its log loss out of fold is {excess:.4f} over that of the base rate"
    )
    allowed, _ = fitted(lasting=False, worse_than_prior=1.0)
    assert RETURNS_FILE in allowed, "the setting says how much worse is still allowed"


def test_too_few_signals_are_told():
    files, metrics = fit_meta(signals(lasting=True), 10 * DAY, settings().learning)
    assert files == {}
    assert metrics["fallback"] == pytest.approx("0 signals have ended, 50 are needed")
