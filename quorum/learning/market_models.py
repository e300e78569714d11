"""Market models: what one fold learns from features and labels alone (spec M4 a-c).

The regime classifier, the signal generator, and the ensemble that joins it with other members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.learning.classifier import FittedClassifier
from quorum.learning.dataset import horizons
from quorum.learning.drift import drift_metrics
from quorum.learning.ensemble_fitting import FoldRows, fit_ensemble
from quorum.learning.fitting import fit_classifier
from quorum.learning.folds import Fold, training_rows
from quorum.learning.labels import recency
from quorum.learning.parts import (
    ENSEMBLE,
    REGIME,
    REGIME_CLASSES,
    REGIME_MEMBER,
    SIGNAL_CLASSES,
    STACK_FILE,
)
from quorum.learning.promotion import excess_loss
from quorum.learning.settings import LearningSettings
from quorum.typing import Ints

#: Newest rows that drift is measured on.
DRIFT_DAYS = 30


@dataclass(frozen=True)
class FoldTask:
    """One fold to fit; all that decides the result beside the rows themselves.

    Attributes
    ----------
    fold : Fold
    settings : LearningSettings
    names : tuple of str
        Columns of ``X``.
    step : int
        Length of a base candle, ms.
    """

    fold: Fold
    settings: LearningSettings
    names: tuple[str, ...]
    step: int


@dataclass(frozen=True)
class FoldModels:
    """The result of one fold.

    Attributes
    ----------
    files : mapping of file name to bytes
    metrics : mapping
        Out-of-fold metrics per part, JSON-like.
    train_start, cut_off : int
        Close time of the first and the last row that trained the signal, ms.
    rows : int
        Rows that trained it.
    """

    files: Mapping[str, bytes]
    metrics: Mapping[str, Any]
    train_start: int
    cut_off: int
    rows: int


def fold_rows(
    task: FoldTask, shared: Mapping[str, NDArray[Any]], reach: int, thin: int, usable: str
) -> Ints:
    """Return the rows that train a fold: their horizon and an embargo end before it speaks.

    Every n-th candle only, a different one for each pair: labels of neighbours overlap.
    """
    time = shared["known_at"]
    embargo = task.settings.folds.embargo_ms
    first, last = np.searchsorted(time, [task.fold.train_start, task.fold.valid_from])
    part = slice(int(first), int(last))
    keep = training_rows(task.fold, time[part], time[part] + reach, embargo)
    keep &= (time[part] // task.step + shared["pair"][part]) % thin == 0
    keep &= shared[usable][part] >= (0 if usable == "regime" else 1)
    rows: Ints = np.flatnonzero(keep) + first
    return rows


def fit_market_models(task: FoldTask, shared: Mapping[str, NDArray[Any]]) -> FoldModels:
    """Fit the models of one fold; a pure function, so it may run anywhere.

    Raises
    ------
    DataError
        If the fold has fewer rows than ``folds.min_rows``.
    """
    s = task.settings
    horizon, reach = horizons(s, task.step)
    rows = fold_rows(task, shared, horizon, s.thin, "label_known")
    if len(rows) < s.folds.min_rows:
        raise DataError(
            f"fold {task.fold.index}: {len(rows)} training rows, folds.min_rows = "
            f"{s.folds.min_rows} are needed"
        )
    time = shared["known_at"][rows]
    weight = shared["weight"][rows] * recency(time, task.fold.valid_from, s.labels.half_life_days)
    fitted = fit_ensemble(FoldRows(s, task.names, task.step, shared, rows, weight, horizon))
    files = {
        name: data
        for prefix, part in fitted.parts.items()
        for name, data in part.files(prefix).items()
    }
    files[STACK_FILE] = fitted.stack.to_bytes()
    metrics: dict[str, Any] = {name: dict(part.metrics) for name, part in fitted.parts.items()}
    metrics[ENSEMBLE] = dict(fitted.metrics)
    metrics["labels"] = _shares(shared["label"][rows], SIGNAL_CLASSES)
    newest = time >= int(time[-1]) - DRIFT_DAYS * DAY_MS
    metrics["drift"] = drift_metrics(shared["X"][rows], newest, task.names)
    regime = _fit_regime(task, shared, reach)
    if regime is not None:
        metrics[REGIME] = {**regime[0].metrics, "cut_off": regime[1], "horizon_ms": reach}
        excess = excess_loss(metrics[REGIME])
        # Worse than the base rates: the rules read the regimes then.
        if excess is not None and excess < 0:
            files.update(regime[0].files(REGIME))
    return FoldModels(files, metrics, int(time[0]), int(time[-1]), len(rows))


def _fit_regime(
    task: FoldTask, shared: Mapping[str, NDArray[Any]], reach: int
) -> tuple[FittedClassifier, int] | None:
    """Fit the regime classifier on all of the past; None where that is too short.

    Regimes last for weeks: a window of a year holds a few dozen of them.
    """
    s = task.settings
    time = shared["known_at"]
    long = replace(task, fold=replace(task.fold, train_start=int(time[0])))
    rows = fold_rows(long, shared, reach, s.thin_regimes, "regime")
    time = time[rows]
    if len(rows) < s.fitting.min_rows or time[-1] - time[0] < s.regime_days * DAY_MS:
        return None
    fitted = fit_classifier(
        shared["X"][rows],
        shared["regime"][rows].astype(np.int64),
        recency(time, task.fold.valid_from, s.labels.half_life_days),
        time,
        time + reach,
        classes=REGIME_CLASSES,
        member=REGIME_MEMBER,
        settings=s.fitting,
        embargo_ms=s.folds.embargo_ms,
        n_splits=s.folds.inner_splits,
        features=task.names,
    )
    return fitted, int(time[-1])


def _shares(labels: NDArray[Any], classes: Sequence[int]) -> dict[str, float]:
    return {str(c): float(np.mean(labels == c)) for c in classes}
