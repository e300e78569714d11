"""A classifier as it is used: a fitted member behind its calibration, saved as plain files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from quorum.errors import DataError
from quorum.learning.calibration import Calibration, json_object
from quorum.learning.inputs import Rows, Windows
from quorum.learning.member import Member
from quorum.learning.models import MEMBERS, member_named
from quorum.learning.probabilities import normalised
from quorum.typing import Floats, Ints

#: What ``classifier.json`` holds.
KEYS = ("member", "classes", "features", "prior", "model", "metrics", "importance")


@dataclass(frozen=True)
class FittedClassifier:
    """A fitted, calibrated classifier.

    Attributes
    ----------
    member : str
        Name of the member.
    classes : tuple of int
        Columns of the predictions, ascending.
    features : tuple of str
        Columns of ``X``.
    prior : ndarray of shape (n_classes,), float64
        Weighted share of each class in training; all that is predicted without a model.
    model : Member or None
        None where the window gave nothing to learn (``metrics["fallback"]`` says why).
    calibration : Calibration or None
    metrics : mapping
        JSON-like: ``raw``, ``calibrated`` and ``prior`` hold log loss, Brier score, AUC and
        calibration error out of fold; ``rounds``, ``candidate``, ``calibration``, ``rows``.
    importance : mapping of feature name to float
        Gain.
    oof, oof_raw : ndarray of shape (n, n_classes), float64
        Probabilities of the training rows from models, and curves, that had not seen them; NaN
        where there are none. Not saved.
    seconds : float
        Duration of the fit. Not saved: equal fits have equal files.
    """

    member: str
    classes: tuple[int, ...]
    features: tuple[str, ...]
    prior: Floats
    model: Member | None = None
    calibration: Calibration | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    oof: Floats | None = None
    oof_raw: Floats | None = None
    seconds: float = 0.0

    def raw_proba(self, X: ArrayLike) -> Floats:
        """Return the model's own probabilities, shape (n, n_classes).

        Raises
        ------
        DataError
            If the number of features is not that of the fit.
        """
        if self.model is not None:
            return self.model.predict_proba(X)
        shape = np.shape(X)
        if not shape or shape[-1] != len(self.features):
            raise DataError(f"{self.member}: shape {shape}, want {len(self.features)} features")
        return np.tile(normalised(self.prior[None, :]), (shape[0], 1))

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return calibrated probabilities, shape (n, n_classes); see :meth:`raw_proba`."""
        raw = self.raw_proba(X)
        return raw if self.calibration is None else self.calibration(raw)

    @property
    def eats(self) -> Rows | Windows:
        """What a row of ``X`` is: one candle, or a window of them."""
        return member_named(self.member).eats

    def contributions(self, X: Any) -> Floats | None:
        """Return how far each feature moved the log-odds; see :meth:`Member.contributions`."""
        return None if self.model is None else self.model.contributions(X)

    def predict(self, X: ArrayLike) -> Ints:
        """Return the most probable class of each row."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(np.asarray(self.classes)[best], np.int64)

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return what ``from_files`` reads, by file name under ``prefix``."""
        model = None if self.model is None else f"model.{self.model.suffix}"
        document = {
            "member": self.member,
            "classes": self.classes,
            "features": self.features,
            "prior": self.prior.tolist(),
            "model": model,
            "metrics": dict(self.metrics),
            "importance": dict(self.importance),
        }
        text = json.dumps(document, indent=1, allow_nan=False)
        files = {f"{prefix}/classifier.json": text.encode()}
        if self.model is not None and model is not None:
            files[f"{prefix}/{model}"] = self.model.to_bytes()
        if self.calibration is not None:
            files[f"{prefix}/calibration.json"] = self.calibration.to_bytes()
        return files

    @classmethod
    def from_files(cls, prefix: str, files: Mapping[str, bytes]) -> Self:
        """Return the classifier that ``files(prefix)`` saved.

        Raises
        ------
        DataError
            If a file is missing or damaged, or they do not belong together.
        """
        name = f"{prefix}/classifier.json"
        document = json_object(_file(files, name), name, KEYS)
        member, classes, features, prior = _described(document, name)
        model = calibration = None
        if document["model"] is not None:
            kind = member_named(member)
            if document["model"] != f"model.{kind.suffix}":
                raise DataError(f"{name}: model {document['model']!r}, want 'model.{kind.suffix}'")
            path = f"{prefix}/{document['model']}"
            try:
                model = kind.from_bytes(
                    _file(files, path), classes=classes, n_features=len(features)
                )
            except DataError as error:
                raise DataError(f"{path}: {error}") from error
            data = _file(files, f"{prefix}/calibration.json")
            calibration = Calibration.from_bytes(data, classes=classes)
        return cls(
            member,
            classes,
            features,
            prior,
            model,
            calibration,
            document["metrics"],
            document["importance"],
        )


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise DataError(f"{name}: missing; there are {', '.join(sorted(files)) or 'no files'}")
    return files[name]


def _described(
    document: Mapping[str, Any], name: str
) -> tuple[str, tuple[int, ...], tuple[str, ...], Floats]:
    """Return member, classes, features and prior of a document, checked."""
    member = document["member"]
    if member not in MEMBERS:
        raise DataError(f"{name}: member {member!r}, there are {', '.join(MEMBERS)}")
    classes = _list_of(document, "classes", int, name)
    features = _list_of(document, "features", str, name)
    prior = np.asarray(_list_of(document, "prior", float, name), np.float64)
    if len(prior) != len(classes) or not np.isclose(prior.sum(), 1.0):
        raise DataError(f"{name}: prior {prior.tolist()} for {len(classes)} classes")
    return member, classes, features, prior


def _list_of(document: Mapping[str, Any], key: str, kind: type, name: str) -> tuple[Any, ...]:
    values = document[key]
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise DataError(f"{name}: {key} is no list of {kind.__name__}")
    return tuple(values)
