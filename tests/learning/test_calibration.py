"""Calibration: promises become rates, never worse than before."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.errors import DataError
from quorum.evidence.forecasts import calibration_error
from quorum.learning.calibration import Calibration, fit_calibration
from quorum.learning.model_settings import CalibrationConstants
from quorum.learning.probabilities import log_loss

CLASSES = (-1, 0, 1)


def honest(n=3000, seed=0, classes=3):
    """Probabilities, and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 2.0), n)
    codes = (rng.random((n, 1)) > np.cumsum(p, axis=1)).sum(axis=1)
    return p, np.minimum(codes, classes - 1)


def sharpened(p, power):
    q = p**power
    return q / q.sum(axis=1, keepdims=True)


def test_honest_probabilities_stay_about_as_they_are():
    p, codes = honest()
    calibration, out = fit_calibration(p, codes - 1, classes=CLASSES)
    assert log_loss(out, codes) <= log_loss(p, codes) + 1e-12
    assert np.abs(calibration(p) - p).mean() < 0.03


@pytest.mark.parametrize(("power", "wider"), [(3.0, False), (0.3, True)])
def test_probabilities_too_sure_or_too_timid_are_put_right(power, wider):
    p, codes = honest()
    wrong = sharpened(p, power)
    calibration, out = fit_calibration(wrong, codes - 1, classes=CLASSES)
    assert calibration.method != "identity"
    assert log_loss(out, codes) < log_loss(wrong, codes) - 0.02
    assert log_loss(out, codes) < log_loss(p, codes) + 0.02
    assert (calibration(wrong).std() > wrong.std()) == wider
    later, truth = honest(seed=1)
    put_right = calibration(sharpened(later, power))
    assert calibration_error(put_right[:, 2], truth == 2) < 0.05


def test_a_step_is_found_by_the_staircase():
    rng = np.random.default_rng(3)
    p = rng.random(4000)
    y = (rng.random(4000) < np.where(p > 0.5, 0.9, 0.1)).astype(np.int64)
    both = np.column_stack([1 - p, p])
    calibration = fit_calibration(both, y, classes=(0, 1))[0]
    assert calibration.method == "isotonic"
    found = calibration(np.array([[0.7, 0.3], [0.3, 0.7]]))
    np.testing.assert_allclose(found[:, 1], [0.1, 0.9], atol=0.04)


def test_a_reversed_model_is_silenced_and_not_turned_round():
    p, codes = honest(classes=2)
    only = CalibrationConstants(methods=("sigmoid",))
    calibration = fit_calibration(p[:, ::-1], codes, classes=(0, 1), settings=only)[0]
    out = calibration(p[:, ::-1])
    np.testing.assert_allclose(out[:, 1], np.mean(codes), atol=1e-9)


def test_weights_decide_the_base_rates():
    p = np.full((400, 2), 0.5)
    y = np.tile([0, 1], 200)
    weight = np.where(y == 1, 3.0, 1.0)
    only = CalibrationConstants(methods=("sigmoid",))
    out = fit_calibration(p, y, weight, classes=(0, 1), settings=only)[0](p)
    np.testing.assert_allclose(out[:, 1], 0.75, atol=1e-6)


@pytest.mark.parametrize("method", ["identity", "sigmoid", "isotonic"])
def test_it_is_saved_and_read_as_json(method):
    p, codes = honest(600)
    only = CalibrationConstants(methods=(method,))
    calibration = fit_calibration(sharpened(p, 2), codes - 1, classes=CLASSES, settings=only)[0]
    data = calibration.to_bytes()
    copy = Calibration.from_bytes(data, classes=CLASSES)
    assert copy == calibration
    assert copy.to_bytes() == data
    np.testing.assert_array_equal(copy(p), calibration(p))


def test_the_block_a_row_lies_in_does_not_calibrate_it():
    p, codes = honest(600)
    only = CalibrationConstants(methods=("isotonic",))
    wrong = sharpened(p, 2)
    _, one = fit_calibration(wrong, codes - 1, classes=CLASSES, settings=only)
    codes = codes.copy()
    codes[:200] = (codes[:200] + 1) % 3
    _, other = fit_calibration(wrong, codes - 1, classes=CLASSES, settings=only)
    np.testing.assert_array_equal(one[:200], other[:200])
    assert not np.allclose(one[200:], other[200:])


@given(
    n=st.integers(30, 200),
    seed=st.integers(0, 1000),
    power=st.floats(0.1, 8.0),
    certain=st.booleans(),
    one_class=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_whatever_comes_in_rows_sum_to_one_and_nothing_is_certain(
    n, seed, power, certain, one_class
):
    p, codes = honest(n, seed)
    p = sharpened(p, power)
    if certain:
        p[: n // 2] = [1.0, 0.0, 0.0]
    if one_class:
        codes = np.zeros_like(codes)
    for method in ("sigmoid", "isotonic"):
        only = CalibrationConstants(methods=(method,))
        calibration = fit_calibration(p, codes - 1, classes=CLASSES, settings=only)[0]
        out = calibration(p)
        np.testing.assert_allclose(out.sum(axis=1), 1.0)
        assert (out > 0).all()
        for k, curve in enumerate(calibration.curves):
            assert (np.diff(curve(np.sort(p[:, k]))) >= -1e-12).all()
    _, chosen = fit_calibration(p, codes - 1, classes=CLASSES)
    assert log_loss(chosen, codes) <= log_loss(p, codes) + 1e-12


def test_damaged_json_is_refused():
    p, codes = honest(300)
    only = CalibrationConstants(methods=("isotonic",))
    data = fit_calibration(p, codes - 1, classes=CLASSES, settings=only)[0].to_bytes()
    document = json.loads(data)
    document["curves"][1]["y"][0] = 2.0
    bad = {
        "no JSON": data[:-4],
        "want": b"[1, 2]",
        "must not fall": json.dumps(document).encode(),
        "2 curves for 3": json.dumps({**json.loads(data), "curves": [{"kind": "identity"}] * 2}),
        "is not of the method": data.replace(b'"method": "isotonic"', b'"method": "sigmoid"'),
    }
    for message, damaged in bad.items():
        with pytest.raises(DataError, match=message):
            Calibration.from_bytes(damaged, classes=CLASSES)
    with pytest.raises(DataError, match=r"of classes \[-1, 0, 1\], want \[0, 1\]"):
        Calibration.from_bytes(data, classes=(0, 1))


def test_probabilities_of_another_shape_are_refused():
    p, codes = honest(300)
    with pytest.raises(DataError, match="want finite probabilities"):
        fit_calibration(p[:, :2], codes - 1, classes=CLASSES)[0]
    p[0, 0] = np.nan
    with pytest.raises(DataError, match="want finite probabilities"):
        fit_calibration(p, codes - 1, classes=CLASSES)[0]
    calibration = Calibration("identity", CLASSES, ())
    with pytest.raises(DataError, match=r"want \(rows, 3\)"):
        calibration(np.ones((4, 2)))
