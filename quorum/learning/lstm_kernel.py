"""The LSTM as it is served: one window after another, in a fixed order, without PyTorch.

A matrix library may give other bits for another number of rows; here every row is the same sum in
the same order, so a candle alone gives what it gives among thousands (spec M11).

References: Hochreiter and Schmidhuber (1997), gates in PyTorch's order (input, forget, cell,
output); the hyperbolic tangent is the rational approximation of Eigen (error below 2e-7).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quorum.typing import Ints

Singles = NDArray[np.float32]

F = np.float32
_ONE, _HALF, _LIMIT = F(1.0), F(0.5), F(9.0)
_A1, _A3, _A5 = F(4.89352455891786e-03), F(6.37261928875436e-04), F(1.48572235717979e-05)
_A7, _A9 = F(5.12229709037114e-08), F(-8.60467152213735e-11)
_A11, _A13 = F(2.00018790482477e-13), F(-2.76076847742355e-16)
_B0, _B2 = F(4.89352518554385e-03), F(2.26843463243900e-03)
_B4, _B6 = F(1.18534705686654e-04), F(1.19825839466702e-06)


@njit(cache=True, inline="always")
def _tanh(x: np.float32) -> np.float32:  # pragma: no cover
    x = min(max(x, -_LIMIT), _LIMIT)
    s = x * x
    above = ((((((_A13 * s + _A11) * s + _A9) * s + _A7) * s + _A5) * s + _A3) * s + _A1) * x
    below = ((_B6 * s + _B4) * s + _B2) * s + _B0
    return above / below


@njit(cache=True, inline="always")
def _sigmoid(x: np.float32) -> np.float32:  # pragma: no cover
    return _HALF * _tanh(_HALF * x) + _HALF


@njit(cache=True)
def scale_rows(source: Singles, centre: Singles, scale: Singles, limit: float) -> Singles:
    """Return values in robust sigmas from the centre, clipped; 0 where unknown."""
    most = F(limit)
    out = np.zeros(source.shape, np.float32)
    for i in range(source.shape[0]):
        for k in range(source.shape[1]):
            value = (source[i, k] - centre[k]) / scale[k]
            if value == value:
                out[i, k] = min(max(value, -most), most)
    return out


@njit(cache=True)
def project(x: Singles, w_in: Singles, bias: Singles) -> Singles:
    """Return what each candle adds to the gates, shape (n_source, 4 x units).

    It does not depend on the window, so windows that share a candle share it.
    """
    out = np.empty((x.shape[0], bias.shape[0]), np.float32)
    for i in range(x.shape[0]):
        out[i] = bias
        for k in range(x.shape[1]):
            value = x[i, k]
            for g in range(bias.shape[0]):
                out[i, g] += value * w_in[k, g]
    return out


@njit(cache=True)
def run_windows(
    gates: Singles, places: Ints, w_state: Singles, w_out: Singles, b_out: Singles
) -> Singles:
    """Return the scores of every window's classes, shape (n, n_classes).

    Parameters
    ----------
    gates : ndarray of shape (n_source, 4 x units), float32
        From :func:`project`.
    places : ndarray of shape (n, length), int64
        Candles of each window, oldest first.
    w_state : ndarray of shape (units, 4 x units), float32
    w_out : ndarray of shape (units, n_classes), float32
    b_out : ndarray of shape (n_classes,), float32
    """
    units = w_state.shape[0]
    out = np.empty((places.shape[0], b_out.shape[0]), np.float32)
    pre, gate = np.empty(4 * units, np.float32), np.empty(4 * units, np.float32)
    for i in range(places.shape[0]):
        state, cell = np.zeros(units, np.float32), np.zeros(units, np.float32)
        for step in range(places.shape[1]):
            pre[:] = gates[places[i, step]]
            for k in range(units):
                value = state[k]
                for g in range(4 * units):
                    pre[g] += value * w_state[k, g]
            # Loops without a branch, so that the compiler does several units at once.
            for g in range(2 * units):
                gate[g] = _sigmoid(pre[g])
            for g in range(2 * units, 3 * units):
                gate[g] = _tanh(pre[g])
            for g in range(3 * units, 4 * units):
                gate[g] = _sigmoid(pre[g])
            for k in range(units):
                cell[k] = gate[units + k] * cell[k] + gate[k] * gate[2 * units + k]
            for k in range(units):
                state[k] = gate[3 * units + k] * _tanh(cell[k])
        out[i] = b_out
        for k in range(units):
            for c in range(b_out.shape[0]):
                out[i, c] += state[k] * w_out[k, c]
    return out
