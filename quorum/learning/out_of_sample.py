"""Out of sample: what a chain's models said of rows they had not seen, and what came (spec M9).

Every row was predicted by the vintage that was live, which had learned from labels that ended an
embargo before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.context.regime import REGIMES
from quorum.features import predictions as columns
from quorum.learning.baselines import training_rates
from quorum.learning.consensus_models import WIN_CLASSES, SignalRows
from quorum.learning.dataset import PairRows, horizons
from quorum.learning.explanation import Probe
from quorum.learning.manifest import VintageManifest
from quorum.learning.parts import (
    ENSEMBLE,
    REGIME,
    REGIME_CLASSES,
    SIGNAL,
    SIGNAL_CLASSES,
)
from quorum.learning.prediction import live_vintage
from quorum.learning.replayed import PairReplay
from quorum.learning.settings import LearningSettings
from quorum.learning.training import Trained
from quorum.learning.vintage import META, LoadedVintage
from quorum.typing import Bools, Floats, Ints

#: Prediction columns of each model, in the order of its classes; None is what is left of 1.
COLUMNS: dict[str, tuple[str | None, ...]] = {
    SIGNAL: (columns.SIGNAL_DOWN, None, columns.SIGNAL_UP),
    ENSEMBLE: (columns.ENSEMBLE_DOWN, None, columns.ENSEMBLE_UP),
    REGIME: tuple(columns.REGIME + name for name in REGIMES),
}
CLASSES = {SIGNAL: SIGNAL_CLASSES, ENSEMBLE: SIGNAL_CLASSES, REGIME: REGIME_CLASSES}
#: Columns whose probability a model acts on.
ACTS = {SIGNAL: (0, 2), ENSEMBLE: (0, 2), REGIME: tuple(range(8)), META: (1,)}


@dataclass(frozen=True)
class Openings:
    """Where trades could begin; arrays of shape (n,), every pair's rows by time.

    Attributes
    ----------
    time, until : ndarray, int64
        When a row is known, and when a trade begun there has certainly ended.
    pair : ndarray, int16
    r_long, r_short : ndarray, float64
        Result after costs [R].
    acts, leans : ndarray, int8
        Side of the model's signals, and the side it holds likelier whether it acts or not.
    majority, momentum : ndarray, int8
        Side of the baselines.
    """

    time: Ints
    until: Ints
    pair: NDArray[np.int16]
    r_long: Floats
    r_short: Floats
    acts: NDArray[np.int8]
    leans: NDArray[np.int8]
    majority: NDArray[np.int8]
    momentum: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Forecast:
    """One model's forecasts with what came; arrays of shape (n, ...), every pair's rows by time.

    Attributes
    ----------
    name : str
    classes, acts : tuple of int
        Classes, and the columns of those that it acts on.
    time : ndarray, int64
        When each row is known, ms.
    pair : ndarray, int16
    code : ndarray, int64
        Column of what came true.
    p, raw : ndarray of shape (n, n_classes), float64
        Calibrated probabilities, and those before.
    majority, momentum : ndarray of shape (n, n_classes), float64
        The baselines' probabilities.
    span_days : float
        How long an outcome takes on average [days].
    covered : float
        Share of the rows since the first vintage that were predicted.
    openings : Openings or None
        None for a model that gives no direction.
    """

    name: str
    classes: tuple[int, ...]
    acts: tuple[int, ...]
    time: Ints
    pair: NDArray[np.int16]
    code: Ints
    p: Floats
    raw: Floats
    majority: Floats
    momentum: Floats
    span_days: float
    covered: float
    openings: Openings | None

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class _Trainings:
    """From when to when each vintage's rows of one kind of model are."""

    first: Ints
    last: Ints

    @classmethod
    def of(cls, vintages: Sequence[VintageManifest], part: str, meta_days: int) -> _Trainings:
        """Return those of a part; vintages without it have none."""
        first, last = [], []
        for vintage in vintages:
            if part in (SIGNAL, ENSEMBLE):
                first.append(vintage.train_start)
                last.append(vintage.cut_off)
                continue
            cut_off = (vintage.metrics.get(part) or {}).get("cut_off")  # type: ignore[union-attr]
            last.append(int(cut_off) if cut_off is not None else -1)  # type: ignore[arg-type]
            days = meta_days if part == META else 0
            first.append(vintage.valid_from - days * DAY_MS if days else 0)
        return cls(np.array(first, np.int64), np.array(last, np.int64))


def forecasts(
    trained: Trained,
    loaded: Sequence[LoadedVintage],
    settings: LearningSettings,
    step: int,
    threshold: float,
) -> tuple[Forecast, ...]:
    """Return the forecasts of every model that made any.

    Parameters
    ----------
    trained : Trained
    loaded : sequence of LoadedVintage
        Its vintages.
    settings : LearningSettings
    step : int
        Length of a base candle, ms.
    threshold : float
        Probability from which the signal models count as acting where their head is off.
    """
    found = [
        _market_forecast(name, trained, settings, step, threshold)
        for name in (REGIME, SIGNAL, ENSEMBLE)
    ]
    found.append(_meta_forecast(trained, loaded, settings))
    return tuple(f for f in found if f is not None and len(f))


def _live(trained: Trained, time: Ints, settings: LearningSettings) -> Ints:
    starts = np.array([v.valid_from for v in trained.vintages], dtype=np.int64)
    return live_vintage(starts, time, settings.max_age_days * DAY_MS)


def _probabilities(name: str, replay: PairReplay, n: int) -> Floats:
    """Return the calibrated probabilities of every row, NaN where there are none."""
    named = COLUMNS[name]
    p = np.full((n, len(named)), np.nan)
    for k, column in enumerate(named):
        if column is not None and column in replay.predictions:
            p[:, k] = replay.predictions[column]
    for k, column in enumerate(named):
        if column is None:
            p[:, k] = 1.0 - np.delete(p, k, axis=1).sum(axis=1)
    return np.asarray(np.clip(p, 0.0, 1.0))


def _code(name: str, rows: PairRows) -> Ints:
    """Return the column of what came true, -1 where it is not known."""
    if name == REGIME:
        return rows.regime.astype(np.int64)
    return np.asarray(np.where(rows.label_known, rows.label.astype(np.int64) + 1, -1))


def _market_forecast(
    name: str, trained: Trained, settings: LearningSettings, step: int, threshold: float
) -> Forecast | None:
    pairs = list(zip(trained.rows, trained.replays, strict=True))
    n = [len(rows.known_at) for rows, _ in pairs]
    time = np.concatenate([rows.known_at for rows, _ in pairs])
    pair = np.repeat(np.arange(len(pairs)), n).astype(np.int16)
    code = np.concatenate([_code(name, rows) for rows, _ in pairs])
    momentum = np.concatenate([r.probe.momentum for _, r in pairs]).astype(np.int64) + 1
    p = np.concatenate([_probabilities(name, r, k) for (_, r), k in zip(pairs, n, strict=True)])
    place = _live(trained, time, settings)
    said = np.isfinite(p).all(axis=1) & (place >= 0)
    if not said.any():
        return None
    known, size = code >= 0, p.shape[1]
    trainings = _Trainings.of(trained.vintages, name, 0)
    spans = trainings.first, trainings.last
    told = time[known], code[known], size
    usual = training_rates(*told, np.zeros_like(code[known]), 1, *spans)
    after = training_rates(*told, momentum[known], 3, *spans)
    offset = np.concatenate([[0], np.cumsum(n)[:-1]])
    sampled, raw = _raw(name, [r.probe for _, r in pairs], offset, size)
    keep = (said & known)[sampled]
    at, raw = sampled[keep], raw[keep]
    horizon, reach = horizons(settings, step)
    openings = None
    if name != REGIME:
        acts = _votes(name, [r for _, r in pairs], p, threshold)
        sides = (usual[place, 0], after[place, momentum])
        openings = _openings(pairs, time, pair, said & known, horizon, p, acts, sides)
    return Forecast(
        name,
        CLASSES[name],
        ACTS[name],
        time[at],
        pair[at],
        code[at],
        p[at],
        raw,
        usual[place[at], 0],
        after[place[at], momentum[at]],
        (reach if name == REGIME else horizon) / DAY_MS,
        float(np.mean(said[time >= trained.vintages[0].valid_from])),
        openings,
    )


def _raw(name: str, probes: Sequence[Probe], offset: Ints, size: int) -> tuple[Ints, Floats]:
    """Return the probed rows of all pairs and their raw probabilities."""
    rows = np.concatenate([p.sampled + first for p, first in zip(probes, offset, strict=True)])
    raw = [p.raw.get(name, np.full((len(p.sampled), size), np.nan)) for p in probes]
    return rows, np.concatenate(raw).astype(np.float64)


def _votes(
    name: str, replays: Sequence[PairReplay], p: Floats, threshold: float
) -> NDArray[np.int8]:
    """Return the votes of the model's head; without one, the sides from the threshold."""
    if all(name in replay.heads for replay in replays):
        return np.concatenate([r.direction[:, r.heads.index(name)] for r in replays])
    return np.where(_best(p) >= threshold, _lean(p), 0).astype(np.int8)


def _best(p: Floats) -> Floats:
    return np.asarray(np.fmax(p[:, 0], p[:, 2]))


def _lean(p: Floats) -> NDArray[np.int8]:
    return np.nan_to_num(np.sign(p[:, 2] - p[:, 0])).astype(np.int8)


def _openings(
    pairs: Sequence[tuple[PairRows, PairReplay]],
    time: Ints,
    pair: NDArray[np.int16],
    usable: Bools,
    horizon: int,
    p: Floats,
    acts: NDArray[np.int8],
    sides: tuple[Floats, Floats],
) -> Openings:
    """Return where trades of the barrier labels could begin; one lasts the whole horizon."""
    r_long = np.concatenate([rows.r_long for rows, _ in pairs]).astype(np.float64)
    r_short = np.concatenate([rows.r_short for rows, _ in pairs]).astype(np.float64)
    at = np.flatnonzero(usable & np.isfinite(r_long) & np.isfinite(r_short))
    return Openings(
        time[at],
        time[at] + horizon,
        pair[at],
        r_long[at],
        r_short[at],
        acts[at],
        _lean(p[at]),
        _lean(sides[0][at]),
        _lean(sides[1][at]),
    )


def _meta_forecast(
    trained: Trained, loaded: Sequence[LoadedVintage], settings: LearningSettings
) -> Forecast | None:
    """Return the forecasts of consensus signals; a trade of each is known."""
    signals = trained.signals
    n = len(signals)
    if not settings.meta.enabled or n == 0:
        return None
    place = _live(trained, signals.time, settings)
    p, raw, expected = _promises(signals, loaded, place)
    known = np.isfinite(signals.r)
    said: Bools = np.asarray(np.isfinite(p).all(axis=1))
    at = np.flatnonzero(known & said)
    if len(at) == 0:
        return None
    code = (signals.r > 0).astype(np.int64)
    agrees = (_signal_momentum(trained) == signals.direction).astype(np.int64)
    trainings = _Trainings.of(trained.vintages, META, settings.meta.window_days)
    spans = trainings.first, trainings.last
    time = signals.time
    usual = training_rates(time[known], code[known], 2, np.zeros_like(code[known]), 1, *spans)
    after = training_rates(time[known], code[known], 2, agrees[known], 2, *spans)
    direction, r = signals.direction[at], signals.r[at]
    openings = Openings(
        time[at],
        signals.known_at[at],
        signals.pair[at],
        r,
        r,
        np.where(expected[at] > 0, direction, 0).astype(np.int8),
        direction,
        direction,
        np.where(agrees[at] == 1, direction, 0).astype(np.int8),
    )
    return Forecast(
        META,
        WIN_CLASSES,
        ACTS[META],
        time[at],
        signals.pair[at],
        code[at],
        p[at],
        raw[at],
        usual[place[at], 0],
        after[place[at], agrees[at]],
        float(np.mean(signals.known_at[at] - time[at])) / DAY_MS,
        float(np.mean(said[time >= trained.vintages[0].valid_from])),
        openings,
    )


def _promises(
    signals: SignalRows, loaded: Sequence[LoadedVintage], place: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return calibrated and raw probabilities and expected R of signals, NaN without a model."""
    n = len(signals)
    p, raw, expected = np.full((n, 2), np.nan), np.full((n, 2), np.nan), np.full(n, np.nan)
    for i in np.unique(place[place >= 0]):
        vintage = loaded[i]
        own = np.flatnonzero(place == i)
        promise = vintage.promise(signals.X[own], signals.names)
        if promise is None or vintage.meta is None:
            continue
        p[own] = np.column_stack([1.0 - promise.win_rate, promise.win_rate])
        raw[own] = vintage.meta.raw_proba(signals.X[own])
        expected[own] = promise.expected_r
    return p, raw, expected


def _signal_momentum(trained: Trained) -> NDArray[np.int8]:
    """Return the momentum at every consensus signal."""
    signals = trained.signals
    out = np.zeros(len(signals), np.int8)
    for k, (rows, replay) in enumerate(zip(trained.rows, trained.replays, strict=True)):
        own = np.flatnonzero(signals.pair == k)
        at = np.minimum(np.searchsorted(rows.known_at, signals.time[own]), len(rows.known_at) - 1)
        there = np.equal(rows.known_at[at], signals.time[own])
        out[own] = np.where(there, replay.probe.momentum[at], 0)
    return out
