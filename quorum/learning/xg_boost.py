"""XGBoost as a member (Chen and Guestrin 2016)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from quorum.errors import DataError
from quorum.extras import library
from quorum.learning.member import Booster, check_shape
from quorum.learning.probabilities import as_matrix, log_loss
from quorum.learning.sealing import seal, unseal
from quorum.typing import Floats, Ints

#: First byte of a UBJSON object.
HEADER = b"{"


class XgBoost(Booster):
    """Level-wise trees; saved in XGBoost's binary JSON (UBJSON)."""

    name: ClassVar[str] = "xgboost"
    suffix: ClassVar[str] = "ubj"

    def prepare(self, X: ArrayLike) -> Any:
        """Bin the features once; splits and candidates share the bins."""
        xgboost = library("learning", "xgboost")
        features = as_matrix(X, None, self.name)
        try:
            return xgboost.QuantileDMatrix(features, max_bin=self.max_bin, nthread=self.threads)
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise DataError(f"{self.name}: {_first_line(error)}") from error

    def fit_rows(
        self, data: Any, y: Ints, weight: Floats, train: Ints, test: Ints | None = None
    ) -> Self:
        """Fit on some rows of the binned features; see :meth:`Member.fit_rows`.

        Binned features cannot be cut into rows, so the other rows get no weight: they change no
        tree, and the log loss of the test rows comes out of the training's own predictions.
        """
        xgboost = library("learning", "xgboost")
        codes = self._codes(y, train)
        used = np.zeros(len(codes))
        used[train] = weight[train]
        data.set_info(label=codes, weight=used)
        stopping: dict[str, Any] = {}
        if test is not None:
            stopping = {
                "evals": [(data, "rows")],
                "custom_metric": _test_loss(codes[test], weight[test], test, len(self.classes)),
                "early_stopping_rounds": self.patience,
                "verbose_eval": False,
            }
        try:
            booster = xgboost.train(self._parameters(), data, self.rounds, **stopping)
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise DataError(f"{self.name}: {_first_line(error)}") from error
        rounds = booster.best_iteration + 1 if test is not None else booster.num_boosted_rounds()
        booster = booster[:rounds]
        booster.set_attr(best_iteration=None, best_score=None)
        return self._adopt(booster, rounds, int(data.num_col()))

    def _parameters(self) -> dict[str, Any]:
        n = len(self.classes)
        several = {"objective": "multi:softprob", "num_class": n}
        return {
            **(several if n > 2 else {"objective": "binary:logistic"}),
            "tree_method": "hist",
            "max_bin": self.max_bin,
            "max_depth": self.depth,
            "max_leaves": max(2, self.leaves),
            "eta": self.learning_rate,
            "colsample_bytree": self.feature_share,
            "subsample": self.row_share,
            "min_child_weight": self.min_hessian,
            "lambda": self.ridge,
            "disable_default_eval_metric": 1,
            "nthread": self.threads,
            "seed": self.seed,
            "verbosity": 0,
        }

    def _predict(self, features: Any) -> Any:
        return self.booster_.inplace_predict(features, validate_features=False)

    def _shap(self, features: Any) -> Any:
        data = library("learning", "xgboost").DMatrix(features, nthread=1)
        return self.booster_.predict(data, pred_contribs=True)

    def importance(self) -> Floats:
        """Return the gain of each feature, shape (n_features,)."""
        gain = np.zeros(self.n_features_in_)
        for name, value in self.booster_.get_score(importance_type="total_gain").items():
            gain[int(name.removeprefix("f"))] = value
        return gain

    def to_bytes(self) -> bytes:
        """Return XGBoost's UBJSON, sealed."""
        return seal(bytes(self.booster_.save_raw("ubj")))

    @classmethod
    def from_bytes(cls, data: bytes, *, classes: Sequence[int], n_features: int) -> Self:
        """Return the fitted booster, for one thread; see :meth:`Member.from_bytes`."""
        xgboost = library("learning", "xgboost")
        body = unseal(data, cls.name)
        if not body.startswith(HEADER):
            raise DataError(f"{cls.name}: the file begins with {body[:20]!r}, want {HEADER!r}")
        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(bytearray(body))
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise DataError(f"{cls.name}: cannot be loaded: {_first_line(error)}") from error
        found = int(booster.num_features()), _n_classes(booster)
        check_shape(cls.name, found, (n_features, len(classes)))
        return cls(classes)._adopt(booster, int(booster.num_boosted_rounds()), n_features)


def _test_loss(
    codes: Ints, weight: Floats, test: Ints, n_classes: int
) -> Callable[[Any, Any], tuple[str, float]]:
    """Return the metric of early stopping: log loss of the test rows."""

    def loss(predicted: Any, _data: Any) -> tuple[str, float]:
        p = np.asarray(predicted, np.float64).reshape(-1, n_classes if n_classes > 2 else 1)[test]
        p = p if n_classes > 2 else np.column_stack([1.0 - p, p])
        return "log_loss", log_loss(p, codes, weight)

    return loss


def _n_classes(booster: Any) -> int:
    learner = json.loads(booster.save_config())["learner"]
    return max(2, int(learner["learner_model_param"]["num_class"]))


def _first_line(error: Exception) -> str:
    """Return what the library says, without its native stack."""
    return str(error).split("Stack trace")[0].strip().splitlines()[0]
