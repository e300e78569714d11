"""Folds: which rows train a model, and from when to when it may speak (spec M3).

Times are milliseconds since the epoch. A row is known at its candle's close; its label is known
at the close of the candle that ended it. No model sees a label that was not known an embargo
before the model became valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.market import HOUR_MS
from quorum.section import Section
from quorum.typing import Bools, Ints


class FoldSettings(Section):
    """How often models are fitted, and on what."""

    window_days: int = Field(
        365, ge=0, le=10_000, description="training history, 0: all there is [days]"
    )
    refit_days: int = Field(30, ge=1, le=1000, description="days between two fits [days]")
    embargo_hours: float = Field(
        24.0,
        ge=0,
        le=10_000,
        description="pause between the last label trained on and the first candle predicted, "
        "on top of the purge; one day outlasts what most features remember [h]",
    )
    inner_splits: ClassVar[int] = 3  # purged blocks within a fold's training rows [blocks]
    min_rows: int = Field(
        2000, ge=1, le=10_000_000, description="training rows a fold needs, all pairs [rows]"
    )
    first_days: int = Field(90, ge=1, le=10_000, description="history before the first fit [days]")

    @property
    def embargo_ms(self) -> int:
        """The embargo in milliseconds."""
        return int(self.embargo_hours * HOUR_MS)


@dataclass(frozen=True)
class Fold:
    """One fit: trained on [``train_start``, ``valid_from``), it speaks until ``valid_to``.

    Attributes
    ----------
    index : int
        Place among the folds, from 0.
    train_start : int
        Rows known before are too old.
    valid_from, valid_to : int
        Candles that close within [``valid_from``, ``valid_to``) are predicted by this fold.
    """

    index: int
    train_start: int
    valid_from: int
    valid_to: int


def walk_forward(first: int, last: int, settings: FoldSettings | None = None) -> tuple[Fold, ...]:
    """Return the folds of a history, oldest first.

    Fits fall on whole multiples of ``refit_days`` since the epoch, so more history, or another
    day's data, moves no fold: what was trained stays valid.

    Parameters
    ----------
    first, last : int
        When the first and the last row are known (all pairs together).
    settings : FoldSettings, default the defaults

    Raises
    ------
    DataError
        If the history is too short for one fold.
    """
    s = settings or FoldSettings()
    step = s.refit_days * DAY_MS
    earliest = first + s.first_days * DAY_MS
    start = -(-earliest // step) * step
    if start > last:
        days = max(last - first, 0) / DAY_MS
        needed = (start - first) / DAY_MS
        raise DataError(
            f"folds: {days:.1f} days of history are too few for one fold; the first fit falls "
            f"{needed:.1f} days after the history begins (folds.first_days = {s.first_days}, "
            f"folds.refit_days = {s.refit_days})"
        )
    window = s.window_days * DAY_MS
    return tuple(
        Fold(
            index=i,
            train_start=max(first, valid_from - window) if window else first,
            valid_from=valid_from,
            valid_to=valid_from + step,
        )
        for i, valid_from in enumerate(range(start, last + 1, step))
    )


def training_rows(fold: Fold, time: Ints, end_time: Ints, embargo_ms: int) -> Bools:
    """Return which rows may train a fold, shape (n_rows,).

    Those known since ``train_start`` whose label was known an embargo before ``valid_from``.
    A label that ends early is known early: pass the end of the *horizon* where rows near the
    cut-off must not be chosen by how fast they were decided.

    Parameters
    ----------
    fold : Fold
    time, end_time : ndarray of shape (n_rows,), int64
        When each row and its label were known.
    embargo_ms : int
    """
    rows: Bools = (time >= fold.train_start) & (end_time <= fold.valid_from - embargo_ms)
    return rows


@dataclass(frozen=True)
class PurgedKFold:
    """K blocks of time; training rows whose label reaches into the test block are purged.

    A splitter in scikit-learn's style (Lopez de Prado 2018, ch. 7), for rows of several pairs in
    any order: rows known at one moment are always in one block.

    Parameters
    ----------
    n_splits : int, default 3
        Blocks of about equally many rows.
    embargo_ms : int, default 0
        Gap kept on both sides of the test block; longer than the features' memory is safe.

    Examples
    --------
    >>> time = np.arange(6)
    >>> for train, test in PurgedKFold(3).split(time, time=time, end_time=time + 2):
    ...     print(train, test)
    [3 4 5] [0 1]
    [0 5] [2 3]
    [0 1 2] [4 5]
    """

    n_splits: int = 3
    embargo_ms: int = 0

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits."""
        return self.n_splits

    def split(
        self,
        X: ArrayLike,
        y: object = None,
        groups: object = None,
        *,
        time: Ints,
        end_time: Ints,
        start_time: Ints | None = None,
    ) -> Iterator[tuple[Ints, Ints]]:
        """Yield training and test rows, each ascending.

        A training row's span [``start_time``, ``end_time``] must end an embargo before the test
        block's begins, or begin an embargo after it ends; spans may touch in a point. A window of
        candles begins with its first one (spec M10).

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Only its length counts.
        y, groups : ignored
        time, end_time : ndarray of shape (n_rows,), int64
            When each row and its label were known.
        start_time : ndarray of shape (n_rows,), int64, default ``time``
            When the first candle of each row's window was known.

        Raises
        ------
        DataError
            If the rows have fewer moments than blocks, or a block leaves nothing to train on.
        """
        time, end_time = np.asarray(time, np.int64), np.asarray(end_time, np.int64)
        start_time = time if start_time is None else np.asarray(start_time, np.int64)
        n = len(np.asarray(X))
        if not n == len(time) == len(end_time):
            raise DataError(f"folds: {n} rows, {len(time)} times and {len(end_time)} end times")
        edges = self._edges(time)
        for start, stop in pairwise(edges):
            test = (time >= start) & (time < stop)
            begin, end = start_time[test].min(), end_time[test].max()
            train = (end_time <= begin - self.embargo_ms) | (start_time >= end + self.embargo_ms)
            train &= ~test
            if not train.any():
                raise DataError(
                    f"folds: labels and embargo leave no training row beside one of "
                    f"{self.n_splits} blocks of {n} rows"
                )
            yield np.flatnonzero(train), np.flatnonzero(test)

    def _edges(self, time: Ints) -> Ints:
        """Return where the blocks begin, and the end of the last; at least a moment each."""
        moments, counts = np.unique(time, return_counts=True)
        if len(moments) < self.n_splits:
            raise DataError(f"folds: {len(moments)} moments are too few for {self.n_splits} blocks")
        before = np.concatenate([[0], np.cumsum(counts)])
        wanted = np.arange(1, self.n_splits) * before[-1] / self.n_splits
        cut = np.searchsorted(before, wanted)
        # One busy moment may swallow several cuts: every block keeps a moment of its own.
        k = np.arange(1, self.n_splits)
        cut = np.maximum.accumulate(np.maximum(cut, k) - k) + k
        cut = np.minimum(cut, len(moments) - self.n_splits + k)
        return np.concatenate([moments[:1], moments[cut], moments[-1:] + 1])
