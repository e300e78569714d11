"""Class probabilities: shape, logarithms and log loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quorum.errors import DataError
from quorum.typing import Floats, Ints

#: Probabilities are kept this far from 0 where their logarithm is taken.
SMALLEST = 1e-7


def codes_of(y: ArrayLike, classes: Sequence[int], what: str) -> Ints:
    """Return each label's place among the classes.

    Parameters
    ----------
    y : array_like of shape (n,), int
    classes : sequence of int
        Ascending, each once.
    what : str
        Who asks, for the message.

    Raises
    ------
    DataError
        If a label is not among the classes, or they are not ascending.
    """
    known = np.asarray(classes, np.int64)
    if len(known) < 2 or not (np.diff(known) > 0).all():
        raise DataError(f"{what}: classes must be two or more, ascending, got {tuple(classes)}")
    labels = np.asarray(y)
    codes = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    wrong = known[codes] != labels
    if wrong.any():
        raise DataError(
            f"{what}: label {labels[wrong][0]} in row {int(np.argmax(wrong))} is none of "
            f"{tuple(int(c) for c in known)}"
        )
    return codes.astype(np.int64)


def normalised(p: Floats) -> Floats:
    """Return rows that sum to one, every entry at least ``SMALLEST`` before."""
    p = np.maximum(p, SMALLEST)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def log_loss(p: Floats, codes: Ints, weight: Floats | None = None) -> float:
    """Return the mean negative log likelihood of the true classes [nats].

    Parameters
    ----------
    p : ndarray of shape (n, n_classes), float64
    codes : ndarray of shape (n,), int64
        Column of the true class.
    weight : ndarray of shape (n,), float64, optional
    """
    true = p[np.arange(len(codes)), codes]
    return float(np.average(-np.log(np.maximum(true, SMALLEST)), weights=weight))


def shares(codes: Ints, n_classes: int, weight: Floats | None = None) -> Floats:
    """Return the weighted share of each class, shape (n_classes,)."""
    count = np.bincount(codes, weights=weight, minlength=n_classes).astype(np.float64)
    return np.asarray(count / count.sum())


def balanced(codes: Ints, n_classes: int, weight: Floats) -> Floats:
    """Return weights under which every class present has the same total; the sum stays."""
    total = np.bincount(codes, weights=weight, minlength=n_classes)
    factor = np.zeros(n_classes)
    present = total > 0
    factor[present] = total.sum() / (present.sum() * total[present])
    return np.asarray(weight * factor[codes])


def as_matrix(X: Any, n_features: int | None, what: str) -> NDArray[np.float32]:
    """Return features as a C-ordered float32 matrix, without copying where they are one.

    Raises
    ------
    DataError
        If it is not two-dimensional or has not ``n_features`` columns.
    """
    matrix = np.ascontiguousarray(X, dtype=np.float32)
    if matrix.ndim != 2:
        raise DataError(f"{what}: features of shape {matrix.shape}, want (rows, features)")
    if n_features is not None and matrix.shape[1] != n_features:
        raise DataError(f"{what}: {matrix.shape[1]} features, the model has {n_features}")
    return matrix


def centred(p: Floats) -> Floats:
    """Return log probabilities less their mean over the classes: log-odds against all."""
    logs = np.log(np.maximum(p, SMALLEST))
    return np.asarray(logs - logs.mean(axis=-1, keepdims=True))


def softmax(logits: Floats) -> Floats:
    """Return the probabilities of log probabilities, whatever was taken off a row."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
