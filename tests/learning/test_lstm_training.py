"""The LSTM as it is trained: by PyTorch, in a process of its own, the same every time (M11)."""

from __future__ import annotations

import numpy as np
import pytest
from lstm_samples import CLASSES, SMALL, candles, needs_torch, planted, windows
from trained_markets import plan, settings, small_training

from quorum.errors import DataError
from quorum.extras import MissingLibraryError, library
from quorum.features.predictions import CONTRIBUTION, ENSEMBLE_UP
from quorum.learning import lstm_process
from quorum.learning.fitting import fit_classifier
from quorum.learning.inputs import WindowedRows
from quorum.learning.lstm import CLIP, LENGTH, Lstm
from quorum.learning.prediction import Models
from quorum.learning.store import ModelStore
from quorum.learning.training import train
from quorum.pipeline import evaluate
from quorum.verify import certify

HOUR = 3_600_000
THREE = {
    "ensemble": {"members": ["lightgbm", "xgboost", "lstm"]},
    "fitting": {name: {"rounds": 15, "min_rows": 40} for name in ("lightgbm", "xgboost")},
}


def fitted(X: WindowedRows, y, **more) -> Lstm:
    member = Lstm(CLASSES, **{**SMALL, **more})
    rows = np.arange(len(y))
    third = len(y) // 3
    data = member.prepare(X)
    return member.fit_rows(data, y, np.ones(len(y)), rows[third:], rows[:third])


def labels(n: int, seed: int = 5):
    return np.random.default_rng(seed).choice(CLASSES, n).astype(np.int64)


@needs_torch
def test_it_is_served_as_pytorch_says_to_a_millionth():
    torch = library("sequence", "torch")
    X = windows(candles())
    model = fitted(X, labels(len(X)), seeds=1)
    a = {name: torch.from_numpy(values) for name, values in model.arrays_.items()}
    network = torch.nn.LSTM(5, model.units, batch_first=True)
    with torch.no_grad():
        network.weight_ih_l0.copy_(a["w_in"][0].T)
        network.weight_hh_l0.copy_(a["w_state"][0].T)
        network.bias_ih_l0.copy_(a["bias"][0])
        network.bias_hh_l0.zero_()
        x = ((torch.from_numpy(np.asarray(X)) - a["centre"]) / a["scale"]).clamp(-CLIP, CLIP)
        states, _ = network(x.nan_to_num(0.0))
        p = torch.softmax(states[:, -1] @ a["w_out"][0] + a["b_out"][0], dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), p, atol=1e-6)


@needs_torch
def test_equal_rows_give_equal_bytes_and_another_seed_others():
    X = windows(candles(200))
    y = labels(len(X))
    one = fitted(X, y)
    assert fitted(X, y).to_bytes() == one.to_bytes()
    assert fitted(X, y, seed=9).to_bytes() != one.to_bytes()
    copy = Lstm.from_bytes(one.to_bytes(), classes=CLASSES, n_features=5)
    np.testing.assert_array_equal(copy.predict_proba(X), one.predict_proba(X))


@needs_torch
def test_it_finds_an_order_of_events_that_single_candles_do_not_show(monkeypatch):
    X, y = planted()
    time = np.arange(len(y)) * HOUR
    shared = {"classes": (-1, 1), "embargo_ms": HOUR}
    monkeypatch.setattr(Lstm, "size", {"epochs": 12, "units": 16, "seeds": 1})
    rows = (y, np.ones(len(y)), time, time + HOUR)
    sequence = fit_classifier(X, *rows, member="lstm", **shared)
    last = X.source[X.places[:, -1]]
    trees = fit_classifier(last, *rows, member="lightgbm", **shared)
    prior = sequence.metrics["prior"]["log_loss"]
    assert sequence.metrics["calibrated"]["log_loss"] < prior - 0.3
    assert trees.metrics["calibrated"]["log_loss"] > prior - 0.01
    moved = sequence.contributions(X[:50])
    assert moved.argmin() == 2, "the third input is noise"


@needs_torch
def test_labels_of_chance_teach_it_nothing(monkeypatch):
    X, y = planted(1500)
    y = np.random.default_rng(8).permutation(y)
    time = np.arange(len(y)) * HOUR
    monkeypatch.setattr(Lstm, "size", {"epochs": 6, "units": 8, "seeds": 1})
    found = fit_classifier(
        X, y, np.ones(len(y)), time, time + HOUR,
        classes=(-1, 1), member="lstm", embargo_ms=HOUR,
    )  # fmt: skip
    assert found.metrics["calibrated"]["log_loss"] > found.metrics["prior"]["log_loss"] - 0.005


@needs_torch
def test_windows_of_one_class_are_refused_and_the_process_goes_on():
    X = windows(candles(120))
    with pytest.raises(DataError, match="fewer than two classes"):
        fitted(X, np.zeros(len(X), np.int64))
    assert fitted(X, labels(len(X))).rounds_ >= 1


@needs_torch
def test_a_training_process_that_dies_is_told_and_started_anew():
    X = windows(candles(120))
    member = Lstm(CLASSES, **SMALL)
    data = member.prepare(X)
    process = lstm_process.training_process()
    process._process.kill()
    process._process.wait()
    rows = np.arange(len(X))
    with pytest.raises(DataError, match="lstm: "):
        process.fit(data.folder, data.folder, {"seeds": 1})
    assert lstm_process.training_process() is not process
    again = member.fit_rows(member.prepare(X), labels(len(X)), np.ones(len(X)), rows, rows[:40])
    assert again.rounds_ >= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train an ensemble with an LSTM that joins whatever it adds."""
    small = small_training()
    patch = pytest.MonkeyPatch()
    patch.setattr(Lstm, "must_add", False)
    patch.setattr(Lstm, "size", {"epochs": 2, "units": 8, "seeds": 2})
    planned = plan(small.folder, ("BTC", "ETH"), settings(**THREE))
    store = ModelStore(tmp_path_factory.mktemp("lstm") / "store")
    result = train(planned, store)
    patch.undo()
    return planned, store, result


@needs_torch
def test_a_chain_with_it_predicts_causally(trained):
    planned, store, result = trained
    models = Models(store, planned.settings.learning, "1h")
    market = planned.load(planned.pairs[0])
    features = evaluate(market, planned.settings, models).features
    part = features[f"{CONTRIBUTION}lstm"]
    assert np.isfinite(part).sum() > 2000
    assert np.isfinite(features[ENSEMBLE_UP][np.isfinite(part)]).all()
    assert len(models.vintages[-1].member("lstm").features) == 24
    certificate = certify(market, planned.settings, models, stretch=6, starts=0)
    assert certificate.columns[f"feature {CONTRIBUTION}lstm"].compared > 1000
    assert certificate.rewritten == 0
    explained = {part for replay in result.replays for _, part in replay.probe.contributions}
    assert "member_lstm" in explained


@needs_torch
def test_a_damaged_file_of_it_is_refused_with_its_path(trained, tmp_path):
    planned, store, result = trained
    key = result.vintages[-1].key
    path = store.root / "vintages" / key / "member_lstm" / "model.lstm"
    good = path.read_bytes()
    try:
        path.write_bytes(good[:-10] + b"0123456789")
        models = Models(store, planned.settings.learning, "1h")
        with pytest.raises(DataError, match=r"member_lstm/model\.lstm"):
            models.vintages[-1].member("lstm")
    finally:
        path.write_bytes(good)


def test_without_pytorch_a_training_says_so_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(lstm_process, "find_spec", lambda name: None)
    planned = plan(tmp_path / "no-such-market", ("BTC",), settings(**THREE))
    with pytest.raises(MissingLibraryError, match=r"torch is not installed: .*\[sequence\]"):
        train(planned, ModelStore(tmp_path / "store"))
    assert LENGTH == 32
