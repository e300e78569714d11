"""A loaded vintage: the models of one date, ready to predict (spec M4, M6, M7)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quorum.context.regime import REGIMES
from quorum.errors import DataError
from quorum.features import predictions as columns
from quorum.learning.classifier import FittedClassifier
from quorum.learning.head_calibration import HeadMap, apply_head_maps
from quorum.learning.inputs import MarketInputs, spread
from quorum.learning.manifest import VintageManifest
from quorum.learning.model_settings import EnsembleSettings
from quorum.learning.parts import (
    MEMBER,
    REGIME,
    SIGNAL,
    SIGNAL_CLASSES,
    SIGNAL_MEMBER,
    STACK_FILE,
)
from quorum.learning.probabilities import SMALLEST
from quorum.learning.stack import Stack
from quorum.learning.store import ModelStore
from quorum.typing import Bools, Floats, Ints

#: Parts of a vintage that learn from consensus signals.
META, HEADS = "meta", "heads"
#: What a trade that wins and one that loses return, beside the meta-model.
RETURNS_FILE = f"{META}/returns.json"
#: Calibration of the heads' confidences, and their weights by outcome.
HEADS_FILE = f"{HEADS}/heads.json"


class VintageFiles(Mapping[str, bytes]):
    """The files of one stored vintage, read and checked when asked for."""

    def __init__(self, store: ModelStore, manifest: VintageManifest) -> None:
        self._store = store
        self._manifest = manifest

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._store.root / "vintages" / self._manifest.key

    def __getitem__(self, name: str) -> bytes:
        if name not in self._manifest.files:
            raise KeyError(name)
        return self._store.content(self._manifest, name)

    def __contains__(self, name: object) -> bool:
        return name in self._manifest.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._manifest.files)

    def __len__(self) -> int:
        return len(self._manifest.files)


@dataclass(frozen=True)
class Promise:
    """What the meta-model expects of signals; arrays of shape (n_signals,).

    Attributes
    ----------
    win_rate : ndarray, float64
        Calibrated probability that the trade ends with a profit after costs.
    expected_r : ndarray, float64
        Expected result after costs, in units of the stop's distance.
    even_odds : ndarray, float64
        The probability that would be as good a bet at even odds: expected profits over expected
        profits and losses together. A win rate of 0.35 at 2.5 R is worth 0.57 at 1 R.
    """

    win_rate: Floats
    expected_r: Floats
    even_odds: Floats


@dataclass(frozen=True)
class HeadStandings:
    """What a vintage knows of the heads themselves.

    Attributes
    ----------
    calibration : mapping of head name to HeadMap
        From confidence to hit rate.
    weights : mapping of head name to float
        Outcome-driven weights (spec C11).
    """

    calibration: Mapping[str, HeadMap]
    weights: Mapping[str, float]


class LoadedVintage:
    """The models of one date; each is read when it is first needed."""

    def __init__(self, manifest: VintageManifest, files: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self._files = files
        self._members: dict[str, FittedClassifier] = {}

    def has(self, part: str) -> bool:
        """Whether the vintage has a part."""
        return any(name.startswith(f"{part}/") for name in self._files)

    @cached_property
    def regime(self) -> FittedClassifier | None:
        """The regime classifier."""
        return self._read(REGIME) if self.has(REGIME) else None

    @cached_property
    def signal(self) -> FittedClassifier:
        """The signal generator."""
        return self._read(SIGNAL)

    @cached_property
    def ensemble(self) -> Stack:
        """What joins the members."""
        if STACK_FILE not in self._files:
            raise DataError(f"{self.manifest.key}: {STACK_FILE} is missing")
        noted = self.manifest.models.get("ensemble")
        members = noted.get("members") if isinstance(noted, dict) else None
        settings = EnsembleSettings.model_validate({"members": members})
        return Stack.from_bytes(
            self._files[STACK_FILE], members=settings.members, classes=SIGNAL_CLASSES
        )

    @cached_property
    def meta(self) -> FittedClassifier | None:
        """The model of consensus signals."""
        return self._read(META) if self.has(META) else None

    @cached_property
    def returns(self) -> tuple[float, float]:
        """Mean R after costs of trades that won and that lost, in training."""
        document = _document(self._files, RETURNS_FILE, ("win", "loss"))
        return float(document["win"]), float(document["loss"])

    @cached_property
    def heads(self) -> HeadStandings | None:
        """Calibration and weights of the heads."""
        if HEADS_FILE not in self._files:
            return None
        document = _document(self._files, HEADS_FILE, ("calibration", "weights"))
        maps = {str(head): HeadMap.from_json(m) for head, m in document["calibration"].items()}
        return HeadStandings(maps, {str(k): float(w) for k, w in document["weights"].items()})

    def said(
        self, classifier: FittedClassifier, inputs: MarketInputs, *, raw: bool = False
    ) -> Floats:
        """Return what a model says of some candles, NaN of those without a full window.

        Parameters
        ----------
        classifier : FittedClassifier
            One of the vintage's.
        inputs : MarketInputs
        raw : bool, default False
            Before calibration.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
        """
        X, rows = inputs.given(classifier.eats, classifier.features)
        return spread(classifier.raw_proba(X) if raw else classifier.predict_proba(X), rows)

    def predict(self, inputs: MarketInputs) -> dict[str, Floats]:
        """Return the prediction columns of some candles, shape (n_rows,) each.

        The ensemble is silent where a member is (spec M10).
        """
        signal = self.said(self.signal, inputs)
        members = {
            name: signal if name == SIGNAL_MEMBER else self.said(self.member(name), inputs)
            for name in self.ensemble.members
        }
        known: Bools = np.asarray(np.isfinite(list(members.values())).all(axis=(0, 2)))
        joined = self.ensemble.join({name: p[known] for name, p in members.items()})
        by_ensemble = {
            columns.ENSEMBLE_DOWN: joined.proba[:, 0],
            columns.ENSEMBLE_UP: joined.proba[:, 2],
            columns.RETURN_LONG: joined.expected_long,
            columns.RETURN_SHORT: joined.expected_short,
            columns.AGREEMENT: joined.agreement,
            columns.UNITED: joined.united,
        }
        for name, part in joined.contributions.items():
            by_ensemble[columns.CONTRIBUTION + name] = part
        out = {columns.SIGNAL_DOWN: signal[:, 0], columns.SIGNAL_UP: signal[:, 2]}
        out |= {name: spread(values, known) for name, values in by_ensemble.items()}
        if self.regime is not None:
            regimes = self.said(self.regime, inputs)
            out |= {columns.REGIME + name: regimes[:, i] for i, name in enumerate(REGIMES)}
        return out

    def member(self, name: str) -> FittedClassifier:
        """Return a member of the ensemble other than the signal generator."""
        if name not in self._members:
            self._members[name] = self._read(MEMBER + name)
        return self._members[name]

    def _read(self, part: str) -> FittedClassifier:
        """Return a classifier; what cannot be read is named with its place."""
        try:
            return FittedClassifier.from_files(part, self._files)
        except DataError as error:
            folder = self._files.folder if isinstance(self._files, VintageFiles) else part
            raise DataError(f"{folder}: {error}") from error

    def promise(self, X: NDArray[np.float32], names: tuple[str, ...]) -> Promise | None:
        """Return what the meta-model expects of signals, None where the vintage has none.

        Raises
        ------
        DataError
            If the signals are told by other columns than those the model learned from.
        """
        if self.meta is None:
            return None
        if self.meta.features != names:
            differ = sorted(set(self.meta.features) ^ set(names)) or ["their order"]
            raise DataError(
                f"vintage {self.manifest.key}: the meta-model learned from other columns, "
                f"{', '.join(differ[:5])} differ; train again"
            )
        win_rate = self.meta.predict_proba(X)[:, 1]
        win, loss = self.returns
        gain, pain = win_rate * win, (1.0 - win_rate) * -loss
        return Promise(win_rate, gain - pain, gain / np.maximum(gain + pain, SMALLEST))


def _document(files: Mapping[str, bytes], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        document = json.loads(files[name])
    except (KeyError, ValueError) as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
    missing = [key for key in keys if not isinstance(document, dict) or key not in document]
    if missing:
        raise DataError(f"{name}: lacks {', '.join(missing)}")
    return dict(document)


def weights_by_outcome(
    vintages: Sequence[LoadedVintage],
    place: Ints,
    heads: Sequence[str],
    fixed: Mapping[str, float] | Floats,
) -> Floats:
    """Return each candle's weights of the heads (spec C11), shape (n_candles, n_heads).

    Parameters
    ----------
    vintages : sequence of LoadedVintage
    place : ndarray of shape (n_candles,), int64
        Vintage that is live, -1 for none: the fixed weights hold there.
    heads : sequence of str
    fixed : mapping of head name to weight, or ndarray of shape (n_candles, n_heads)
    """
    if isinstance(fixed, Mapping):
        fixed = np.tile([fixed.get(head, 0.0) for head in heads], (len(place), 1))
    out = np.array(fixed, dtype=np.float64)
    for i in np.unique(place[place >= 0]):
        standings = vintages[i].heads
        if standings is not None:
            out[place == i] = [standings.weights.get(head, 0.0) for head in heads]
    return out


def calibrated_confidence(
    vintages: Sequence[LoadedVintage], place: Ints, heads: Sequence[str], stated: Floats
) -> Floats:
    """Return confidences as hit rates (spec C1), as stated where no vintage is live.

    Parameters
    ----------
    stated : ndarray of shape (n_candles, n_heads), float64
    """
    out = stated.copy()
    for i in np.unique(place[place >= 0]):
        standings, rows = vintages[i].heads, place == i
        if standings is not None:
            out[rows] = apply_head_maps(standings.calibration, heads, stated[rows])
    return out
