"""How many independent opinions the agreeing heads are worth, from how alike they vote (C3)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quorum.typing import Bools, Floats, Ints


@njit(cache=True)
def _count(row: NDArray[np.int8], present: Bools, products: Ints, squares: Ints, sign: int) -> None:
    """Add a candle's votes to the sums of every two heads that both voted, or take them out."""
    for i in range(len(row)):
        if present[i] and row[i] != 0:
            for j in range(len(row)):
                if present[j]:
                    squares[i, j] += sign
                    products[i, j] += sign * row[i] * row[j]


@njit(cache=True)
def _worth(
    direction: NDArray[np.int8], available: Bools, valid: NDArray[np.int8], window: int
) -> Floats:
    n, n_heads = direction.shape
    # Whole numbers: a running sum of them remembers nothing that has left the window.
    products = np.zeros((n_heads, n_heads), np.int64)
    squares = np.zeros((n_heads, n_heads), np.int64)
    worth = np.zeros((n, 2))
    for t in range(n):
        _count(direction[t], available[t], products, squares, 1)
        if t >= window:
            _count(direction[t - window], available[t - window], products, squares, -1)
        for k in range(2):
            side = 1 - 2 * k
            count = 0
            total = 0.0
            for i in range(n_heads):
                if valid[t, i] != side:
                    continue
                count += 1
                total += 1.0
                for j in range(i):
                    common = squares[i, j] * squares[j, i]
                    if valid[t, j] == side and products[i, j] > 0 and t >= window - 1:
                        total += 2.0 * products[i, j] / np.sqrt(float(common))
            if count:
                worth[t, k] = count * count / total
    return worth


def effective_heads(
    direction: NDArray[np.int8], available: Bools, valid: NDArray[np.int8], window: int
) -> Floats:
    """Return how many independent heads the valid votes of each side are worth.

    1. The correlation of two heads is that of their directions over the last ``window`` candles,
       this one included, on the candles where both were available. It is taken about zero, the
       vote of a head without an opinion, so a market's mirror image has the same correlations.
    2. Heads that contradict each other count as independent, not as more than that.
    3. k heads with correlations rho are worth k^2 / sum of rho: the number of independent votes
       whose mean varies as much as theirs does. Copies of one head are worth one.

    Sums are of whole numbers, so they do not depend on where the history begins; before the first
    full window correlations are unknown, and every head counts as one.

    Parameters
    ----------
    direction : ndarray of shape (n_candles, n_heads), int8
        Every vote's direction.
    available : ndarray of shape (n_candles, n_heads), bool
    valid : ndarray of shape (n_candles, n_heads), int8
        Direction of the valid votes, 0 for the others (spec C2).
    window : int
        Candles.

    Returns
    -------
    ndarray of shape (n_candles, 2), float64
        For long and short; 0 without a valid vote, else between 1 and their number.
    """
    return np.round(_worth(direction, available, valid, window), 9)
