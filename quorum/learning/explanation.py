"""Explanation: what the models said before calibration, and which features said it (spec M9).

A pair is probed while it is replayed, because only then are its features there. Only every
fourth candle is: labels of neighbouring candles are the same but for an hour.

References: Lundberg et al. (2020), "From local explanations to global understanding with
explainable AI for trees" (SHAP), as LightGBM and XGBoost compute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.candles import timeframe_ms
from quorum.extras import library
from quorum.features import Features
from quorum.learning.classifier import FittedClassifier
from quorum.learning.dataset import feature_matrix, feature_names
from quorum.learning.light_gbm import LightGbm
from quorum.learning.market_models import ENSEMBLE, REGIME, SIGNAL, SIGNAL_MEMBER
from quorum.learning.prediction import Models
from quorum.learning.promotion import MEMBER
from quorum.learning.vintage import LoadedVintage
from quorum.learning.xg_boost import XgBoost
from quorum.market import Market
from quorum.typing import Floats, Ints

#: Candles from one probed row to the next [candles].
EVERY = 4
#: Rows of a pair whose predictions are explained, per vintage [rows].
EXPLAINED = 30
#: Candles of the return whose sign is the momentum [candles].
MOMENTUM = 24


@dataclass(frozen=True)
class Contributions:
    """How far each feature moved a model's log-odds, summed over rows.

    Attributes
    ----------
    total : ndarray of shape (n_features,), float64
        Sum of the absolute SHAP values, mean over the classes.
    rows : int
    """

    total: Floats
    rows: int


@dataclass(frozen=True)
class Probe:
    """What is kept of one pair's replay to judge its models by.

    Attributes
    ----------
    sampled : ndarray of shape (n_sampled,), int64
        Rows of the replay that were probed; in all of them a model was live.
    raw : mapping of model to ndarray of shape (n_sampled, n_classes), float32
        Probabilities before calibration, of the ensemble the mean of its members'; NaN where a
        vintage had no such model.
    momentum : ndarray of shape (n_rows,), int8
        Sign of the return of the last 24 candles, of every row.
    contributions : mapping of (valid_from, part) to Contributions
        Part as in the store: ``signal``, ``regime``, ``member_lightgbm`` ...
    """

    sampled: Ints
    raw: Mapping[str, NDArray[np.float32]]
    momentum: NDArray[np.int8]
    contributions: Mapping[tuple[int, str], Contributions]


def probe_pair(models: Models, market: Market, features: Features, rows: Ints) -> Probe:
    """Probe one pair with the models that were live.

    Parameters
    ----------
    models : Models
        Whose predictions are in ``features`` already.
    market, features : Market, Features
    rows : ndarray of shape (n_rows,), int64
        Candles of the replay.
    """
    at = market.close_time[rows]
    place = models.live(at)
    turn = at // timeframe_ms(models.timeframe) % EVERY == 0
    sampled = np.flatnonzero((place >= 0) & turn)
    names = feature_names(features)
    raw: dict[str, NDArray[np.float32]] = {}
    found: dict[tuple[int, str], Contributions] = {}
    for i in np.unique(place[sampled]):
        vintage = models.vintages[i]
        own = np.flatnonzero(place[sampled] == i)
        X = feature_matrix(features, names, rows[sampled[own]])
        for model, p in _raw(vintage, X).items():
            empty = np.full((len(sampled), p.shape[1]), np.nan, np.float32)
            raw.setdefault(model, empty)[own] = p
        few = X[np.linspace(0, len(X) - 1, min(len(X), EXPLAINED)).astype(np.int64)]
        for part, classifier in classifiers(vintage).items():
            total = contributions(classifier, few)
            if total is not None:
                found[vintage.manifest.valid_from, part] = Contributions(total, len(few))
    return Probe(sampled, raw, momentum(market.candles.close)[rows], found)


def momentum(close: Floats) -> NDArray[np.int8]:
    """Return the sign of the return of the last 24 candles, 0 before; shape (n_candles,)."""
    sign = np.zeros(len(close), np.int8)
    sign[MOMENTUM:] = np.sign(close[MOMENTUM:] - close[:-MOMENTUM])
    return sign


def classifiers(vintage: LoadedVintage) -> dict[str, FittedClassifier]:
    """Return the market models of a vintage by their part in the store."""
    found = {SIGNAL: vintage.signal}
    for name in vintage.ensemble.members:
        if name != SIGNAL_MEMBER:
            found[MEMBER + name] = vintage.member(name)
    if vintage.regime is not None:
        found[REGIME] = vintage.regime
    return found


def _raw(vintage: LoadedVintage, X: NDArray[np.float32]) -> dict[str, Floats]:
    parts = {name: fitted.raw_proba(X) for name, fitted in classifiers(vintage).items()}
    members = [
        parts[SIGNAL if name == SIGNAL_MEMBER else MEMBER + name]
        for name in vintage.ensemble.members
    ]
    out = {SIGNAL: parts[SIGNAL], ENSEMBLE: np.asarray(np.mean(members, axis=0))}
    return out | ({REGIME: parts[REGIME]} if REGIME in parts else {})


def contributions(classifier: FittedClassifier, X: NDArray[np.float32]) -> Floats | None:
    """Return each feature's absolute SHAP values, summed over rows; None where there are none.

    Returns
    -------
    ndarray of shape (n_features,), float64, or None
        Mean over the classes [log-odds].
    """
    model: Any = classifier.model
    n = len(classifier.features)
    if isinstance(model, LightGbm):
        values = model.booster_.predict(
            X, pred_contrib=True, num_iteration=model.rounds_, num_threads=1
        )
    elif isinstance(model, XgBoost):
        data = library("learning", "xgboost").DMatrix(X, nthread=1)
        values = model.booster_.predict(data, pred_contribs=True)
    else:
        return None
    by_class = np.abs(np.asarray(values, np.float64)).reshape(len(X), -1, n + 1)
    return np.asarray(by_class[:, :, :n].mean(axis=1).sum(axis=0))
