"""The LSTM as it is served: row by row as in bulk, from plain numbers, without PyTorch (M11)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lstm_samples import CLASSES, candles, drawn, windows

from quorum.errors import DataError
from quorum.learning.inputs import WindowedRows
from quorum.learning.lstm import CLIP, LENGTH, Lstm, robust_scale
from quorum.learning.sealing import seal, unseal

ROOT = Path(__file__).parents[2]
MODEL = drawn()
BYTES = MODEL.to_bytes()


def reference(model: Lstm, X: WindowedRows):
    """Return the probabilities by the textbook, in double precision."""
    a = {name: values.astype(np.float64) for name, values in model.arrays_.items()}
    x = (np.asarray(X).astype(np.float64) - a["centre"]) / a["scale"]
    x = np.nan_to_num(np.clip(x, -CLIP, CLIP))
    total = 0.0
    for s in range(len(a["bias"])):
        h = c = np.zeros((len(x), a["w_state"].shape[1]))
        for step in range(LENGTH):
            gates = x[:, step] @ a["w_in"][s] + h @ a["w_state"][s] + a["bias"][s]
            i, f, g, o = np.split(gates, 4, axis=1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
        e = np.exp(h @ a["w_out"][s] + a["b_out"][s])
        total = total + e / e.sum(axis=1, keepdims=True)
    return total / len(a["bias"])


def test_it_says_what_the_textbook_says():
    X = windows(candles())
    np.testing.assert_allclose(MODEL.predict_proba(X), reference(MODEL, X), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 60))
def test_a_row_alone_gives_the_same_bits_as_in_bulk(seed, size):
    X = windows(candles(120, seed=seed))
    whole = MODEL.predict_proba(X)
    for first in range(0, len(X), size):
        part = X[first : first + size]
        np.testing.assert_array_equal(MODEL.predict_proba(part), whole[first : first + size])
    alone = MODEL.predict_proba(np.asarray(X[5:6]))
    np.testing.assert_array_equal(alone, whole[5:6])


def test_it_needs_the_order_of_the_candles():
    X = np.asarray(windows(candles()))
    assert not np.allclose(MODEL.predict_proba(X), MODEL.predict_proba(X[:, ::-1]), atol=1e-3)


def test_what_is_loaded_predicts_as_what_was_saved():
    copy = Lstm.from_bytes(BYTES, classes=CLASSES, n_features=5)
    X = windows(candles(seed=4))
    np.testing.assert_array_equal(copy.predict_proba(X), MODEL.predict_proba(X))
    assert copy.to_bytes() == BYTES
    assert copy.rounds_ == MODEL.rounds_


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_bytes_are_refused(data):
    place = data.draw(st.integers(0, len(BYTES) - 1))
    flipped = BYTES[place] ^ data.draw(st.integers(1, 255))
    damage = data.draw(st.sampled_from(["flip", "cut", "drop"]))
    bad = {
        "flip": BYTES[:place] + bytes([flipped]) + BYTES[place + 1 :],
        "cut": BYTES[:place],
        "drop": BYTES[:place] + BYTES[place + 1 :],
    }[damage]
    with pytest.raises(DataError, match="lstm"):
        Lstm.from_bytes(bad, classes=CLASSES, n_features=5)


def rewritten(**header: object) -> bytes:
    """Return the saved model with another header, sealed anew."""
    body = unseal(BYTES, "test")
    line, _, numbers = body.partition(b"\n")
    text = line.decode()
    for name, value in header.items():
        before = text.split(f'"{name}": ')[1].split(",")[0].split("}")[0]
        text = text.replace(f'"{name}": {before}', f'"{name}": {value}')
    return seal(text.encode() + b"\n" + numbers)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (rewritten(format=2), "format 2, this Quorum reads 1"),
        (rewritten(length=48), f"windows of 48 candles, want {LENGTH}"),
        (rewritten(inputs=6), "6 features, want 5"),
        (rewritten(classes=2), "2 classes, want 3"),
        (rewritten(units=9), "bytes of numbers, want"),
        (rewritten(units='"many"'), "units: "),
        (seal(b"tree\nversion=v4\n"), "begins with b'tree'"),
        (seal(b"[1]\n"), "format None"),
        (
            seal(unseal(BYTES, "x")[:-4] + np.float32(np.inf).tobytes()),
            "some numbers are not finite",
        ),
        (b"", "not the bytes of a saved model"),
    ],
)
def test_a_file_of_another_kind_or_version_is_refused_by_its_cause(data, said):
    with pytest.raises(DataError, match=said):
        Lstm.from_bytes(data, classes=CLASSES, n_features=5)


def test_windows_of_another_shape_are_refused():
    X = np.asarray(windows(candles()))
    for bad, said in (
        (X[:, 1:], f"windows of {LENGTH - 1} candles"),
        (X[:, :, 1:], "4 features, the model has 5"),
        (X[0], "want"),
    ):
        with pytest.raises(DataError, match=said):
            MODEL.predict_proba(bad)


def test_what_an_input_moves_is_told_by_leaving_it_out():
    quiet = drawn()
    quiet.arrays_["w_in"][:, 2] = 0.0
    moved = quiet.contributions(windows(candles())[:20])
    assert moved.shape == (5,)
    assert moved[2] == 0.0
    assert (np.delete(moved, 2) > 0).all()


def test_inputs_are_scaled_by_what_outliers_cannot_move():
    values = np.random.default_rng(1).standard_normal((4001, 4)).astype(np.float32)
    values[:, 0] = 3.0 + 2.0 * values[:, 0]
    values[:20, 0] = 1e6
    values[:, 1] = np.arange(4001) % 50 == 0  # half of it deviates by nothing
    values[:, 2] = 7.0
    values[:, 3] = np.nan
    centre, scale = robust_scale(values)
    assert centre[0] == pytest.approx(3.0, abs=0.15)
    assert scale[0] == pytest.approx(2.0, rel=0.05)
    assert scale[1] == pytest.approx(np.std(values[:, 1]), rel=1e-3)
    assert (centre[2], scale[2]) == (7.0, 1.0)
    assert (centre[3], scale[3]) == (0.0, 1.0)


def test_serving_never_imports_pytorch():
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from quorum.learning.lstm import Lstm
model = Lstm.from_bytes({BYTES!r}, classes=(-1, 0, 1), n_features=5)
import numpy as np
print(model.predict_proba(np.zeros((2, {LENGTH}, 5), np.float32)).shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "(2, 3)", done.stderr
