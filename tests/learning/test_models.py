"""Members: boosted trees behind scikit-learn's interface, saved as bytes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from quorum.errors import DataError, SettingsError
from quorum.extras import MissingLibraryError
from quorum.learning.light_gbm import LightGbm
from quorum.learning.models import MEMBERS, member_named
from quorum.learning.probabilities import codes_of, log_loss
from quorum.learning.sealing import seal, unseal
from quorum.learning.xg_boost import XgBoost

CLASSES = (-1, 0, 1)
KINDS = [LightGbm, XgBoost]
SMALL = {"rounds": 12, "min_rows": 10, "min_hessian": 1.0, "feature_share": 1.0}


def rows(n=600, n_features=6, seed=0):
    """Features whose first column decides the class, but for noise; some are not known."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features)).astype(np.float32)
    score = X[:, 0] + 0.5 * rng.normal(size=n)
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, np.where(score > 0.4, 1, np.where(score < -0.4, -1, 0)).astype(np.int64)


X, Y = rows()


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def fitted(request):
    return request.param(CLASSES, **SMALL).fit(X, Y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_can_be_cloned_as_scikit_learn_does(kind):
    member = kind(CLASSES, leaves=5, seed=3)
    copy = clone(member)
    assert copy.get_params() == member.get_params()
    assert copy.set_params(leaves=9).leaves == 9
    assert member.leaves == 5


def test_it_learns_what_decides_the_class(fitted):
    later, truth = rows(seed=1)
    codes = codes_of(truth, CLASSES, "test")
    p = fitted.predict_proba(later)
    prior = np.tile(np.bincount(codes) / len(codes), (len(codes), 1))
    assert log_loss(p, codes) < 0.8 * log_loss(prior, codes)
    assert np.argmax(fitted.importance()) == 0
    assert set(fitted.predict(later)) <= set(CLASSES)
    assert fitted.score(later, truth) > 0.6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("absent", CLASSES)
def test_a_class_absent_from_training_keeps_its_column(kind, absent):
    seen = absent != Y
    p = kind(CLASSES, **SMALL).fit(X[seen], Y[seen]).predict_proba(X)
    assert p.shape == (len(X), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    # A member may keep a little for what it has never seen, but far less than for the others.
    assert p[:, CLASSES.index(absent)].mean() < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_two_classes_have_two_columns(kind):
    won = (Y > 0).astype(np.int64)
    member = kind((0, 1), **SMALL).fit(X, won)
    p = member.predict_proba(X)
    assert p.shape == (len(X), 2)
    assert p[won == 1, 1].mean() > p[won == 0, 1].mean() + 0.2
    copy = kind.from_bytes(member.to_bytes(), classes=(0, 1), n_features=X.shape[1])
    np.testing.assert_array_equal(copy.predict_proba(X), p)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_rows_give_equal_bytes_whatever_the_threads(kind):
    one = kind(CLASSES, **SMALL).fit(X, Y, np.linspace(0.5, 1.5, len(Y))).to_bytes()
    for threads in (1, 2):
        member = kind(CLASSES, **SMALL, threads=threads)
        assert member.fit(X, Y, np.linspace(0.5, 1.5, len(Y))).to_bytes() == one
    assert kind(CLASSES, **{**SMALL, "row_share": 0.5}).fit(X, Y).to_bytes() != one


def test_what_is_loaded_predicts_as_what_was_saved(fitted):
    data = fitted.to_bytes()
    copy = type(fitted).from_bytes(data, classes=CLASSES, n_features=X.shape[1])
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(copy.importance(), fitted.importance())
    assert copy.to_bytes() == data
    assert copy.rounds_ == fitted.rounds_


def test_one_row_is_predicted_as_it_is_among_many(fitted):
    together = fitted.predict_proba(X[:20])
    alone = np.concatenate([fitted.predict_proba(X[i : i + 1]) for i in range(20)])
    np.testing.assert_array_equal(alone, together)
    assert fitted.predict_proba(X[:0]).shape == (0, 3)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_are_refused_before_the_library_sees_them(kind, data):
    good = saved(kind)
    place = data.draw(st.integers(0, len(good) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "drop", "double"]))
    bad = {
        "flip": good[:place]
        + bytes([good[place] ^ data.draw(st.integers(1, 255))])
        + good[place + 1 :],
        "cut": good[:place],
        "drop": good[:place] + good[place + 1 :],
        "double": good[:place] + good,
    }[damage]
    if bad == good:
        return
    with pytest.raises(DataError, match=kind.name):
        kind.from_bytes(bad, classes=CLASSES, n_features=X.shape[1])


def saved(kind, cache={}):  # noqa: B006 - one fit serves every example
    if kind not in cache:
        cache[kind] = kind(CLASSES, **SMALL).fit(X, Y).to_bytes()
    return cache[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b"tree\n", b"{}", b"[1]", b"tree\nversion=v4\nnum_class=3\n"]
)
def test_a_sealed_file_of_something_else_is_refused(kind, body):
    with pytest.raises(DataError, match=kind.name):
        kind.from_bytes(seal(body), classes=CLASSES, n_features=6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_member_is_refused(kind):
    other = next(k for k in KINDS if k is not kind)
    with pytest.raises(DataError, match=kind.name):
        kind.from_bytes(saved(other), classes=CLASSES, n_features=6)


def test_another_shape_is_refused_by_naming_it(fitted):
    data = fitted.to_bytes()
    with pytest.raises(DataError, match="has 6 features, want 7; 3 classes, want 2"):
        type(fitted).from_bytes(data, classes=(0, 1), n_features=7)
    with pytest.raises(DataError, match="5 features, the model has 6"):
        fitted.predict_proba(X[:, :5])
    with pytest.raises(DataError, match=r"shape \(600,\)"):
        fitted.predict_proba(X[:, 0])


def test_the_libraries_read_the_files_themselves(tmp_path):
    import lightgbm
    import xgboost

    path = tmp_path / "model.txt"
    path.write_bytes(saved(LightGbm))
    assert lightgbm.Booster(model_file=str(path)).num_feature() == 6
    booster = xgboost.Booster()
    booster.load_model(bytearray(saved(XgBoost)))
    assert booster.num_features() == 6


@pytest.mark.parametrize("kind", KINDS)
def test_noise_stops_the_rounds_early(kind):
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(800, 5)).astype(np.float32)
    y = rng.choice(CLASSES, 800)
    member = kind(CLASSES, patience=5, min_rows=20, min_hessian=1.0)
    member.fit(noise[:400], y[:400], eval_set=(noise[400:], y[400:]))
    assert 1 <= member.rounds_ < 60


@pytest.mark.parametrize("kind", KINDS)
def test_rows_outside_the_split_teach_nothing(kind):
    train, test = np.arange(0, 300), np.arange(350, 500)
    member = kind(CLASSES, **SMALL)
    data = member.prepare(X)
    weight = np.ones(len(Y))
    one = member.fit_rows(data, Y, weight, train, test).to_bytes()
    other, heavy = Y.copy(), weight.copy()
    other[300:350], other[500:] = -other[300:350], -other[500:]
    heavy[300:350] = 100.0
    assert kind(CLASSES, **SMALL).fit_rows(data, other, heavy, train, test).to_bytes() == one
    other = Y.copy()
    other[:100] = -other[:100]
    assert kind(CLASSES, **SMALL).fit_rows(data, other, weight, train, test).to_bytes() != one


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_say_nothing_leave_the_base_rates(kind):
    blank = np.full((len(Y), 3), np.nan, np.float32)
    blank[:, 1] = 7.0
    p = kind(CLASSES, **SMALL).fit(blank, Y).predict_proba(blank)
    rates = [np.mean(c == Y) for c in CLASSES]
    np.testing.assert_allclose(p, np.tile(rates, (len(Y), 1)), atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_learned_from_is_refused(kind):
    member = kind(CLASSES, **SMALL)
    with pytest.raises(DataError, match="fewer than two classes"):
        member.fit(X, np.zeros(len(X), np.int64))
    with pytest.raises(DataError, match="label 5 in row 0"):
        member.fit(X, np.full(len(X), 5))
    with pytest.raises(DataError, match="600 rows, 599 labels"):
        member.fit(X, Y[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_library_says_how_to_install_it(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, kind.name, None)
    with pytest.raises(MissingLibraryError, match=rf"{kind.name} is not installed: pip install"):
        kind(CLASSES).fit(X, Y)


def test_the_registry_lists_members_by_name():
    assert {name: member_named(name).name for name in MEMBERS} == {n: n for n in MEMBERS}
    assert member_named("xgboost") is XgBoost
    with pytest.raises(SettingsError, match="'forest': there are lightgbm, xgboost, lstm"):
        member_named("forest")


@given(st.binary(max_size=300))
def test_sealed_bytes_come_back(body):
    assert unseal(seal(body), "x") == body
