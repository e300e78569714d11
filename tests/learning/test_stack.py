"""The ensemble: joined probabilities, and what each member had to do with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.errors import DataError
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.probabilities import log_loss
from quorum.learning.stack import Stack, fit_stack

CLASSES = (-1, 0, 1)
METHODS = ["stacking", "blending", "voting"]


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def told(n=2000, seed=0, noise=(0.3, 3.0)):
    """Outcomes of hidden log-odds, and members that see them through more or less noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 3))
    p = softmax(hidden)
    codes = np.minimum((rng.random((n, 1)) > np.cumsum(p, axis=1)).sum(axis=1), 2)
    names = ("lightgbm", "xgboost", "lstm")
    members = {
        name: softmax(hidden + sd * rng.normal(size=(n, 3)))
        for name, sd in zip(names, noise, strict=False)
    }
    return members, codes - 1


def ensemble(method, members=("lightgbm", "xgboost"), **more):
    # Not checked: a stack joins members of any name, also of libraries that are not here.
    kind = type("EnsembleSettings", (EnsembleSettings,), more)
    return kind.model_construct(method=method, members=members)


@pytest.mark.parametrize("method", METHODS)
def test_rows_sum_to_one_and_all_methods_beat_the_base_rates(method):
    members, y = told(noise=(0.3, 0.6))
    stack = fit_stack(members, y, settings=ensemble(method))
    later, truth = told(seed=1, noise=(0.3, 0.6))
    p = stack.predict_proba(later)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    rates = np.bincount(truth + 1) / len(truth)
    assert log_loss(p, truth + 1) < log_loss(np.tile(rates, (len(truth), 1)), truth + 1) - 0.05
    assert stack.log_loss == pytest.approx(log_loss(stack.predict_proba(members), y + 1))


def test_the_better_member_is_believed_more():
    members, y = told()
    voting = fit_stack(members, y, settings=ensemble("voting"))
    blending = fit_stack(members, y, settings=ensemble("blending"))
    stacking = fit_stack(members, y, settings=ensemble("stacking"))
    assert voting.weights == (0.5, 0.5)
    assert blending.weights[0] > 0.8
    assert sum(blending.weights) == pytest.approx(1.0)
    assert blending.log_loss < voting.log_loss
    assert stacking.log_loss < blending.log_loss
    joined = stacking.join(members)
    moved = {name: np.abs(c).mean() for name, c in joined.contributions.items()}
    assert moved["lightgbm"] > 2 * moved["xgboost"]


def test_voting_is_the_plain_mean():
    members, y = told(100)
    stack = fit_stack(members, y, settings=ensemble("voting"))
    mean = (members["lightgbm"] + members["xgboost"]) / 2
    np.testing.assert_allclose(stack.predict_proba(members), mean, atol=1e-6)


def test_the_weights_of_blending_are_those_of_least_log_loss():
    members, y = told(800, noise=(0.8, 1.0))
    stack = fit_stack(members, y, settings=ensemble("blending"))
    grid = [
        log_loss(w * members["lightgbm"] + (1 - w) * members["xgboost"], y + 1)
        for w in np.linspace(0, 1, 201)
    ]
    assert stack.log_loss <= min(grid) + 1e-6


@given(
    seed=st.integers(0, 500),
    method=st.sampled_from(METHODS),
    n_members=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_contributions_sum_to_the_log_odds(seed, method, n_members):
    names = ("lightgbm", "xgboost", "lstm")[:n_members]
    members, y = told(120, seed, noise=(0.3, 1.0, 2.0)[:n_members])
    joined = fit_stack(members, y, settings=ensemble(method, names, min_rows=50)).join(members)
    odds = np.log(joined.proba[:, 2] / joined.proba[:, 0])
    total = joined.base + sum(joined.contributions.values())
    np.testing.assert_allclose(total, odds, atol=1e-9)
    assert tuple(joined.contributions) == names


def test_a_member_that_always_says_the_same_contributes_nothing():
    members, y = told()
    members["xgboost"] = np.tile([0.3, 0.3, 0.4], (len(y), 1))
    for method in METHODS:
        joined = fit_stack(members, y, settings=ensemble(method)).join(members)
        np.testing.assert_allclose(joined.contributions["xgboost"], 0.0, atol=1e-9)
        assert np.abs(joined.contributions["lightgbm"]).max() > 0.2


def test_direction_agreement_and_expected_return_are_as_counted_by_hand():
    y = np.tile([-1, 0, 1], 4)
    flat = np.tile([0.3, 0.4, 0.3], (12, 1))
    r_long = np.tile([-1.0, 0.25, 2.0], 4)
    r_short = np.tile([1.5, -0.5, -1.0], 4)
    r_long[2] = np.nan
    stack = fit_stack(
        {"a": flat, "b": flat, "c": flat},
        y,
        settings=ensemble("voting", ("a", "b", "c")),
        r_long=r_long,
        r_short=r_short,
    )
    assert stack.long_returns == (-1.0, 0.25, 2.0)
    rows = {
        "a": np.array([[0.1, 0.2, 0.7], [0.5, 0.2, 0.3], [0.4, 0.2, 0.4]]),
        "b": np.array([[0.2, 0.2, 0.6], [0.6, 0.2, 0.2], [0.4, 0.2, 0.4]]),
        "c": np.array([[0.5, 0.2, 0.3], [0.7, 0.2, 0.1], [0.4, 0.2, 0.4]]),
    }
    joined = stack.join(rows)
    np.testing.assert_array_equal(joined.direction, [1, -1, 0])
    np.testing.assert_allclose(joined.united, [2 / 3, 1.0, 1.0])
    # Up less down is .6, .4, -.2 in the first row: they differ by .8 of the 2 there can be.
    np.testing.assert_allclose(joined.agreement, [0.6, 0.8, 1.0], atol=1e-6)
    first = (0.8 / 3, 0.2, 1.6 / 3)
    long = -first[0] + 0.25 * first[1] + 2 * first[2]
    assert joined.expected_long[0] == pytest.approx(long, abs=1e-6)
    assert joined.expected[0] == pytest.approx(long, abs=1e-6)
    short = 1.5 * 0.6 - 0.5 * 0.2 - 0.2
    assert joined.expected[1] == pytest.approx(short, abs=1e-6)
    assert joined.expected[2] == 0.0


def test_without_returns_nothing_is_expected():
    members, y = told(400)
    joined = fit_stack(members, y).join(members)
    assert np.isnan(joined.expected_long).all()
    assert np.isnan(joined.expected_short).all()


def test_rows_that_a_member_did_not_predict_are_left_out():
    members, y = told(900)
    first = {name: p[:600] for name, p in members.items()}
    one = fit_stack(first, y[:600])
    members["xgboost"][600:] = np.nan
    assert fit_stack(members, y) == one
    members["xgboost"][:] = np.nan
    with pytest.raises(DataError, match="no row of 900"):
        fit_stack(members, y)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_saved_and_read_as_json(method):
    members, y = told(400)
    stack = fit_stack(members, y, settings=ensemble(method), r_long=y * 1.0, r_short=-y * 1.0)
    data = stack.to_bytes()
    copy = Stack.from_bytes(data, members=("lightgbm", "xgboost"), classes=CLASSES)
    assert copy == stack
    assert copy.to_bytes() == data
    np.testing.assert_array_equal(copy.predict_proba(members), stack.predict_proba(members))


@pytest.mark.parametrize("classes_seen", [(1,), (-1, 1), (0, 1)])
def test_classes_that_never_came_true_are_next_to_impossible(classes_seen):
    members, y = told(900)
    seen = np.isin(y, classes_seen)
    members = {name: p[seen] for name, p in members.items()}
    stack = fit_stack(members, y[seen])
    p = stack.predict_proba(members)
    assert np.isfinite(p).all()
    if len(classes_seen) == 1:
        assert stack.method == "voting"
    else:
        absent = next(iter(set(CLASSES) - set(classes_seen)))
        assert p[:, absent + 1].max() < 1e-3
        truth = y[seen] == classes_seen[1]
        column = p[:, classes_seen[1] + 1]
        assert column[truth].mean() > column[~truth].mean() + 0.1


def test_too_few_rows_are_joined_by_the_plain_mean():
    members, y = told(100)
    assert fit_stack(members, y, settings=ensemble("stacking", min_rows=101)).method == "voting"
    assert fit_stack(members, y, settings=ensemble("stacking", min_rows=100)).method == "stacking"


def test_rows_without_weight_teach_nothing():
    members, y = told(800)
    weight = np.where(np.arange(800) < 400, 1.0, 0.0)
    other = y.copy()
    other[400:] = -other[400:]
    for method in METHODS:
        one = fit_stack(members, y, weight, settings=ensemble(method))
        np.testing.assert_allclose(
            fit_stack(members, other, weight, settings=ensemble(method)).predict_proba(members),
            one.predict_proba(members),
            atol=1e-6,
        )


def test_what_does_not_fit_is_refused_by_naming_it():
    members, y = told(400)
    stack = fit_stack(members, y)
    data = stack.to_bytes()
    document = json.loads(data)
    with pytest.raises(DataError, match="no probabilities of xgboost"):
        stack.predict_proba({"lightgbm": members["lightgbm"]})
    with pytest.raises(DataError, match=r"xgboost gave shape \(400, 2\), want \(400, 3\)"):
        stack.predict_proba({**members, "xgboost": members["xgboost"][:, :2]})
    with pytest.raises(DataError, match="xgboost has shape"):
        fit_stack({**members, "xgboost": members["xgboost"][:5]}, y)
    with pytest.raises(DataError, match="no probabilities of lstm"):
        fit_stack(members, y, settings=ensemble("voting", ("lightgbm", "lstm")))
    with pytest.raises(DataError, match="has members"):
        Stack.from_bytes(data, members=("lightgbm",), classes=CLASSES)
    bad = {
        "JSON": data[:-3],
        "coefficients has 2 entries, want 3": {"coefficients": document["coefficients"][:2]},
        r"averages\[0\] has 2 entries": {"averages": [[0, 0], [0, 0, 0]]},
        "method 'guess'": {"method": "guess"},
        "weights.0": {"weights": ["x", 1]},
    }
    for message, damage in bad.items():
        raw = damage if isinstance(damage, bytes) else json.dumps({**document, **damage}).encode()
        with pytest.raises(DataError, match=message):
            Stack.from_bytes(raw, members=("lightgbm", "xgboost"), classes=CLASSES)
