"""Fitting the ensemble of one fold: its members, which of them join, and what joins them.

Members that eat rows come first; those that eat windows may be given only the features that
carry them most. A member that must add something joins only where the ensemble's log loss out of
fold is lower with it than without, beyond what resampled days make of that (spec M11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.evidence.bootstrap import Interval
from quorum.learning.classifier import FittedClassifier
from quorum.learning.fitting import fit_classifier
from quorum.learning.folds import PurgedKFold
from quorum.learning.inputs import ModelRows, Rows, WindowedRows, spread, window_places
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.models import member_named
from quorum.learning.parts import MEMBER, SIGNAL, SIGNAL_CLASSES, SIGNAL_MEMBER
from quorum.learning.probabilities import codes_of
from quorum.learning.scoring import draw_days, row_log_loss
from quorum.learning.settings import LearningSettings
from quorum.learning.stack import Stack, fit_stack
from quorum.learning.stack_folds import stack_metrics, stack_out_of_fold
from quorum.typing import Bools, Floats, Ints

#: Resampled periods, and the confidence at which a member must have added something.
RUNS, LEVEL, SEED = 500, 0.95, 11


@dataclass(frozen=True)
class FoldRows:
    """The rows that train the ensemble of a fold; arrays of shape (n_rows,).

    Attributes
    ----------
    settings : LearningSettings
    names : tuple of str
        Columns of the pool's ``X``.
    step : int
        Length of a base candle, ms.
    shared : mapping
        The pool.
    rows : ndarray, int64
        Rows of the pool.
    weight : ndarray, float64
    horizon : int
        How far labels look ahead, ms.
    """

    settings: LearningSettings
    names: tuple[str, ...]
    step: int
    shared: Mapping[str, NDArray[Any]]
    rows: Ints
    weight: Floats
    horizon: int

    @property
    def y(self) -> Ints:
        """Labels."""
        return self.shared["label"][self.rows].astype(np.int64)

    @property
    def time(self) -> Ints:
        """When each row was known, ms."""
        time: Ints = self.shared["known_at"][self.rows]
        return time

    @property
    def blocks(self) -> PurgedKFold:
        """Purged blocks of time within the fold."""
        folds = self.settings.folds
        return PurgedKFold(folds.inner_splits, folds.embargo_ms)


@dataclass(frozen=True)
class EnsembleFit:
    """The ensemble of one fold.

    Attributes
    ----------
    parts : mapping of part to FittedClassifier
        The signal generator, and the other members that joined.
    stack : Stack
    metrics : mapping
        Log loss out of fold and of the base rates; ``added`` and ``left_out`` tell of each member
        that had to add something by how much it lowered the log loss [nats], with its interval,
        and of its own log loss and AUC.
    """

    parts: Mapping[str, FittedClassifier]
    stack: Stack
    metrics: Mapping[str, Any]


@dataclass
class _Joining:
    """Members that join, and what was found of those that had to add something."""

    members: dict[str, FittedClassifier]
    said: dict[str, Floats]
    added: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Any] = field(default_factory=dict)


def fit_ensemble(fold: FoldRows) -> EnsembleFit:
    """Fit the signal generator, the other members, and what joins them."""
    s = fold.settings
    signal = _fit(fold, SIGNAL_MEMBER, {}, balance=True)
    fitted: dict[str, FittedClassifier] = {}
    said: dict[str, Floats] = {}
    few: dict[str, Any] = {}
    in_order = sorted(s.ensemble.members, key=lambda name: member_named(name).eats != Rows())
    for name in in_order:
        if name == SIGNAL_MEMBER:
            fitted[name] = signal
            said[name] = _out_of_fold(signal, np.ones(len(fold.rows), np.bool_))
        else:
            rows, places = _eaten(fold, name)
            if rows.sum() < s.fitting.min_rows:
                few[name] = {"rows": int(rows.sum()), "needed": s.fitting.min_rows}
                continue
            before = {SIGNAL_MEMBER: signal, **fitted}
            balance = member_named(name).balanced
            fitted[name] = _fit(fold, name, before, balance=balance, rows=rows, windows=places)
            said[name] = _out_of_fold(fitted[name], rows)
    joining = _joined(fold, fitted, said)
    joining.left_out.update(few)
    settings = _joined_by(s.ensemble, joining)
    unseen = _unseen(fold, joining.said, settings)
    stack = fit_stack(
        joining.said,
        fold.y,
        fold.weight,
        classes=SIGNAL_CLASSES,
        settings=settings,
        r_long=fold.shared["r_long"][fold.rows].astype(np.float64),
        r_short=fold.shared["r_short"][fold.rows].astype(np.float64),
    )
    metrics = {
        "method": stack.method,
        "log_loss": stack.log_loss,
        **stack_metrics(unseen, fold.y, fold.weight, SIGNAL_CLASSES),
        "added": joining.added,
        "left_out": joining.left_out,
    }
    others = {MEMBER + n: m for n, m in joining.members.items() if n != SIGNAL_MEMBER}
    return EnsembleFit({SIGNAL: signal, **others}, stack, metrics)


def _eaten(fold: FoldRows, name: str) -> tuple[Bools, Ints | None]:
    """Return the fold's rows that a member can eat, and their windows where it eats such."""
    kind = member_named(name)
    eats = kind.eats
    if isinstance(eats, Rows):
        return _every_so_often(np.ones(len(fold.rows), np.bool_), kind.most_rows), None
    places = window_places(
        fold.shared["known_at"], fold.shared["pair"], fold.rows, eats.length, fold.step
    )
    full = _every_so_often(np.asarray(places[:, 0] >= 0), kind.most_rows)
    return full, places[full]


def _every_so_often(rows: Bools, most: int | None) -> Bools:
    """Return as many of some rows as there may be at most, at even distances."""
    found = np.flatnonzero(rows)
    if most is None or len(found) <= most:
        return rows
    kept = np.zeros(len(rows), np.bool_)
    kept[found[:: -(-len(found) // most)]] = True
    return kept


def _fit(
    fold: FoldRows,
    name: str,
    before: Mapping[str, FittedClassifier],
    *,
    balance: bool,
    windows: Ints | None = None,
    rows: Bools | None = None,
) -> FittedClassifier:
    """Fit one member on the fold's rows, or on the windows that end in some of them."""
    own = slice(None) if rows is None else rows
    chosen = _inputs(fold, name, before)
    pool = fold.shared["X"]
    source = pool if len(chosen) == len(fold.names) else pool[:, chosen]
    X: ModelRows = source[fold.rows[own]] if windows is None else WindowedRows(source, windows)
    time = fold.time[own]
    s = fold.settings
    return fit_classifier(
        X,
        fold.y[own],
        fold.weight[own],
        time,
        time + fold.horizon,
        classes=SIGNAL_CLASSES,
        member=name,
        settings=s.fitting,
        embargo_ms=s.folds.embargo_ms,
        n_splits=s.folds.inner_splits,
        balance=balance,
        features=[fold.names[i] for i in chosen],
        start_time=None if windows is None else fold.shared["known_at"][windows[:, 0]],
    )


def _inputs(fold: FoldRows, name: str, before: Mapping[str, FittedClassifier]) -> Ints:
    """Return the columns a member is given: all, or those that carry the members before most."""
    everything = np.arange(len(fold.names))
    most = member_named(name).most_inputs
    if most is None or most >= len(fold.names):
        return everything
    carried = np.zeros(len(fold.names))
    for member in before.values():
        gain = np.array([member.importance.get(n, 0.0) for n in fold.names])
        carried += gain / gain.sum() if gain.sum() > 0 else 0.0
    return np.sort(np.argsort(-carried, kind="stable")[:most])


def _out_of_fold(member: FittedClassifier, rows: Bools) -> Floats:
    """Return a member's honest training predictions; its prior where it had no model."""
    own = member.oof
    if own is None:
        own = np.tile(member.prior, (int(rows.sum()), 1))
    return spread(own, rows)


def _joined(
    fold: FoldRows, fitted: Mapping[str, FittedClassifier], said: Mapping[str, Floats]
) -> _Joining:
    """Return the members that join; those that must add something only where they do."""
    asked = [name for name in fitted if member_named(name).must_add]
    firm = [name for name in fitted if name not in asked] or asked[:1]
    joining = _Joining({n: fitted[n] for n in firm}, {n: said[n] for n in firm})
    for name in asked:
        if name in firm:
            continue
        gain = _gain(fold, joining, name, said[name])
        told = {
            "estimate": gain.estimate,
            "low": gain.low,
            "high": gain.high,
            **_alone(fitted[name]),
        }
        if gain.low > 0:
            joining.members[name], joining.said[name] = fitted[name], said[name]
            joining.added[name] = told
        else:
            joining.left_out[name] = told
    return joining


def _alone(member: FittedClassifier) -> dict[str, Any]:
    """Return what a member is worth by itself, out of fold; nothing where it learned nothing."""
    found = member.metrics.get("calibrated", {})
    return {name: found[name] for name in ("log_loss", "auc") if name in found}


def _gain(fold: FoldRows, joining: _Joining, name: str, said: Floats) -> Interval:
    """Return by how much a member lowers the ensemble's log loss, on the rows it speaks of."""
    settings = fold.settings.ensemble
    speaks: Bools = np.asarray(np.isfinite(said).all(axis=1))
    same = {n: np.where(speaks[:, None], p, np.nan) for n, p in joining.said.items()}
    without = _unseen(fold, same, _joined_by(settings, joining))
    both = {**same, name: said}
    whole = settings.model_copy(update={"members": tuple(both)})
    with_it = _unseen(fold, both, whole)
    both_speak: Bools = np.asarray(np.isfinite(without + with_it).all(axis=1))
    rows = np.flatnonzero(both_speak & (fold.weight > 0))
    if not len(rows):
        return Interval(np.nan, np.nan, np.nan, LEVEL)
    code = codes_of(fold.y[rows], SIGNAL_CLASSES, name)
    lower = row_log_loss(without[rows], code) - row_log_loss(with_it[rows], code)
    weight, time = fold.weight[rows], fold.time[rows]
    draws, _ = draw_days(time, [lower], 2 * fold.horizon / DAY_MS, RUNS, LEVEL, SEED)
    sums = draws.totals(time, np.column_stack([lower * weight, weight]))
    return draws.interval(float(np.average(lower, weights=weight)), sums[:, 0] / sums[:, 1])


def _joined_by(settings: EnsembleSettings, joining: _Joining) -> EnsembleSettings:
    """Return the settings of an ensemble of the members that joined, in their order."""
    members = tuple(name for name in settings.members if name in joining.members)
    return settings.model_copy(update={"members": members})


def _unseen(fold: FoldRows, said: Mapping[str, Floats], settings: EnsembleSettings) -> Floats:
    return stack_out_of_fold(
        said,
        fold.y,
        fold.weight,
        fold.time,
        fold.time + fold.horizon,
        classes=SIGNAL_CLASSES,
        settings=settings,
        blocks=fold.blocks,
    )
