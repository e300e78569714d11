"""Fitting inside one window: nothing is chosen on rows that were learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluations import varied

from quorum.errors import DataError, SettingsError
from quorum.learning.classifier import FittedClassifier
from quorum.learning.fitting import fit_classifier
from quorum.learning.member import Member
from quorum.learning.model_settings import FittingSettings, ModelSettings
from quorum.learning.models import MEMBERS
from quorum.learning.probabilities import codes_of, log_loss

CLASSES = (-1, 0, 1)
HOUR = 3_600_000
BOTH = ["lightgbm", "xgboost"]
TREES = ModelSettings(
    rounds=30, patience=5, leaves=(4,), min_rows=15, min_hessian=2.0, feature_share=1.0
)
SETTINGS = FittingSettings(lightgbm=TREES, xgboost=TREES, min_rows=100)
REACH = 10


def window(n=900, seed=0, skill=1.0):
    """Two pairs by turns; the second feature decides the label, the label reaches ten hours."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[rng.random(X.shape) < 0.05] = np.nan
    score = skill * np.nan_to_num(X[:, 1]) + rng.normal(size=n)
    y = np.where(score > 0.9, 1, np.where(score < -0.6, -1, 0)).astype(np.int64)
    time = 1_600_000_000_000 + np.arange(n) // 2 * HOUR
    return X, y, np.ones(n), time, time + REACH * HOUR


def fit(rows, member="lightgbm", **more):
    return fit_classifier(
        *rows, **{"classes": CLASSES, "settings": SETTINGS, **more, "member": member}
    )


@pytest.fixture(scope="module", params=BOTH)
def fitted(request):
    names = ("noise", "signal", "more", "noise2", "noise3")
    return fit(window(), request.param, features=names, embargo_ms=2 * HOUR)


def test_it_has_skill_out_of_fold_and_later(fitted):
    metrics = fitted.metrics
    prior = metrics["prior"]["log_loss"]
    assert metrics["calibrated"]["log_loss"] < 0.93 * prior
    assert metrics["calibrated"]["log_loss"] <= metrics["raw"]["log_loss"] + 1e-12
    assert metrics["calibrated"]["auc"] > 0.65
    X, y, *_ = window(seed=1)
    codes = codes_of(y, CLASSES, "test")
    assert log_loss(fitted.predict_proba(X), codes) < 0.95 * prior
    assert set(fitted.predict(X)) <= set(CLASSES)


def test_the_metrics_are_those_of_the_probabilities_out_of_fold(fitted):
    _, y, weight, *_ = window()
    codes = codes_of(y, CLASSES, "test")
    assert np.isfinite(fitted.oof).all()
    np.testing.assert_allclose(fitted.oof.sum(axis=1), 1.0)
    for name, p in (("raw", fitted.oof_raw), ("calibrated", fitted.oof)):
        assert fitted.metrics[name]["log_loss"] == pytest.approx(log_loss(p, codes, weight))
        rates = fitted.metrics[name]["classes"]["1"]["rate"]
        assert rates == pytest.approx(np.mean(y == 1))
    assert fitted.metrics["rounds"] == round(np.mean(fitted.metrics["rounds_by_split"]))
    assert fitted.model.rounds_ == fitted.metrics["rounds"]
    # A model that had seen its rows would look better than one that had not.
    assert log_loss(fitted.raw_proba(window()[0]), codes) < fitted.metrics["raw"]["log_loss"]


def test_the_feature_that_decides_gains_most(fitted):
    assert max(fitted.importance, key=fitted.importance.get) == "signal"


def test_it_is_saved_and_read_as_files(fitted):
    files = fitted.files("ensemble/a")
    assert all(name.startswith("ensemble/a/") for name in files)
    copy = FittedClassifier.from_files("ensemble/a", files)
    X = window(seed=2)[0]
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    assert (copy.classes, copy.features) == (fitted.classes, fitted.features)
    assert copy.metrics == json.loads(json.dumps(fitted.metrics))
    assert copy.files("ensemble/a") == files


@pytest.mark.parametrize("member", BOTH)
def test_labels_that_were_shuffled_show_no_skill(member):
    X, y, *rest = window(1200)
    y = np.random.default_rng(5).permutation(y)
    metrics = fit((X, y, *rest), member).metrics
    assert metrics["calibrated"]["log_loss"] > 0.99 * metrics["prior"]["log_loss"]
    assert abs(metrics["calibrated"]["auc"] - 0.5) < 0.06


@pytest.mark.parametrize("member", BOTH)
def test_balanced_weights_are_undone_by_the_calibration(member):
    rows = window(1500)
    y = rows[1]
    fitted = fit(rows, member, balance=True)
    rates = np.array([np.mean(c == y) for c in CLASSES])
    assert rates.min() < 0.29
    raw, calibrated = fitted.oof_raw.mean(axis=0), fitted.oof.mean(axis=0)
    np.testing.assert_allclose(calibrated, rates, atol=0.02)
    assert np.abs(raw - 1 / 3).max() < np.abs(raw - rates).max()


@pytest.mark.parametrize("member", BOTH)
def test_equal_windows_give_equal_files(member):
    one = fit(window(400), member).files("x")
    assert fit(window(400), member).files("x") == one
    assert fit(window(400, seed=3), member).files("x") != one


class Spy(Member):
    """Predicts the class shares of its training rows, and notes which rows it was given."""

    name = "spy"
    suffix = "json"
    needs_sequence = True
    seen: list = []  # noqa: RUF012

    def __init__(self, classes=CLASSES, shift=0.0, rounds=7):
        self.classes, self.shift, self.rounds = classes, shift, rounds

    @classmethod
    def candidates(cls, classes, settings, threads):
        return [cls(classes, shift=0.5), cls(classes), cls(classes, shift=0.3)]

    def choice(self):
        return {"shift": self.shift}

    def shortened(self, rounds):
        return Spy(self.classes, self.shift, rounds)

    def fit_rows(self, data, y, weight, train, test=None):
        self.seen.append((self.shift, train, test))
        share = np.array([np.average(y[train] == c, weights=weight[train]) for c in self.classes])
        self.share_ = (1 - self.shift) * share + self.shift * np.roll(share, 1)
        self.rounds_ = self.rounds if test is None else 4 + len(self.seen)
        self.n_features_ = data.shape[-1]
        return self

    def predict_proba(self, X):
        return np.tile(self.share_, (len(X), 1))

    def importance(self):
        return np.zeros(self.n_features_)

    def to_bytes(self):
        return json.dumps(self.share_.tolist()).encode()

    @classmethod
    def from_bytes(cls, data, *, classes, n_features):
        member = cls(classes)
        member.share_, member.n_features_ = np.array(json.loads(data)), n_features
        return member


@pytest.fixture
def spy(monkeypatch):
    monkeypatch.setitem(MEMBERS, "spy", f"{__name__}:Spy")
    monkeypatch.setattr(Spy, "seen", [])
    return Spy


def test_a_label_that_reaches_into_the_test_block_is_not_learned_from(spy):
    *_, time, end_time = rows = window(600)
    fit(rows, "spy", embargo_ms=3 * HOUR)
    splits = [(train, test) for _, train, test in spy.seen if test is not None]
    assert len(splits) == 5  # three candidates on the newest block, the best on the others
    covered = np.concatenate(
        [test for shift, _, test in spy.seen if test is not None and not shift]
    )
    np.testing.assert_array_equal(np.sort(covered), np.arange(600))
    for train, test in splits:
        before = end_time[train] + 3 * HOUR <= time[test].min()
        after = time[train] >= end_time[test].max() + 3 * HOUR
        assert (before | after).all()
        assert before.any() or after.any()


def test_candidates_are_chosen_on_the_newest_block_or_on_all(spy):
    fitted = fit(window(600), "spy")
    assert fitted.metrics["candidate"] == {"shift": 0.0}
    newest = spy.seen[0][2]
    assert newest.max() == 599
    assert [shift for shift, _, _ in spy.seen] == [0.5, 0.0, 0.3, 0.0, 0.0, 0.0]
    assert fitted.metrics["rounds"] == round(np.mean(fitted.metrics["rounds_by_split"]))
    spy.seen.clear()
    fit(
        window(600),
        "spy",
        settings=varied(FittingSettings, lightgbm=TREES, xgboost=TREES, min_rows=100, prune=False),
    )
    assert [shift for shift, _, _ in spy.seen] == [0.5] * 3 + [0.0] * 3 + [0.3] * 3 + [0.0]


def test_a_sequence_model_is_one_more_line_of_the_registry(spy):
    X, *rest = window(300)
    sequences = np.stack([X, X, X], axis=1)
    fitted = fit((sequences, *rest), "spy", features=("a", "b", "c", "d", "e"))
    files = fitted.files("s")
    copy = FittedClassifier.from_files("s", files)
    np.testing.assert_array_equal(copy.predict_proba(sequences), fitted.predict_proba(sequences))


@pytest.mark.parametrize("member", BOTH)
def test_one_class_only_predicts_it_and_says_so(member):
    X, y, *rest = window(300)
    fitted = fit((X, np.ones_like(y), *rest), member)
    assert fitted.metrics["fallback"] == "only class 1: the prior is predicted"
    files = fitted.files("x")
    assert list(files) == ["x/classifier.json"]
    p = FittedClassifier.from_files("x", files).predict_proba(X[:4])
    np.testing.assert_allclose(p, [[0, 0, 1]] * 4, atol=1e-6)
    with pytest.raises(DataError, match="want 5 features"):
        fitted.predict_proba(X[:, :4])


def test_a_class_that_lies_in_one_block_only_is_no_obstacle():
    X, y, *rest = window(300)
    y = np.where(np.arange(300) < 60, -1, 1)
    fitted = fit((X, y, *rest))
    p = fitted.predict_proba(X)
    assert np.isfinite(p).all()
    assert len(fitted.metrics["rounds_by_split"]) == 2  # the first block leaves one class
    assert np.isnan(fitted.oof[0]).all()


@pytest.mark.parametrize("member", BOTH)
def test_features_without_values_do_no_harm(member):
    X, y, *rest = window(400)
    X = X.copy()
    X[:, 0], X[:, 2] = np.nan, 3.0
    fitted = fit((X, y, *rest), member)
    assert fitted.importance["f0"] == fitted.importance["f2"] == 0.0
    blank = np.full_like(X, np.nan)
    p = fit((blank, y, *rest), member).predict_proba(blank)
    np.testing.assert_allclose(p[0], [np.mean(c == y) for c in CLASSES], atol=0.05)


def test_rows_that_cannot_be_fitted_are_refused_by_saying_why():
    X, y, w, t, e = window(300)
    infinite, negative = X.copy(), w.copy()
    infinite[7, 3], negative[3] = np.inf, -1
    bad = {
        "80 rows, a fit needs 100": (X[:80], y[:80], w[:80], t[:80], e[:80]),
        "300 rows, 299 labels": (X, y[1:], w, t, e),
        "infinite values in f3": (infinite, y, w, t, e),
        "label 5 in row 0": (X, np.full_like(y, 5), w, t, e),
        "weights must be finite": (X, y, negative, t, e),
        "moments are too few": (X, y, w, np.full_like(t, t[0]), np.full_like(t, t[0])),
    }
    for message, rows in bad.items():
        with pytest.raises(DataError, match=message):
            fit(rows)
    with pytest.raises(DataError, match="2 feature names for 5 features"):
        fit((X, y, w, t, e), features=("a", "b"))
    with pytest.raises(SettingsError, match="member 'forest'"):
        fit((X, y, w, t, e), "forest")


def test_files_that_are_damaged_or_do_not_belong_together_are_refused(fitted):
    files = fitted.files("m")
    model = next(name for name in files if "/model." in name)
    document = json.loads(files["m/classifier.json"])

    def changed(**values):
        return json.dumps({**document, **values}).encode()

    bad = {
        "m/classifier.json: missing": {model: files[model]},
        "calibration.json: missing": {k: v for k, v in files.items() if "calibration" not in k},
        "do not match their checksum": {**files, model: b"x" + files[model]},
        "no JSON": {**files, "m/classifier.json": files["m/classifier.json"][:-9]},
        "member 'gone'": {**files, "m/classifier.json": changed(member="gone")},
        "5 features, want 4": {**files, "m/classifier.json": changed(features=list("abcd"))},
        r"prior \[1.0\]": {**files, "m/classifier.json": changed(prior=[1.0])},
        "classes is no list of int": {**files, "m/classifier.json": changed(classes="x")},
        "model 'm.pkl'": {**files, "m/classifier.json": changed(model="m.pkl")},
    }
    for message, damaged in bad.items():
        with pytest.raises(DataError, match=message):
            FittedClassifier.from_files("m", damaged)
