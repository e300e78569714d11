"""The ensemble: members' calibrated probabilities joined into one direction (spec M4 c).

Three ways to join: *stacking*, a multinomial regression on the members' log-odds with a ridge
(Wolpert 1992); *blending*, the weights of least log loss; *voting*, the plain mean. All are fitted
on probabilities that the members gave out of fold.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import ValidationError, model_validator
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from quorum.errors import DataError
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.probabilities import (
    SMALLEST,
    centred,
    codes_of,
    log_loss,
    normalised,
    softmax,
)
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints


@dataclass(frozen=True)
class Joined:
    """What the ensemble says of each row.

    Attributes
    ----------
    proba : ndarray of shape (n, n_classes), float64
    direction : ndarray of shape (n,), int64
        +1 where a rise is likelier than a fall, -1 where a fall is, 0 where neither.
    contributions : mapping of member to ndarray of shape (n,), float64
        How far the member moved the log-odds of a rise against a fall, from where they would be
        if it said what it says on average; with ``base`` they sum to the log-odds.
    base : float
        The log-odds if every member said what it says on average.
    agreement : ndarray of shape (n,), float64
        1 less half the spread of the members' signed probabilities (up less down) (spec M12).
    united : ndarray of shape (n,), float64
        Share of the members whose likelier direction is the ensemble's.
    expected_long, expected_short : ndarray of shape (n,), float64
        Predicted return of a long and a short [R]; NaN where no returns were trained on.
    """

    proba: Floats
    direction: Ints
    contributions: Mapping[str, Floats]
    base: float
    agreement: Floats
    united: Floats
    expected_long: Floats
    expected_short: Floats

    @property
    def expected(self) -> Floats:
        """Predicted return of the ensemble's direction [R], 0 without one."""
        by_side = np.where(self.direction > 0, self.expected_long, self.expected_short)
        return np.asarray(np.where(self.direction == 0, 0.0, by_side), np.float64)


class Stack(Section):
    """A fitted ensemble; a frozen section, so that its JSON is checked when read.

    Attributes
    ----------
    method : str
        ``"stacking"``, ``"blending"`` or ``"voting"``.
    members : tuple of str
    classes : tuple of int
        Ascending, with -1 and +1 among them.
    weights : tuple of float, one per member
        Of blending and voting; they sum to one.
    coefficients : tuple of shape (n_classes, n_members * n_classes)
        Of stacking, on the members' centred log probabilities; empty otherwise.
    intercepts : tuple of float, one per class
        Of stacking; empty otherwise.
    averages : tuple of shape (n_members, n_classes)
        What each member says on average: mean centred log probabilities.
    long_returns, short_returns : tuple of float or None, one per class
        Mean realised return of a long and a short where the class came true [R].
    log_loss : float
        Of the fit, on the rows it was fitted on [nats].
    """

    method: str
    members: tuple[str, ...]
    classes: tuple[int, ...]
    weights: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...] = ()
    intercepts: tuple[float, ...] = ()
    averages: tuple[tuple[float, ...], ...]
    long_returns: tuple[float | None, ...]
    short_returns: tuple[float | None, ...]
    log_loss: float

    @model_validator(mode="after")
    def _fits_together(self) -> Stack:
        n_members, n = len(self.members), len(self.classes)
        if self.method not in ("stacking", "blending", "voting"):
            raise ValueError(f"method {self.method!r}")
        if not {-1, 1} <= set(self.classes):
            raise ValueError(f"classes {self.classes} have no -1 and +1")
        rows = n if self.method == "stacking" else 0
        wanted = {
            "weights": (self.weights, n_members),
            "averages": (self.averages, n_members),
            "coefficients": (self.coefficients, rows),
            "intercepts": (self.intercepts, rows),
            "long_returns": (self.long_returns, n),
            "short_returns": (self.short_returns, n),
            **{f"averages[{i}]": (row, n) for i, row in enumerate(self.averages)},
            **{f"coefficients[{i}]": (r, n_members * n) for i, r in enumerate(self.coefficients)},
        }
        for name, (values, length) in wanted.items():
            if len(values) != length:
                raise ValueError(f"{name} has {len(values)} entries, want {length}")
        return self

    def predict_proba(self, members: Mapping[str, Floats]) -> Floats:
        """Return the joined probabilities, shape (n, n_classes).

        Parameters
        ----------
        members : mapping of member to ndarray of shape (n, n_classes), float64
            Calibrated probabilities; more members than the ensemble's are ignored.

        Raises
        ------
        DataError
            If a member is missing or of another shape.
        """
        return self._proba(centred(self._inputs(members)))

    def join(self, members: Mapping[str, Floats]) -> Joined:
        """Return probabilities, direction, contributions, agreement and predicted returns.

        See :meth:`predict_proba`.
        """
        scores = centred(self._inputs(members))
        proba = self._proba(scores)
        odds = self._odds(proba)
        direction = np.sign(odds).astype(np.int64)
        rise, fall = self.classes.index(1), self.classes.index(-1)
        signed = softmax(scores)[:, :, rise] - softmax(scores)[:, :, fall]
        contributions, base = self._contributions(scores)
        return Joined(
            proba=proba,
            direction=direction,
            contributions=contributions,
            base=base,
            agreement=np.asarray(1.0 - np.ptp(signed, axis=0) / 2.0),
            united=np.asarray(np.mean(np.sign(signed) == direction[None, :], axis=0)),
            expected_long=_expected(proba, self.long_returns),
            expected_short=_expected(proba, self.short_returns),
        )

    def _inputs(self, members: Mapping[str, Floats]) -> Floats:
        """Return the members' probabilities, shape (n_members, n, n_classes)."""
        missing = [name for name in self.members if name not in members]
        if missing:
            raise DataError(f"ensemble: no probabilities of {', '.join(missing)}")
        found = [np.asarray(members[name], np.float64) for name in self.members]
        for name, p in zip(self.members, found, strict=True):
            if p.shape != (len(found[0]), len(self.classes)):
                raise DataError(
                    f"ensemble: {name} gave shape {p.shape}, "
                    f"want ({len(found[0])}, {len(self.classes)})"
                )
        return np.stack(found)

    def _proba(self, scores: Floats) -> Floats:
        """Return the joined probabilities of centred log probabilities."""
        # Term by term: a product of matrices gives other bits for another number of rows.
        if self.method != "stacking":
            parts = softmax(scores)
            mixed = sum(weight * p for weight, p in zip(self.weights, parts, strict=True))
            return normalised(np.asarray(mixed))
        wide = np.concatenate(list(scores), axis=1)
        logits = np.tile(np.asarray(self.intercepts), (len(wide), 1))
        for column, coefficients in zip(wide.T, np.asarray(self.coefficients).T, strict=True):
            logits += column[:, None] * coefficients
        return normalised(softmax(logits))

    def _odds(self, proba: Floats) -> Floats:
        """Return the log-odds of a rise against a fall."""
        rise, fall = proba[:, self.classes.index(1)], proba[:, self.classes.index(-1)]
        return np.asarray(np.log(rise) - np.log(fall))

    def _contributions(self, scores: Floats) -> tuple[dict[str, Floats], float]:
        """Share the log-odds out over the members (Shapley 1953), and return what is left.

        A member outside a coalition says what it says on average. Exact for every method; for
        stacking it is the linear share.
        """
        n_members, n, _ = scores.shape
        average = np.broadcast_to(np.asarray(self.averages)[:, None, :], scores.shape)
        value: dict[tuple[int, ...], Floats] = {}
        for size in range(n_members + 1):
            for coalition in itertools.combinations(range(n_members), size):
                inside = np.isin(np.arange(n_members), coalition)[:, None, None]
                value[coalition] = self._odds(self._proba(np.where(inside, scores, average)))
        shared = {name: np.zeros(n) for name in self.members}
        for coalition, odds in value.items():
            for i, name in enumerate(self.members):
                if i not in coalition:
                    joined = tuple(sorted((*coalition, i)))
                    ways = n_members * math.comb(n_members - 1, len(coalition))
                    shared[name] += (value[joined] - odds) / ways
        base = self._odds(self._proba(np.asarray(self.averages)[:, None, :]))
        return shared, float(base[0])

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, members: Sequence[str], classes: Sequence[int]) -> Self:
        """Read it from JSON.

        Raises
        ------
        DataError
            If it is damaged, or of other members or classes; it may be of fewer members.
        """
        try:
            stack = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "JSON"
            raise DataError(f"ensemble: {place}: {first['msg']}") from error
        joined = tuple(name for name in members if name in stack.members)
        for name, found, wanted in (
            ("members", stack.members, joined or tuple(members)),
            ("classes", stack.classes, tuple(classes)),
        ):
            if found != wanted:
                raise DataError(f"ensemble: the saved one has {name} {found}, want {wanted}")
        return stack


def fit_stack(
    members: Mapping[str, Floats],
    y: Ints,
    weight: Floats | None = None,
    *,
    classes: Sequence[int] = (-1, 0, 1),
    settings: EnsembleSettings | None = None,
    r_long: Floats | None = None,
    r_short: Floats | None = None,
) -> Stack:
    """Fit the ensemble on the members' probabilities out of fold.

    1. Rows that every member predicted.
    2. The plain mean if they are too few, or one class only; else the method of the settings.
    3. What each member says on average, and the mean return of each class.

    Parameters
    ----------
    members : mapping of member to ndarray of shape (n, n_classes), float64
        NaN rows were not predicted.
    y : ndarray of shape (n,), int
    weight : ndarray of shape (n,), float64, optional
    classes : sequence of int, default (-1, 0, 1)
    settings : EnsembleSettings, optional
        Its ``members`` that are not given are an error.
    r_long, r_short : ndarray of shape (n,), float64, optional
        Realised return of a long and a short [R], NaN where not known.

    Raises
    ------
    DataError
        If a member is missing, shapes differ, or no row was predicted by all.
    """
    settings = settings or EnsembleSettings()
    codes = codes_of(y, classes, "ensemble")
    weight = np.ones(len(codes)) if weight is None else np.asarray(weight, np.float64)
    inputs = _stacked(members, settings.members, (len(codes), len(classes)))
    seen: Bools = np.asarray(np.isfinite(inputs).all(axis=(0, 2)))
    if not seen.any() or weight[seen].sum() <= 0:
        raise DataError(f"ensemble: no row of {len(codes)} was predicted by every member")
    scores, codes, weight = centred(inputs[:, seen]), codes[seen], weight[seen]
    enough = len(codes) >= settings.min_rows and np.ptp(codes) > 0
    method = settings.method if enough else "voting"
    with threadpool_limits(1, user_api="blas"):
        parts = _fitted(method, scores, codes, weight, settings.ridge)
    stack = Stack(
        method=method,
        members=settings.members,
        classes=tuple(int(c) for c in classes),
        averages=tuple(map(tuple, np.average(scores, axis=1, weights=weight).tolist())),
        long_returns=_mean_returns(r_long, seen, codes, weight, len(classes)),
        short_returns=_mean_returns(r_short, seen, codes, weight, len(classes)),
        log_loss=0.0,
        **parts,
    )
    loss = log_loss(stack._proba(scores), codes, weight)
    return stack.model_copy(update={"log_loss": loss})


def _stacked(members: Mapping[str, Floats], names: Sequence[str], shape: tuple[int, int]) -> Floats:
    for name in names:
        if name not in members:
            raise DataError(f"ensemble: no probabilities of {name}")
        if np.shape(members[name]) != shape:
            raise DataError(f"ensemble: {name} has shape {np.shape(members[name])}, want {shape}")
    return np.stack([np.asarray(members[name], np.float64) for name in names])


def _fitted(
    method: str, scores: Floats, codes: Ints, weight: Floats, ridge: float
) -> dict[str, tuple[object, ...]]:
    """Return the parts of a Stack that its method decides."""
    n_members = len(scores)
    even = (1.0 / n_members,) * n_members
    if method == "stacking":
        coefficients, intercepts = _regression(scores, codes, weight, ridge)
        return {
            "weights": even,
            "coefficients": tuple(map(tuple, coefficients.tolist())),
            "intercepts": tuple(intercepts.tolist()),
        }
    if method == "blending" and n_members > 1:
        return {"weights": tuple(_simplex_weights(scores, codes, weight).tolist())}
    return {"weights": even}


def _regression(scores: Floats, codes: Ints, weight: Floats, ridge: float) -> tuple[Floats, Floats]:
    """Return coefficients (n_classes, n_features) and intercepts of a multinomial regression.

    A class without rows keeps no coefficients and the log of a share too small to matter.
    """
    n_classes = scores.shape[2]
    wide = np.concatenate(list(scores), axis=1)
    share = weight / weight.sum()
    model = LogisticRegression(C=1.0 / (ridge * len(codes)), max_iter=500, tol=1e-6)
    model.fit(wide, codes, share * len(codes))
    coefficients = np.zeros((n_classes, wide.shape[1]))
    intercepts = np.full(n_classes, math.log(SMALLEST))
    present = model.classes_
    if len(present) == 2:  # the regression of two classes has one line: that of the second
        coefficients[present[1]], intercepts[present[1]] = model.coef_[0], model.intercept_[0]
        intercepts[present[0]] = 0.0
    else:
        coefficients[present], intercepts[present] = model.coef_, model.intercept_
    return coefficients, intercepts


def _simplex_weights(scores: Floats, codes: Ints, weight: Floats) -> Floats:
    """Return the weights, none below 0 and of sum 1, of least log loss; it is convex in them."""
    true = softmax(scores)[:, np.arange(len(codes)), codes]
    share = weight / weight.sum()
    n_members = len(scores)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = np.maximum(weights @ true, SMALLEST)
        return -float(share @ np.log(mixed)), -(true / mixed) @ share

    found = minimize(
        loss,
        np.full(n_members, 1.0 / n_members),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n_members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
    )
    weights = np.clip(found.x, 0.0, 1.0)
    return np.asarray(weights / weights.sum())


def _mean_returns(
    returns: Floats | None, seen: Bools, codes: Ints, weight: Floats, n_classes: int
) -> tuple[float | None, ...]:
    """Return the mean return where each class came true; None where none is known."""
    if returns is None:
        return (None,) * n_classes
    r = np.asarray(returns, np.float64)[seen]
    known = np.isfinite(r) & (weight > 0)
    found: list[float | None] = []
    for k in range(n_classes):
        rows = known & (codes == k)
        found.append(float(np.average(r[rows], weights=weight[rows])) if rows.any() else None)
    return tuple(found)


def _expected(proba: Floats, returns: Sequence[float | None]) -> Floats:
    """Return the sum of p_k x mean return of class k; a class without returns counts nothing."""
    if all(value is None for value in returns):
        return np.full(len(proba), np.nan)
    return np.asarray(proba @ np.array([value or 0.0 for value in returns]))
