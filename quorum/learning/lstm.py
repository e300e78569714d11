"""The sequence member: an LSTM over the last candles of a pair (spec M11).

Trained with PyTorch in a process of its own, served by :mod:`quorum.learning.lstm_kernel`. Its
file is a line of JSON and plain numbers behind it, sealed; reading it runs no code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError

from quorum.errors import DataError
from quorum.learning.inputs import Rows, WindowedRows, Windows
from quorum.learning.lstm_kernel import Singles, project, run_windows, scale_rows
from quorum.learning.lstm_process import require_torch, training_process
from quorum.learning.member import Member, check_shape
from quorum.learning.model_settings import FittingSettings, MetaFittingSettings
from quorum.learning.probabilities import centred, codes_of, normalised, softmax
from quorum.learning.sealing import seal, unseal
from quorum.section import Section
from quorum.typing import Floats, Ints

#: Version of the file; raised when an older Quorum could not read it.
FORMAT = 1
#: Candles of a window, inputs at most, and windows a fit learns from at most.
LENGTH, INPUTS, WINDOWS = 32, 24, 12_000
#: Inputs are clipped to so many robust sigmas of the training rows.
CLIP = 5.0
#: Median absolute deviations of a sigma.
MAD_TO_SIGMA = 1.4826
TRAINING = {"dropout": 0.2, "rate": 5e-3, "decay": 1e-3, "batch": 256}


class Header(Section):
    """The first line of a saved LSTM."""

    format: int = Field(description="version of the file")
    length: int = Field(ge=1, description="candles of a window")
    inputs: int = Field(ge=1, description="features")
    classes: int = Field(ge=2, description="classes")
    units: int = Field(ge=1, le=1024, description="units of the layer")
    seeds: int = Field(ge=1, le=100, description="networks that are averaged")
    rounds: int = Field(ge=1, description="epochs of training")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array, in the order of the file."""
        gates = 4 * self.units
        return {
            "centre": (self.inputs,),
            "scale": (self.inputs,),
            "w_in": (self.seeds, self.inputs, gates),
            "w_state": (self.seeds, self.units, gates),
            "bias": (self.seeds, gates),
            "w_out": (self.seeds, self.units, self.classes),
            "b_out": (self.seeds, self.classes),
        }


@dataclass(frozen=True)
class Prepared:
    """Windows, and the folder where the training process reads them."""

    windows: WindowedRows
    folder: Path


class Lstm(Member):
    """One layer of LSTM, its probabilities averaged over several seeds.

    Parameters
    ----------
    classes : sequence of int, default (-1, 0, 1)
        Ascending; a column of ``predict_proba`` each.
    epochs : int, default 8
        Most epochs; early stopping ends before.
    patience : int, default 2
        Epochs without gain out of fold before stopping.
    units : int, default 24
        Of its one layer.
    seeds : int, default 3
        Networks that are averaged.
    seed : int, default 1
        Of the first.

    Attributes
    ----------
    size : mapping
        What a training within a fold gives of these, if not the defaults.
    """

    name: ClassVar[str] = "lstm"
    suffix: ClassVar[str] = "lstm"
    eats: ClassVar[Rows | Windows] = Windows(LENGTH)
    most_inputs: ClassVar[int | None] = INPUTS
    most_rows: ClassVar[int | None] = WINDOWS
    must_add: ClassVar[bool] = True
    balanced: ClassVar[bool] = True
    size: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        classes: Sequence[int] = (-1, 0, 1),
        *,
        epochs: int = 8,
        patience: int = 2,
        units: int = 24,
        seeds: int = 3,
        seed: int = 1,
    ) -> None:
        self.classes = classes
        self.epochs = epochs
        self.patience = patience
        self.units = units
        self.seeds = seeds
        self.seed = seed

    @classmethod
    def require(cls) -> None:
        """Raise MissingLibraryError where PyTorch is not installed."""
        require_torch()

    @classmethod
    def candidates(
        cls, classes: Sequence[int], settings: FittingSettings | MetaFittingSettings, threads: int
    ) -> list[Self]:
        """Return the one candidate; its training has one thread."""
        return [cls(classes, **cls.size)]

    def choice(self) -> dict[str, Any]:
        """Return the size of the network."""
        return {"units": self.units}

    def shortened(self, rounds: int) -> Self:
        """Return an unfitted copy that trains exactly so many epochs."""
        return type(self)(**{**self.get_params(deep=False), "epochs": rounds})

    def prepare(self, X: ArrayLike) -> Prepared:
        """Hand the candles of the windows over to the training process."""
        given = as_windows(X, None)
        first, last = int(given.places.min()), int(given.places.max()) + 1
        windows = WindowedRows(given.source[first:last], given.places - first)
        arrays: dict[str, NDArray[Any]] = {"source": windows.source, "places": windows.places}
        return Prepared(windows, training_process().store("data", arrays))

    def fit_rows(
        self, data: Prepared, y: Ints, weight: Floats, train: Ints, test: Ints | None = None
    ) -> Self:
        """Fit on some windows; see :meth:`Member.fit_rows`."""
        codes = codes_of(y, self.classes, self.name)
        if len(train) == 0 or np.ptp(codes[train]) == 0:
            raise DataError(f"{self.name}: {len(train)} training rows with fewer than two classes")
        last = data.windows.source[data.windows.places[train, -1]]
        centre, scale = robust_scale(last)
        arrays: dict[str, NDArray[Any]] = {
            "codes": codes,
            "weight": np.asarray(weight, np.float32),
            "train": np.asarray(train, np.int64),
            "centre": centre,
            "scale": scale,
        }
        if test is not None:
            arrays["test"] = np.asarray(test, np.int64)
        process = training_process()
        folder = process.store("fit", arrays)
        answer = process.fit(
            data.folder,
            folder,
            {
                **TRAINING,
                "epochs": self.epochs,
                "patience": self.patience,
                "units": self.units,
                "classes": len(self.classes),
                "seeds": self.seeds,
                "seed": self.seed,
            },
        )
        shutil.rmtree(folder)
        rounds = max(1, round(float(np.mean(answer["epochs"]))))
        self._adopt({"centre": centre, "scale": scale, **answer["weights"]}, rounds)
        if test is None:
            shutil.rmtree(data.folder)  # the last fit of these windows: the one on all of them
        return self

    def _adopt(self, arrays: dict[str, Singles], rounds: int) -> Self:
        self.arrays_ = {name: np.ascontiguousarray(a, np.float32) for name, a in arrays.items()}
        self.rounds_ = rounds
        self.n_features_in_ = len(self.arrays_["centre"])
        self.classes_ = np.asarray(self.classes, np.int64)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return probabilities of shape (n, n_classes)."""
        windows = as_windows(X, self.n_features_in_)
        a = self.arrays_
        scaled = scale_rows(windows.source, a["centre"], a["scale"], CLIP)
        return self._said(scaled, windows.places)

    def _said(self, scaled: Singles, places: Ints) -> Floats:
        """Return the mean probabilities of the networks for scaled candles."""
        a = self.arrays_
        total = np.zeros((len(places), len(self.classes)))
        for s in range(len(a["bias"])):
            gates = project(scaled, a["w_in"][s], a["bias"][s])
            scores = run_windows(gates, places, a["w_state"][s], a["w_out"][s], a["b_out"][s])
            total += softmax(scores.astype(np.float64))
        return normalised(total / len(a["bias"]))

    def importance(self) -> Floats:
        """Return zeros: what an input carries is told by :meth:`contributions`."""
        return np.zeros(self.n_features_in_)

    def contributions(self, X: ArrayLike) -> Floats:
        """Return by how much each input moves the log-odds, by leaving it out (occlusion).

        Left out, an input is at its training median in every candle of the window. See
        :meth:`Member.contributions`.
        """
        windows = as_windows(X, self.n_features_in_)
        a = self.arrays_
        scaled = scale_rows(windows.source, a["centre"], a["scale"], CLIP)
        whole = centred(self._said(scaled, windows.places))
        moved = np.zeros(self.n_features_in_)
        for k in range(self.n_features_in_):
            without = scaled.copy()
            without[:, k] = 0.0
            moved[k] = np.abs(whole - centred(self._said(without, windows.places))).mean(1).sum()
        return moved

    def to_bytes(self) -> bytes:
        """Return a line that describes the numbers, and the numbers, sealed."""
        a = self.arrays_
        header = Header(
            format=FORMAT,
            length=LENGTH,
            inputs=self.n_features_in_,
            classes=len(self.classes),
            units=a["w_state"].shape[1],
            seeds=len(a["bias"]),
            rounds=self.rounds_,
        )
        numbers = b"".join(a[name].astype("<f4").tobytes() for name in header.shapes())
        return seal(json.dumps(header.model_dump()).encode() + b"\n" + numbers)

    @classmethod
    def from_bytes(cls, data: bytes, *, classes: Sequence[int], n_features: int) -> Self:
        """Return the fitted member; see :meth:`Member.from_bytes`."""
        line, _, numbers = unseal(data, cls.name).partition(b"\n")
        header = _header(line)
        if header.length != LENGTH:
            raise DataError(f"{cls.name}: windows of {header.length} candles, want {LENGTH}")
        check_shape(cls.name, (header.inputs, header.classes), (n_features, len(classes)))
        sizes = {name: int(np.prod(shape)) for name, shape in header.shapes().items()}
        wanted = 4 * sum(sizes.values())
        if len(numbers) != wanted:
            raise DataError(f"{cls.name}: {len(numbers)} bytes of numbers, want {wanted}")
        values = np.frombuffer(numbers, "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise DataError(f"{cls.name}: some numbers are not finite")
        parts = np.split(values, np.cumsum(list(sizes.values()))[:-1])
        shaped = zip(header.shapes().items(), parts, strict=True)
        arrays = {name: part.reshape(shape) for (name, shape), part in shaped}
        member = cls(classes, epochs=header.rounds, units=header.units, seeds=header.seeds)
        return member._adopt(arrays, header.rounds)


def _header(line: bytes) -> Header:
    """Return the checked header of a file."""
    try:
        content = json.loads(line)
    except ValueError as error:
        raise DataError(f"lstm: the file begins with {line[:20]!r}, not with JSON") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise DataError(f"lstm: format {found}, this Quorum reads {FORMAT}; train again")
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"lstm: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def as_windows(X: Any, n_features: int | None) -> WindowedRows:
    """Return windows over rows, whatever they are given as.

    Raises
    ------
    DataError
        If they are of another length or of other features.
    """
    if not isinstance(X, WindowedRows):
        values = np.asarray(X, np.float32)
        if values.ndim != 3:
            raise DataError(f"lstm: shape {values.shape}, want (rows, {LENGTH}, features)")
        n, length, width = values.shape
        X = WindowedRows(values.reshape(-1, width), np.arange(n * length).reshape(n, length))
    windows: WindowedRows = X
    _, length, width = windows.shape
    if length != LENGTH:
        raise DataError(f"lstm: windows of {length} candles, want {LENGTH}")
    if n_features is not None and width != n_features:
        raise DataError(f"lstm: {width} features, the model has {n_features}")
    return windows


def robust_scale(values: Singles) -> tuple[Singles, Singles]:
    """Return median and robust sigma of each column, shape (n_features,); 0 and 1 where unknown.

    Half of a column that is mostly one value deviates by nothing: its standard deviation counts.
    """
    centre, scale = np.zeros(values.shape[1], np.float32), np.ones(values.shape[1], np.float32)
    for k in range(values.shape[1]):
        known = values[:, k][np.isfinite(values[:, k])].astype(np.float64)
        if not len(known):
            continue
        centre[k] = np.median(known)
        sigma = MAD_TO_SIGMA * np.median(np.abs(known - np.median(known)))
        scale[k] = sigma or np.std(known) or 1.0
    return centre, scale
