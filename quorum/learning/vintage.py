"""A loaded vintage: the models of one date, ready to predict (spec M4, M6, M7)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from quorum.context.regime import REGIMES
from quorum.errors import DataError
from quorum.features import predictions as columns
from quorum.learning.classifier import FittedClassifier
from quorum.learning.manifest import VintageManifest
from quorum.learning.market_models import (
    MEMBER,
    REGIME,
    SIGNAL,
    SIGNAL_CLASSES,
    SIGNAL_MEMBER,
    STACK_FILE,
)
from quorum.learning.stack import Stack
from quorum.learning.store import ModelStore
from quorum.typing import Floats

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

    def __getitem__(self, name: str) -> bytes:
        if name not in self._manifest.files:
            raise KeyError(name)
        return self._store.read(self._manifest.key, name)

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
    """

    win_rate: Floats
    expected_r: Floats


@dataclass(frozen=True)
class HeadStandings:
    """What a vintage knows of the heads themselves.

    Attributes
    ----------
    calibration : mapping of head name to JSON
        Map from confidence to hit rate (:mod:`quorum.learning.head_calibration`).
    weights : mapping of head name to float
        Outcome-driven weights (spec C11).
    """

    calibration: Mapping[str, object]
    weights: Mapping[str, float]


class LoadedVintage:
    """The models of one date; each is read when it is first needed."""

    def __init__(self, manifest: VintageManifest, files: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self._files = files

    def has(self, part: str) -> bool:
        """Whether the vintage has a part."""
        return any(name.startswith(f"{part}/") for name in self._files)

    @cached_property
    def regime(self) -> FittedClassifier | None:
        """The regime classifier."""
        return FittedClassifier.from_files(REGIME, self._files) if self.has(REGIME) else None

    @cached_property
    def signal(self) -> FittedClassifier:
        """The signal generator."""
        return FittedClassifier.from_files(SIGNAL, self._files)

    @cached_property
    def ensemble(self) -> Stack:
        """What joins the members."""
        if STACK_FILE not in self._files:
            raise DataError(f"{self.manifest.key}: {STACK_FILE} is missing")
        names = tuple(str(name) for name in self.manifest.models["ensemble"]["members"])
        return Stack.from_bytes(self._files[STACK_FILE], members=names, classes=SIGNAL_CLASSES)

    @cached_property
    def meta(self) -> FittedClassifier | None:
        """The model of consensus signals."""
        return FittedClassifier.from_files(META, self._files) if self.has(META) else None

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
        return HeadStandings(document["calibration"], document["weights"])

    def predict(self, X: NDArray[np.float32]) -> dict[str, Floats]:
        """Return the prediction columns of some rows, shape (n_rows,) each."""
        signal = self.signal.predict_proba(X)
        members = {
            name: signal if name == SIGNAL_MEMBER else self._member(name).predict_proba(X)
            for name in self.ensemble.members
        }
        joined = self.ensemble.join(members)
        out = {
            columns.SIGNAL_DOWN: signal[:, 0],
            columns.SIGNAL_UP: signal[:, 2],
            columns.ENSEMBLE_DOWN: joined.proba[:, 0],
            columns.ENSEMBLE_UP: joined.proba[:, 2],
            columns.RETURN_LONG: joined.expected_long,
            columns.RETURN_SHORT: joined.expected_short,
            columns.AGREEMENT: joined.agreement,
        }
        for name, part in joined.contributions.items():
            out[columns.CONTRIBUTION + name] = part
        if self.regime is not None:
            regimes = self.regime.predict_proba(X)
            out |= {columns.REGIME + name: regimes[:, i] for i, name in enumerate(REGIMES)}
        return out

    def _member(self, name: str) -> FittedClassifier:
        loaded: dict[str, FittedClassifier] = self.__dict__.setdefault("_members", {})
        if name not in loaded:
            loaded[name] = FittedClassifier.from_files(MEMBER + name, self._files)
        return loaded[name]

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
        return Promise(win_rate, win_rate * win + (1.0 - win_rate) * loss)


def _document(files: Mapping[str, bytes], name: str, keys: tuple[str, ...]) -> dict[str, object]:
    try:
        document = json.loads(files[name])
    except (KeyError, ValueError) as error:
        raise DataError(f"{name}: cannot be read: {error}") from error
    missing = [key for key in keys if not isinstance(document, dict) or key not in document]
    if missing:
        raise DataError(f"{name}: lacks {', '.join(missing)}")
    return dict(document)
