"""LightGBM as a member (Ke et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from quorum.errors import DataError
from quorum.extras import library
from quorum.learning.member import Booster, check_shape
from quorum.learning.probabilities import as_matrix
from quorum.learning.sealing import seal, unseal
from quorum.typing import Floats, Ints

#: First line of LightGBM's text format.
HEADER = b"tree\n"


class LightGbm(Booster):
    """Leaf-wise trees; saved as LightGBM's own text."""

    name: ClassVar[str] = "lightgbm"
    suffix: ClassVar[str] = "txt"

    def prepare(self, X: ArrayLike) -> Any:
        """Bin the features once; splits and candidates share the bins."""
        lightgbm = library("learning", "lightgbm")
        features = as_matrix(X, None, self.name)
        try:
            return lightgbm.Dataset(features, params=self._binning()).construct()
        except lightgbm.basic.LightGBMError as error:
            raise DataError(f"{self.name}: {error}") from error

    def fit_rows(
        self, data: Any, y: Ints, weight: Floats, train: Ints, test: Ints | None = None
    ) -> Self:
        """Fit on some rows of the binned features; see :meth:`Member.fit_rows`."""
        lightgbm = library("learning", "lightgbm")
        data.set_label(self._codes(y, train)).set_weight(weight)
        try:
            rows = data.subset(train).construct()
            stopping: dict[str, Any] = {}
            if test is not None:
                stop = lightgbm.early_stopping(self.patience, verbose=False)
                stopping = {"valid_sets": [data.subset(test).construct()], "callbacks": [stop]}
            booster = lightgbm.train(self._parameters(), rows, self.rounds, **stopping)
        except lightgbm.basic.LightGBMError as error:
            raise DataError(f"{self.name}: {error}") from error
        rounds = booster.best_iteration if test is not None else booster.current_iteration()
        return self._adopt(booster, max(1, int(rounds)), data.num_feature())

    def _binning(self) -> dict[str, Any]:
        return {
            "max_bin": self.max_bin,
            "bin_construct_sample_cnt": self.bin_sample,
            "feature_pre_filter": False,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
            "seed": self.seed,
        }

    def _parameters(self) -> dict[str, Any]:
        n = len(self.classes)
        several = {"objective": "multiclass", "num_class": n}
        return {
            **self._binning(),
            **(several if n > 2 else {"objective": "binary"}),
            "num_leaves": max(2, self.leaves),
            "learning_rate": self.learning_rate,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1 if self.row_share < 1 else 0,
            "min_data_in_leaf": self.min_rows,
            "lambda_l2": self.ridge,
        }

    def _predict(self, features: Any) -> Any:
        threads = self.threads if len(features) > 1 else 1
        return self.booster_.predict(features, num_iteration=self.rounds_, num_threads=threads)

    def _shap(self, features: Any) -> Any:
        return self.booster_.predict(
            features, pred_contrib=True, num_iteration=self.rounds_, num_threads=1
        )

    def importance(self) -> Floats:
        """Return the gain of each feature, shape (n_features,)."""
        gain = self.booster_.feature_importance("gain", iteration=self.rounds_)
        return np.asarray(gain, np.float64)

    def to_bytes(self) -> bytes:
        """Return LightGBM's text, sealed.

        The training parameters are left out: they are no part of the prediction, and hold the
        number of threads.
        """
        if self.saved_ is not None:
            return self.saved_
        text = self.booster_.model_to_string(num_iteration=self.rounds_)
        return seal(text.split("\nparameters:")[0].encode())

    @classmethod
    def from_bytes(cls, data: bytes, *, classes: Sequence[int], n_features: int) -> Self:
        """Return the fitted booster; see :meth:`Member.from_bytes`."""
        lightgbm = library("learning", "lightgbm")
        body = unseal(data, cls.name)
        if not body.startswith(HEADER):
            raise DataError(f"{cls.name}: the text begins with {body[:20]!r}, want {HEADER!r}")
        try:
            booster = lightgbm.Booster(model_str=body.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise DataError(f"{cls.name}: cannot be loaded: {error}") from error
        per_round = booster.num_model_per_iteration()
        found = booster.num_feature(), 2 if per_round == 1 else per_round
        check_shape(cls.name, found, (n_features, len(classes)))
        member = cls(classes)._adopt(booster, booster.current_iteration(), n_features)
        member.saved_ = data
        return member
