"""A member from outside the package that eats windows: one file, and one line of the registry."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.linear_model import LogisticRegression

from quorum.learning.inputs import Rows, Windows
from quorum.learning.member import Member

LENGTH = 6
#: Where the registry finds it.
PLACE = f"{__name__}:ToySequence"


class ToySequence(Member):
    """A regression on how the features changed within the window."""

    name: ClassVar[str] = "toy"
    suffix: ClassVar[str] = "json"
    eats: ClassVar[Rows | Windows] = Windows(LENGTH)
    most_inputs: ClassVar[int | None] = 5

    def __init__(self, classes: Any = (-1, 0, 1), ridge: float = 1.0) -> None:
        self.classes = classes
        self.ridge = ridge

    @classmethod
    def candidates(cls, classes, settings, threads) -> list[Self]:
        return [cls(classes)]

    def choice(self) -> dict[str, Any]:
        return {"ridge": self.ridge}

    def shortened(self, rounds: int) -> Self:
        return type(self)(self.classes, self.ridge)

    @staticmethod
    def changes(X: Any):
        """Return last less first candle of each window, clipped; (n, n_features)."""
        windows = np.nan_to_num(np.asarray(X, np.float64))
        assert windows.ndim == 3
        assert windows.shape[1] == LENGTH
        return np.clip(windows[:, -1] - windows[:, 0], -3.0, 3.0)

    def prepare(self, X: Any) -> Any:
        return self.changes(X)

    def fit_rows(self, data, y, weight, train, test=None) -> Self:
        model = LogisticRegression(C=self.ridge / len(train), max_iter=300)
        model.fit(data[train], y[train], weight[train])
        self.coefficients_ = np.zeros((len(self.classes), data.shape[1]))
        self.base_ = np.full(len(self.classes), -9.0)
        at = np.searchsorted(self.classes, model.classes_)
        self.coefficients_[at], self.base_[at] = model.coef_, model.intercept_
        self.rounds_ = 1
        return self

    def predict_proba(self, X: Any):
        change = self.changes(X)
        # Row by row: a product of matrices gives other bits with another batch.
        logits = np.array([(self.coefficients_ * row).sum(axis=1) + self.base_ for row in change])
        p = np.exp(logits.reshape(-1, len(self.classes)))
        return p / p.sum(axis=1, keepdims=True)

    def importance(self):
        return np.abs(self.coefficients_).sum(axis=0)

    def contributions(self, X: Any):
        return np.abs(self.changes(X)[:, None, :] * self.coefficients_).mean(axis=1).sum(axis=0)

    def to_bytes(self) -> bytes:
        return json.dumps([self.coefficients_.tolist(), self.base_.tolist()]).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, classes, n_features) -> Self:
        member = cls(classes)
        member.coefficients_, member.base_ = map(np.array, json.loads(data))
        assert member.coefficients_.shape == (len(classes), n_features)
        member.rounds_ = 1
        return member
