"""Baselines: what forecasters without a model reach (spec M9).

*Majority* promises the rates at which outcomes came in training, *momentum* the rates at which
they followed the sign of the last 24 candles' return. Both know what the model knew: the training
rows of the vintage that was live.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from quorum.typing import Bools, Floats, Ints


def training_rates(
    time: Ints, code: Ints, n_classes: int, state: Ints, n_states: int, first: Ints, last: Ints
) -> Floats:
    """Return how often each class followed each state in each vintage's training rows.

    One row more of every class than there is, so that nothing is impossible.

    Parameters
    ----------
    time : ndarray of shape (n,), int64
        Of rows whose outcome is known, in any order.
    code, state : ndarray of shape (n,), int64
        Column of the class, and what the forecaster looks at.
    n_classes, n_states : int
    first, last : ndarray of shape (n_vintages,), int64
        First and last training row of each vintage, both included; ms.

    Returns
    -------
    ndarray of shape (n_vintages, n_states, n_classes), float64
        Sums to 1 over the classes.
    """
    order = np.argsort(time, kind="stable")
    times, cell = time[order], (state * n_classes + code)[order]
    n_cells = n_states * n_classes
    counts = np.ones((len(first), n_cells))
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        begin = np.searchsorted(times, a, side="left")
        end = np.searchsorted(times, b, side="right")
        counts[i] += np.bincount(cell[begin:end], minlength=n_cells)
    by_state = counts.reshape(len(first), n_states, n_classes)
    return np.asarray(by_state / by_state.sum(axis=2, keepdims=True))


def alone(time: Ints, until: Ints, acts: Bools) -> Ints:
    """Return the rows of trades of one pair that do not overlap, each as early as it can be.

    Parameters
    ----------
    time, until : ndarray of shape (n,), int64
        When each row is known, ascending, and when a trade begun there has ended.
    acts : ndarray of shape (n,), bool
        Where a trade would begin if there is none.
    """
    wanted = np.flatnonzero(acts)
    at, end = time[wanted], until[wanted]
    found, i = [], 0
    while i < len(wanted):
        found.append(int(wanted[i]))
        i = max(int(np.searchsorted(at, end[i], side="left")), i + 1)
    return np.asarray(found, np.int64)


def shifts(
    pair: NDArray[np.int16], runs: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield rows to take outcomes from so that they belong to another time of the same pair.

    Shifted labels keep all they have but the connection with the features: their shares, and how
    long they last. Rows of every pair must be by time; all pairs are shifted by the same share of
    their rows, from a tenth to nine tenths, around the end.
    """
    own = [np.flatnonzero(pair == k) for k in np.unique(pair)]
    for share in rng.uniform(0.1, 0.9, runs):
        rows = np.empty(len(pair), np.int64)
        for mine in own:
            rows[mine] = np.roll(mine, int(share * len(mine)))
        yield rows
