"""Drift and promotion: which vintages may speak, and why the others may not (spec M8)."""

from __future__ import annotations

import numpy as np
import pytest

from quorum.learning.drift import drift_metrics, stability_index
from quorum.learning.manifest import VintageManifest
from quorum.learning.promotion import PromotionSettings, excess_loss, objections

S = PromotionSettings()


def part(loss: float, prior: float = 0.80) -> dict[str, object]:
    return {"calibrated": {"log_loss": loss}, "prior": {"log_loss": prior}, "fallback": None}


def vintage(**metrics: object) -> VintageManifest:
    return VintageManifest(
        key="made-by-hand",
        valid_from=1,
        cut_off=0,
        horizon_ms=0,
        embargo_ms=0,
        train_start=0,
        rows=1,
        timeframe="1h",
        pairs=(),
        features=(),
        labels={},
        models={},
        metrics=metrics,
        files={},
        created=0,
    )


def test_a_vintage_no_worse_than_the_base_rates_may_speak():
    assert objections(vintage(signal=part(0.79), drift={"share": 0.1}), None, S) == []
    assert objections(vintage(signal=part(0.80), ensemble=part(0.80)), None, S) == []
    near = PromotionSettings(worse_than_prior=0.01)
    assert objections(vintage(signal=part(0.809)), None, near) == []


@pytest.mark.parametrize("worse", ["signal", "ensemble", "member_lightgbm", "member_toy"])
def test_a_vintage_of_which_any_model_is_worse_than_the_base_rates_may_not(worse):
    parts = {"signal": part(0.79), "ensemble": part(0.79), "member_lightgbm": part(0.79)}
    (why,) = objections(vintage(**{**parts, worse: part(0.802)}), None, S)
    assert why.startswith(
        f"{worse}: its log loss out of fold is 0.0020 over that of the base rates (at most 0.0)"
    )


def test_losses_are_held_against_the_base_rates_of_their_own_rows():
    before = vintage(signal=part(0.60, prior=0.70))
    assert objections(vintage(signal=part(0.74, prior=0.80)), before, S) == []
    (why,) = objections(vintage(signal=part(0.79, prior=0.80)), before, S)
    assert "lost 0.0900 nats against the vintage before" in why


def test_a_market_that_has_become_another_is_an_objection():
    (why,) = objections(vintage(signal=part(0.79), drift={"share": 0.7}), None, S)
    assert why.startswith("drift: 70% of the features have drifted")


def test_a_part_that_learned_nothing_has_no_loss_to_speak_of():
    assert excess_loss({**part(0.9), "fallback": "one class only"}) is None
    assert excess_loss(None) is None
    assert excess_loss(part(0.78)) == pytest.approx(-0.02)


def test_the_stability_index_is_the_sum_over_shares():
    # Deciles of 0..9 hold a tenth each; all of the newer rows lie in the first.
    older = np.tile(np.arange(10, dtype=np.float32), 100)[:, None]
    newer = np.zeros((50, 1), np.float32)
    floor, share = 1e-3, 0.1
    wanted = (1 - share) * np.log(1 / share) + 9 * (floor - share) * np.log(floor / share)
    assert stability_index(older, newer)[0] == pytest.approx(wanted, rel=1e-3)
    assert stability_index(older, older)[0] == 0.0


def test_what_is_missing_drifts_too_and_the_worst_are_named():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4000, 3)).astype(np.float32)
    newest = np.arange(4000) >= 3500
    X[newest, 1] += 3.0
    X[newest, 2] = np.nan
    found = drift_metrics(X, newest, ("same", "moved", "gone"))
    assert found["share"] == pytest.approx(2 / 3)
    assert set(list(found["worst"])[:2]) == {"moved", "gone"}
    assert found["worst"]["same"] < 0.1
    assert drift_metrics(X, np.zeros(4000, bool), ("same", "moved", "gone"))["share"] == 0.0
