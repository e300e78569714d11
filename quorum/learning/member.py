"""What an ensemble member is: a scikit-learn classifier whose fit can be saved as plain bytes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from quorum.errors import DataError
from quorum.learning.inputs import Rows, Windows
from quorum.learning.model_settings import FittingSettings, MetaFittingSettings
from quorum.learning.probabilities import as_matrix, codes_of, normalised
from quorum.typing import Floats, Ints


class Member(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A classifier over a fixed set of classes, seen in training or not.

    To add one: a file with a subclass, and a line in :data:`quorum.learning.models.MEMBERS`.

    Attributes
    ----------
    name : str
        Under which it is registered.
    suffix : str
        Of its file.
    eats : Rows or Windows
        Whether a row of ``X`` is one candle, shape (n_features,), or a window of them, shape
        (length, n_features); windows come as :class:`~quorum.learning.inputs.WindowedRows`.
    most_inputs : int or None
        Features it is given at most: those that carry the members of rows most; None for all.
    most_rows : int or None
        Rows of a fold that it learns from at most; None for all.
    balanced : bool
        Whether it sees every class with the same total weight; calibration restores the rates.
    must_add : bool
        Whether it joins an ensemble only where it lowers its log loss (spec M11).
    rounds_ : int
        Rounds (or epochs) the fit was best after.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    eats: ClassVar[Rows | Windows] = Rows()
    most_inputs: ClassVar[int | None] = None
    most_rows: ClassVar[int | None] = None
    balanced: ClassVar[bool] = False
    must_add: ClassVar[bool] = False

    classes: Sequence[int]
    rounds_: int

    @classmethod
    def require(cls) -> None:
        """See before a training that everything it needs is installed.

        Raises
        ------
        MissingLibraryError
            Naming what is not.
        """

    @classmethod
    @abstractmethod
    def candidates(
        cls, classes: Sequence[int], settings: FittingSettings | MetaFittingSettings, threads: int
    ) -> list[Self]:
        """Return one unfitted member per candidate set of parameters."""

    @abstractmethod
    def choice(self) -> dict[str, Any]:
        """Return the parameters that tell candidates apart."""

    @abstractmethod
    def shortened(self, rounds: int) -> Self:
        """Return an unfitted copy that trains exactly so many rounds."""

    def prepare(self, X: ArrayLike) -> Any:
        """Return the features in the form ``fit_rows`` reads; done once for all splits."""
        return np.asarray(X, np.float32)

    @abstractmethod
    def fit_rows(
        self, data: Any, y: Ints, weight: Floats, train: Ints, test: Ints | None = None
    ) -> Self:
        """Fit on some rows of what ``prepare`` returned.

        Parameters
        ----------
        data : object
            From ``prepare`` of a member with the same binning.
        y : ndarray of shape (n,), int64
            Label of every row.
        weight : ndarray of shape (n,), float64
        train : ndarray of int64
            Rows to fit on.
        test : ndarray of int64, optional
            Rows whose log loss decides when to stop.

        Raises
        ------
        DataError
            If the training rows have fewer than two classes, or the library refuses them.
        """

    @abstractmethod
    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return probabilities of shape (n, n_classes), a column for every one of ``classes``."""

    def predict(self, X: ArrayLike) -> Ints:
        """Return the most probable class of each row."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(np.asarray(self.classes)[best], dtype=np.int64)

    @abstractmethod
    def importance(self) -> Floats:
        """Return the gain of each feature, shape (n_features,); zeros where unknown."""

    def contributions(self, X: ArrayLike) -> Floats | None:
        """Return how far each feature moved the log-odds, summed over rows; None where unknown.

        Returns
        -------
        ndarray of shape (n_features,), float64, or None
            Of absolute values, mean over the classes.
        """
        return None

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the fit as bytes that ``from_bytes`` reads; equal fits give equal bytes."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, *, classes: Sequence[int], n_features: int) -> Self:
        """Return a fitted member.

        Raises
        ------
        DataError
            If the bytes are damaged, or of other classes or features; names what differs.
        """


class Booster(Member):
    """Boosted trees on histograms; deterministic, whatever the number of threads.

    Parameters
    ----------
    classes : sequence of int, default (-1, 0, 1)
        Ascending; a column of ``predict_proba`` each.
    rounds, patience, leaves, learning_rate, feature_share, row_share, min_rows, min_hessian, \
ridge, max_bin, bin_sample, seed
        See :class:`~quorum.learning.model_settings.ModelSettings`.
    threads : int, default 1
        Of training and of predicting many rows; changes no result.
    """

    def __init__(
        self,
        classes: Sequence[int] = (-1, 0, 1),
        *,
        rounds: int = 200,
        patience: int = 10,
        leaves: int = 4,
        learning_rate: float = 0.1,
        feature_share: float = 0.1,
        row_share: float = 0.7,
        min_rows: int = 100,
        min_hessian: float = 20.0,
        ridge: float = 10.0,
        max_bin: int = 63,
        bin_sample: int = 5000,
        seed: int = 1,
        threads: int = 1,
    ) -> None:
        self.classes = classes
        self.rounds = rounds
        self.patience = patience
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.feature_share = feature_share
        self.row_share = row_share
        self.min_rows = min_rows
        self.min_hessian = min_hessian
        self.ridge = ridge
        self.max_bin = max_bin
        self.bin_sample = bin_sample
        self.seed = seed
        self.threads = threads

    @classmethod
    def candidates(
        cls, classes: Sequence[int], settings: FittingSettings | MetaFittingSettings, threads: int
    ) -> list[Self]:
        """Return one booster per number of leaves in the member's settings."""
        shared = getattr(settings, cls.name).model_dump(exclude={"leaves"})
        return [
            cls(classes, **shared, leaves=leaves, threads=threads)
            for leaves in dict.fromkeys(getattr(settings, cls.name).leaves)
        ]

    def choice(self) -> dict[str, Any]:
        """Return the number of leaves."""
        return {"leaves": self.leaves}

    def shortened(self, rounds: int) -> Self:
        """Return an unfitted copy that trains exactly so many rounds."""
        return type(self)(**{**self.get_params(deep=False), "rounds": rounds})

    @property
    def depth(self) -> int:
        """Levels a tree with so many leaves needs."""
        return max(1, math.ceil(math.log2(self.leaves)))

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        eval_set: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Fit; with ``eval_set`` (features, labels) stop when its log loss stops falling.

        Parameters
        ----------
        X : array_like of shape (n, n_features), float32
            NaN is allowed.
        y : array_like of shape (n,), int
        sample_weight : array_like of shape (n,), optional
        eval_set : tuple of array_like, optional

        Raises
        ------
        DataError
            On labels that are no class, fewer than two classes, or lengths that differ.
        """
        features = as_matrix(X, None, self.name)
        labels = np.asarray(y, np.int64)
        n = len(features)
        weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if not n == len(labels) == len(weight):
            raise DataError(f"{self.name}: {n} rows, {len(labels)} labels, {len(weight)} weights")
        test = None
        if eval_set is not None:
            later = as_matrix(eval_set[0], features.shape[1], self.name)
            features = np.concatenate([features, later])
            labels = np.concatenate([labels, np.asarray(eval_set[1], np.int64)])
            weight = np.concatenate([weight, np.ones(len(later))])
            test = np.arange(n, n + len(later))
        return self.fit_rows(self.prepare(features), labels, weight, np.arange(n), test)

    def _codes(self, y: Ints, train: Ints) -> Ints:
        """Return the labels as columns, after making sure that there is something to learn."""
        codes = codes_of(y, self.classes, self.name)
        if len(train) == 0 or np.ptp(codes[train]) == 0:
            raise DataError(f"{self.name}: {len(train)} training rows with fewer than two classes")
        return codes

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return probabilities of shape (n, n_classes).

        Raises
        ------
        DataError
            If the number of features is not that of the fit.
        """
        check_is_fitted(self, "booster_")
        features = as_matrix(X, self.n_features_in_, self.name)
        if len(features) == 0:
            return np.empty((0, len(self.classes)))
        p = np.asarray(self._predict(features), np.float64)
        if p.ndim == 1:  # two classes: the probability of the second
            p = np.column_stack([1.0 - p, p])
        return normalised(p)

    def contributions(self, X: ArrayLike) -> Floats:
        """Return the absolute SHAP values of each feature, summed over rows.

        Lundberg et al. (2020), "From local explanations to global understanding with explainable
        AI for trees", as the libraries compute it. See :meth:`Member.contributions`.
        """
        features = as_matrix(X, self.n_features_in_, self.name)
        n = self.n_features_in_
        values = np.asarray(self._shap(features), np.float64)
        by_class = np.abs(values).reshape(len(features), -1, n + 1)
        return np.asarray(by_class[:, :, :n].mean(axis=1).sum(axis=0))

    @abstractmethod
    def _predict(self, features: Any) -> Any:
        """Return the library's own probabilities."""

    @abstractmethod
    def _shap(self, features: Any) -> Any:
        """Return the library's own SHAP values, of every class and feature and of the base."""

    def _adopt(self, booster: Any, rounds: int, n_features: int) -> Self:
        """Take a trained or loaded booster as the fit."""
        self.booster_ = booster
        self.rounds_ = rounds
        self.n_features_in_ = n_features
        self.saved_: bytes | None = None  # the bytes it was loaded from
        self.classes_ = np.asarray(self.classes, np.int64)
        return self


def check_shape(what: str, found: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Compare (features, classes) of a loaded model with those expected.

    Raises
    ------
    DataError
        Naming what differs.
    """
    pairs = zip(("features", "classes"), found, wanted, strict=True)
    differences = [f"{have} {name}, want {want}" for name, have, want in pairs if have != want]
    if differences:
        raise DataError(f"{what}: the saved model has {'; '.join(differences)}")
