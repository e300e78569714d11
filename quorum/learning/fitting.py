"""Fitting a classifier inside one training window (spec M3, M4, M5).

Whatever is chosen - parameters, number of rounds, calibration - is chosen by log loss on rows
that the fit had not seen, purged of overlapping labels.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from quorum.errors import DataError
from quorum.learning.calibration import Calibration, fit_calibration
from quorum.learning.classifier import FittedClassifier
from quorum.learning.folds import PurgedKFold
from quorum.learning.forecast_metrics import forecast_metrics
from quorum.learning.inputs import ModelRows, infinite_columns
from quorum.learning.member import Member
from quorum.learning.model_settings import FittingSettings, MetaFittingSettings
from quorum.learning.models import member_named
from quorum.learning.probabilities import balanced, codes_of, log_loss, shares
from quorum.typing import Floats, Ints

Split = tuple[Ints, Ints]


@dataclass(frozen=True)
class Rows:
    """The training rows of one window.

    Attributes
    ----------
    X : ndarray of shape (n, n_features), float32, or WindowedRows
    y, codes : ndarray of shape (n,), int64
        Labels, and their columns.
    weight, fit_weight : ndarray of shape (n,), float64
        As given, and as the models see it: balanced by class if asked for.
    time, end_time : ndarray of shape (n,), int64
        When each row and its label were known, in ms.
    start_time : ndarray of shape (n,), int64
        When the first candle of each row's window was known, in ms.
    """

    X: ModelRows
    y: Ints
    codes: Ints
    weight: Floats
    fit_weight: Floats
    time: Ints
    end_time: Ints
    start_time: Ints

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Trial:
    """A candidate on some splits: its rounds there, and (rows, probabilities) of each."""

    candidate: Member
    rounds: tuple[int, ...] = ()
    tests: tuple[tuple[Ints, Floats], ...] = ()

    def joined(self) -> tuple[Ints, Floats]:
        """Return all rows predicted, ascending, and their probabilities."""
        at = np.concatenate([test for test, _ in self.tests])
        order = np.argsort(at)
        return at[order], np.concatenate([p for _, p in self.tests])[order]

    def loss(self, rows: Rows) -> float:
        """Return the log loss over all rows predicted."""
        at, p = self.joined()
        return log_loss(p, rows.codes[at], rows.fit_weight[at])


def fit_classifier(
    X: ModelRows,
    y: Ints,
    weight: Floats,
    time: Ints,
    end_time: Ints,
    *,
    classes: Sequence[int],
    member: str,
    settings: FittingSettings | MetaFittingSettings | None = None,
    embargo_ms: int = 0,
    threads: int = 1,
    n_splits: int = 3,
    balance: bool = False,
    features: Sequence[str] | None = None,
    start_time: Ints | None = None,
) -> FittedClassifier:
    """Fit one member on one window.

    1. Blocks of time, purged (:class:`~quorum.learning.folds.PurgedKFold`).
    2. The candidate of least log loss out of fold, on the newest block or on all.
    3. Its probabilities out of fold, on every block.
    4. The calibration they need, chosen on blocks of its own.
    5. The candidate fitted on all rows, for the mean of the rounds that were best.

    A window with one class only predicts that class's prior; so does one whose blocks leave
    nothing to compare. ``metrics["fallback"]`` says so.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float32, or WindowedRows
        As the member eats it; NaN is a value that is not known.
    y : ndarray of shape (n,), int
    weight : ndarray of shape (n,), float64
    time, end_time : ndarray of shape (n,), int64
        When each row and its label were known, in ms.
    classes : sequence of int
        Ascending; a column of the predictions each, in ``y`` or not.
    member : str
        One of :data:`quorum.learning.models.MEMBERS`.
    settings : FittingSettings, optional
    embargo_ms : int, default 0
    threads : int, default 1
        Changes no result.
    n_splits : int, default 3
        Blocks of time.
    balance : bool, default False
        Whether the model sees every class with the same total weight; the calibration restores
        the true base rates.
    features : sequence of str, optional
        Names of the columns; ``f0``, ``f1`` ... by default.
    start_time : ndarray of shape (n,), int64, optional
        When the first candle of each window was known, in ms; ``time`` by default.

    Raises
    ------
    DataError
        On too few rows, shapes that differ, values that are infinite, labels that are no class.
    """
    began = clock.perf_counter()
    settings = settings or FittingSettings()
    kind = member_named(member)
    names = tuple(features or (f"f{i}" for i in range(np.shape(X)[-1])))
    labels = tuple(int(c) for c in classes)
    _check(X, y, weight, time, end_time, names, settings.min_rows, member)
    codes = codes_of(y, labels, member)
    weight = np.asarray(weight, np.float64)
    fit_weight = balanced(codes, len(labels), weight) if balance else weight
    rows = Rows(
        X,
        np.asarray(y, np.int64),
        codes,
        weight,
        fit_weight,
        time,
        end_time,
        time if start_time is None else start_time,
    )
    result = FittedClassifier(member, labels, names, shares(codes, len(labels), weight))
    splits = _splits(rows, n_splits, embargo_ms)
    if not splits:
        result = replace(result, metrics=_nothing_learned(rows, result))
    else:
        candidates = kind.candidates(labels, settings, threads)
        data = candidates[0].prepare(rows.X)
        trial = _best_trial(candidates, data, rows, splits, settings)
        result = _finished(result, trial, data, rows, settings, embargo_ms)
    return replace(result, seconds=clock.perf_counter() - began)


def _check(
    X: ModelRows,
    y: Ints,
    weight: Floats,
    time: Ints,
    end_time: Ints,
    names: Sequence[str],
    min_rows: int,
    member: str,
) -> None:
    """Refuse rows that cannot be fitted."""
    lengths = [len(values) for values in (X, y, weight, time, end_time)]
    if len(set(lengths)) > 1:
        raise DataError(
            f"{member}: {lengths[0]} rows, {lengths[1]} labels, {lengths[2]} weights, "
            f"{lengths[3]} times, {lengths[4]} end times"
        )
    if lengths[0] < min_rows:
        raise DataError(f"{member}: {lengths[0]} rows, a fit needs {min_rows}")
    if len(names) != X.shape[-1]:
        raise DataError(f"{member}: {len(names)} feature names for {X.shape[-1]} features")
    if not (np.isfinite(weight).all() and np.min(weight) >= 0 and np.sum(weight) > 0):
        raise DataError(f"{member}: weights must be finite, none below 0 and not all 0")
    infinite = infinite_columns(X)
    if infinite.any():
        wrong = [name for name, bad in zip(names, infinite, strict=True) if bad]
        raise DataError(f"{member}: infinite values in {', '.join(wrong[:5])}")


def _splits(rows: Rows, n_splits: int, embargo_ms: int) -> list[Split]:
    """Return the splits that have two classes to learn from; none where nothing can be learned."""
    if np.ptp(rows.codes) == 0:
        return []
    blocks = PurgedKFold(n_splits, embargo_ms)
    found = blocks.split(rows.y, time=rows.time, end_time=rows.end_time, start_time=rows.start_time)
    return [
        (train, test)
        for train, test in found
        if len(np.unique(rows.codes[train][rows.weight[train] > 0])) > 1
        and rows.weight[test].sum() > 0
    ]


def _best_trial(
    candidates: Sequence[Member],
    data: Any,
    rows: Rows,
    splits: Sequence[Split],
    settings: FittingSettings | MetaFittingSettings,
) -> Trial:
    """Return the best candidate's trial over all splits.

    The newest block decides alone, or, without ``prune``, all of them do; the smaller model where
    two are equal.
    """
    first = splits[-1:] if settings.prune else splits
    rest = splits[:-1] if settings.prune else ()
    trials = [_tried(Trial(candidate), data, rows, first) for candidate in candidates]
    best = min(trials, key=lambda trial: trial.loss(rows)) if len(trials) > 1 else trials[0]
    return _tried(best, data, rows, rest)


def _tried(trial: Trial, data: Any, rows: Rows, splits: Sequence[Split]) -> Trial:
    """Return the trial with further splits."""
    rounds, tests = list(trial.rounds), list(trial.tests)
    for train, test in splits:
        model = trial.candidate.fit_rows(data, rows.y, rows.fit_weight, train, test)
        rounds.append(model.rounds_)
        tests.append((test, model.predict_proba(rows.X[test])))
    return Trial(trial.candidate, tuple(rounds), tuple(tests))


def _finished(
    result: FittedClassifier,
    trial: Trial,
    data: Any,
    rows: Rows,
    settings: FittingSettings | MetaFittingSettings,
    embargo_ms: int,
) -> FittedClassifier:
    """Calibrate, fit on all rows and say how good it is."""
    seen, p = trial.joined()
    # A curve has two parameters: threads of the linear algebra would only wait for each other.
    with threadpool_limits(1, user_api="blas"):
        calibration, honest = fit_calibration(
            p,
            rows.y[seen],
            rows.weight[seen],
            classes=result.classes,
            settings=settings.calibration,
            time=rows.time[seen],
            end_time=rows.end_time[seen],
            embargo_ms=embargo_ms,
        )
    rounds = max(1, round(float(np.mean(trial.rounds))))
    model = trial.candidate.shortened(rounds)
    model.fit_rows(data, rows.y, rows.fit_weight, np.arange(len(rows)))
    return replace(
        result,
        model=model,
        calibration=calibration,
        metrics=_learned(result, trial, calibration, rounds, rows, honest),
        importance=dict(zip(result.features, model.importance().tolist(), strict=True)),
        oof=_spread(honest, seen, len(rows)),
        oof_raw=_spread(p, seen, len(rows)),
    )


def _learned(
    result: FittedClassifier,
    trial: Trial,
    calibration: Calibration,
    rounds: int,
    rows: Rows,
    honest: Floats,
) -> dict[str, Any]:
    """Return the metrics of a fit."""
    seen, p = trial.joined()
    codes, weight = rows.codes[seen], rows.weight[seen]
    prior = np.tile(result.prior, (len(seen), 1))
    return {
        "rows": len(rows),
        "rows_out_of_fold": len(seen),
        "rounds": rounds,
        "rounds_by_split": list(trial.rounds),
        "candidate": trial.candidate.choice(),
        "calibration": calibration.method,
        "fallback": None,
        "prior": {"log_loss": log_loss(prior, codes, weight)},
        "raw": forecast_metrics(p, codes, weight, result.classes),
        "calibrated": forecast_metrics(honest, codes, weight, result.classes),
    }


def _nothing_learned(rows: Rows, result: FittedClassifier) -> dict[str, Any]:
    """Return the metrics where only the prior is predicted."""
    present = [label for label, share in zip(result.classes, result.prior, strict=True) if share]
    why = f"only class {present[0]}" if len(present) == 1 else "no split has two classes"
    prior = np.tile(result.prior, (len(rows), 1))
    return {
        "rows": len(rows),
        "rows_out_of_fold": 0,
        "fallback": f"{why}: the prior is predicted",
        "prior": {"log_loss": log_loss(prior, rows.codes, rows.weight)},
    }


def _spread(p: Floats, rows: Ints, n: int) -> Floats:
    """Return probabilities of some rows as those of all, NaN elsewhere."""
    out = np.full((n, p.shape[1]), np.nan)
    out[rows] = p
    return out
