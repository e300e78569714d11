"""Explanation: what the models said before calibration, and which features said it (spec M9).

A pair is probed while it is replayed, because only then are its features there. Only every
fourth candle is: labels of neighbouring candles are the same but for an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.candles import timeframe_ms
from quorum.features import Features
from quorum.learning.classifier import FittedClassifier
from quorum.learning.dataset import feature_names
from quorum.learning.inputs import MarketInputs
from quorum.learning.parts import ENSEMBLE, MEMBER, REGIME, SIGNAL, SIGNAL_MEMBER, part_of
from quorum.learning.prediction import Models
from quorum.learning.vintage import LoadedVintage
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
        Sum of absolute values, mean over the classes: SHAP values of trees.
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
        inputs = MarketInputs(market, features, names, rows[sampled[own]])
        for model, p in _raw(vintage, inputs).items():
            empty = np.full((len(sampled), p.shape[1]), np.nan, np.float32)
            raw.setdefault(model, empty)[own] = p
        for part, classifier in classifiers(vintage).items():
            explained = _explained(classifier, inputs, names)
            if explained is not None:
                found[vintage.manifest.valid_from, part] = explained
    return Probe(sampled, raw, momentum(market.candles.close)[rows], found)


def _explained(
    classifier: FittedClassifier, inputs: MarketInputs, names: Sequence[str]
) -> Contributions | None:
    """Return what moved a model on some of its rows, by the columns of all models."""
    X, _ = inputs.given(classifier.eats, classifier.features)
    few = X[np.linspace(0, len(X) - 1, min(len(X), EXPLAINED)).astype(np.int64)]
    moved = classifier.contributions(few) if len(few) else None
    if moved is None:
        return None
    by_name = dict(zip(classifier.features, moved.tolist(), strict=True))
    return Contributions(np.array([by_name.get(name, 0.0) for name in names]), len(few))


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


def _raw(vintage: LoadedVintage, inputs: MarketInputs) -> dict[str, Floats]:
    parts = {
        name: vintage.said(fitted, inputs, raw=True)
        for name, fitted in classifiers(vintage).items()
    }
    members = [parts[part_of(name)] for name in vintage.ensemble.members]
    out = {SIGNAL: parts[SIGNAL], ENSEMBLE: np.asarray(np.mean(members, axis=0))}
    return out | ({REGIME: parts[REGIME]} if REGIME in parts else {})
