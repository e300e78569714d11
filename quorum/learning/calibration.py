"""Calibration: promised probabilities become the rates that came true (spec M5).

Each class has a curve of its own, one against the rest, and the rows are scaled to sum to one
(Zadrozny and Elkan 2002). A curve is the identity, a sigmoid of the log-odds (Platt 1999) or a
rising staircase (isotonic); which of them is decided by log loss out of fold, so that none is
used that makes the probabilities worse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from quorum.errors import DataError
from quorum.learning.folds import PurgedKFold
from quorum.learning.model_settings import CalibrationConstants
from quorum.learning.probabilities import SMALLEST, codes_of, log_loss, normalised
from quorum.section import Section
from quorum.typing import Floats, Ints

#: Inverse of the penalty of a sigmoid's slope: next to none, but the fit of separable data ends.
WEAK = 1e4


class Identity(Section):
    """Probabilities as they are."""

    kind: Literal["identity"] = "identity"

    def __call__(self, p: Floats) -> Floats:
        """Return the probabilities."""
        return p


class Sigmoid(Section):
    """A sigmoid of ``slope`` x log-odds + ``intercept``; a slope of 0 is the base rate."""

    kind: Literal["sigmoid"] = "sigmoid"
    slope: float
    intercept: float

    def __call__(self, p: Floats) -> Floats:
        """Return the calibrated probabilities."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * _logit(p) + self.intercept))))

    @classmethod
    def fitted(cls, p: Floats, happened: Floats, weight: Floats) -> Self:
        """Fit by likelihood; a falling curve becomes the base rate, which ranks nothing."""
        low = 1.0 / (len(p) + 2.0)
        rate = float(np.clip(np.average(happened, weights=weight), low, 1.0 - low))
        flat = cls(slope=0.0, intercept=float(_logit(np.array([rate]))[0]))
        if np.ptp(happened) == 0 or np.ptp(p) == 0:
            return flat
        model = LogisticRegression(C=WEAK, solver="newton-cholesky").fit(
            _logit(p)[:, None], happened, weight
        )
        slope = float(model.coef_[0, 0])
        return cls(slope=slope, intercept=float(model.intercept_[0])) if slope > 0 else flat


class Isotonic(Section):
    """Rising straight lines between the points (``x``, ``y``), flat beyond them."""

    kind: Literal["isotonic"] = "isotonic"
    x: tuple[float, ...]
    y: tuple[float, ...]

    @model_validator(mode="after")
    def _rises(self) -> Isotonic:
        if not self.x or len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} x and {len(self.y)} y")
        if (np.diff(self.x) < 0).any() or (np.diff(self.y) < 0).any():
            raise ValueError("x and y must not fall")
        if self.y[0] < 0 or self.y[-1] > 1:
            raise ValueError("y must be within 0 and 1")
        return self

    def __call__(self, p: Floats) -> Floats:
        """Return the calibrated probabilities."""
        return np.asarray(np.interp(p, self.x, self.y), np.float64)

    @classmethod
    def fitted(cls, p: Floats, happened: Floats, weight: Floats) -> Self:
        """Fit by least squares; never a certainty, which a few rows cannot show."""
        low = 1.0 / (len(p) + 2.0)
        model = IsotonicRegression().fit(p, happened, weight)
        y = np.clip(model.y_thresholds_, low, 1.0 - low)
        return cls(x=tuple(model.X_thresholds_.tolist()), y=tuple(y.tolist()))


Curve = Annotated[Identity | Sigmoid | Isotonic, Field(discriminator="kind")]
_CURVES: TypeAdapter[tuple[Curve, ...]] = TypeAdapter(tuple[Curve, ...])


@dataclass(frozen=True)
class Calibration:
    """A curve per class.

    Attributes
    ----------
    method : str
        ``"identity"``, ``"sigmoid"`` or ``"isotonic"``.
    classes : tuple of int
    curves : tuple of curves, one per class
    """

    method: str
    classes: tuple[int, ...]
    curves: tuple[Curve, ...]

    def __call__(self, p: Floats) -> Floats:
        """Return calibrated probabilities.

        Parameters
        ----------
        p : ndarray of shape (n, n_classes), float64

        Raises
        ------
        DataError
            If the number of columns is not that of the classes.
        """
        if p.ndim != 2 or p.shape[1] != len(self.classes):
            raise DataError(f"calibration: shape {p.shape}, want (rows, {len(self.classes)})")
        if self.method == "identity":
            return p
        return normalised(np.column_stack([c(p[:, k]) for k, c in enumerate(self.curves)]))

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        curves = [curve.model_dump(mode="json") for curve in self.curves]
        document = {"method": self.method, "classes": self.classes, "curves": curves}
        return json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, classes: Sequence[int]) -> Self:
        """Read it from JSON.

        Raises
        ------
        DataError
            If it is damaged, or of other classes.
        """
        document = json_object(data, "calibration", ("method", "classes", "curves"))
        if document["classes"] != list(classes):
            raise DataError(
                f"calibration: the saved one is of classes {document['classes']}, "
                f"want {list(classes)}"
            )
        try:
            curves = _CURVES.validate_python(document["curves"])
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DataError(f"calibration: curves.{place}: {first['msg']}") from error
        if len(curves) != len(classes):
            raise DataError(f"calibration: {len(curves)} curves for {len(classes)} classes")
        if any(curve.kind != document["method"] for curve in curves):
            raise DataError(f"calibration: a curve is not of the method {document['method']!r}")
        return cls(document["method"], tuple(classes), curves)


def fit_calibration(
    p: Floats,
    y: Ints,
    weight: Floats | None = None,
    *,
    classes: Sequence[int],
    settings: CalibrationConstants | None = None,
    time: Ints | None = None,
    end_time: Ints | None = None,
    embargo_ms: int = 0,
) -> tuple[Calibration, Floats]:
    """Choose and fit the calibration; return it and what it makes of each row out of fold.

    1. Per method: calibrate each block of time by curves fitted on the others.
    2. The method of least log loss; the earlier named one where two are equal.
    3. Its curves, fitted on all rows.

    Parameters
    ----------
    p : ndarray of shape (n, n_classes), float64
        Probabilities from models that had not seen their rows.
    y : ndarray of shape (n,), int
        The class that came true.
    weight : ndarray of shape (n,), float64, optional
        True weights, not balanced by class: they decide the base rates.
    classes : sequence of int
    settings : CalibrationConstants, optional
    time, end_time : ndarray of shape (n,), int64, optional
        When each row and its label were known, in ms; row numbers by default.
    embargo_ms : int, default 0

    Raises
    ------
    DataError
        If shapes differ, or a probability is not finite.
    """
    settings = settings or CalibrationConstants()
    codes = codes_of(y, classes, "calibration")
    n = len(codes)
    if p.shape != (n, len(classes)) or not np.isfinite(p).all():
        raise DataError(f"calibration: want finite probabilities ({n}, {len(classes)}), {p.shape}")
    weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    time = np.arange(n) if time is None else time
    end_time = time if end_time is None else end_time
    blocks = PurgedKFold(settings.splits, embargo_ms)
    splits = list(blocks.split(p, time=time, end_time=end_time))
    found: dict[str, Floats] = {}
    for method in settings.methods:
        out = np.empty_like(p)
        for train, test in splits:
            fitted = _fitted(method, p[train], codes[train], weight[train], classes)
            out[test] = fitted(p[test])
        found[method] = out
    best = min(settings.methods, key=lambda method: log_loss(found[method], codes, weight))
    return _fitted(best, p, codes, weight, classes), found[best]


def _fitted(
    method: str, p: Floats, codes: Ints, weight: Floats, classes: Sequence[int]
) -> Calibration:
    return Calibration(method, tuple(classes), tuple(_curves(method, p, codes, weight)))


def _curves(method: str, p: Floats, codes: Ints, weight: Floats) -> Iterator[Curve]:
    """Yield the curve of each class against the rest."""
    for k in range(p.shape[1]):
        happened = (codes == k).astype(np.float64)
        if method == "identity":
            yield Identity()
        elif method == "sigmoid":
            yield Sigmoid.fitted(p[:, k], happened, weight)
        else:
            yield Isotonic.fitted(p[:, k], happened, weight)


def json_object(data: bytes, what: str, keys: Sequence[str]) -> dict[str, Any]:
    """Read a JSON object that has exactly these keys.

    Raises
    ------
    DataError
        If it is no JSON object, or a key is missing or unknown.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise DataError(f"{what}: no JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != set(keys):
        found = sorted(document) if isinstance(document, dict) else type(document).__name__
        raise DataError(f"{what}: the JSON has {found}, want {sorted(keys)}")
    return document


def _logit(p: Floats) -> Floats:
    p = np.clip(p, SMALLEST, 1.0 - SMALLEST)
    return np.asarray(np.log(p / (1.0 - p)))
