"""Evaluation: is there skill, and does it pay - next to what no model at all reaches (spec M9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import rankdata

from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.evidence.bootstrap import Interval
from quorum.evidence.forecasts import calibration_error, reliability
from quorum.learning.baselines import alone, shifts
from quorum.learning.evidence_document import (
    TOTAL,
    Baseline,
    Bin,
    Evidence,
    Figures,
    Importance,
    ModelEvidence,
    Range,
    Trades,
    Turn,
    known,
)
from quorum.learning.findings import conclusions, findings, joined
from quorum.learning.importance import model_importance
from quorum.learning.out_of_sample import Forecast, Openings, forecasts
from quorum.learning.parts import SIGNAL_CLASSES
from quorum.learning.scoring import Draws, draw_days, rank_auc, row_brier, row_log_loss
from quorum.learning.settings import LearningSettings
from quorum.learning.store import ModelStore
from quorum.learning.training import Trained
from quorum.learning.vintage import LoadedVintage, VintageFiles
from quorum.section import Section
from quorum.typing import Floats, Ints


class EvidenceSettings(Section):
    """How the models are judged; nothing here changes a model."""

    threshold: float = Field(
        0.65, ge=0.5, le=1, description="probability of precision and coverage (M4)"
    )
    level: float = Field(0.95, ge=0.5, lt=1, description="confidence of the intervals")
    runs: int = Field(500, ge=50, le=100_000, description="resampled periods [periods]")
    shifts: int = Field(40, ge=2, le=10_000, description="shifted labels [shifts]")
    spans: float = Field(
        2.0, ge=1, le=100, description="shortest mean block of days drawn [label spans]"
    )
    top: int = Field(20, ge=1, le=1000, description="features told [features]")
    seed: int = Field(7, ge=0, lt=2**32, description="seed of the draws")


def evaluate_chain(
    trained: Trained,
    store: ModelStore,
    learning: LearningSettings,
    step: int,
    settings: EvidenceSettings | None = None,
) -> Evidence:
    """Judge every model of a chain on the rows it had not seen.

    Parameters
    ----------
    trained : Trained
    store : ModelStore
        Where its vintages are.
    learning : LearningSettings
        Those it was trained with.
    step : int
        Length of a base candle, ms.
    settings : EvidenceSettings, default the defaults

    Raises
    ------
    DataError
        If nothing was published, or no row came after the first vintage.
    """
    s = settings or EvidenceSettings()
    if trained.chain is None:
        raise DataError("no chain was published: there is nothing to judge")
    loaded = [LoadedVintage(v, VintageFiles(store, v)) for v in trained.vintages]
    found = forecasts(trained, loaded, learning, step, s.threshold)
    if not found:
        raise DataError(f"chain {trained.chain.id}: no row came after its first vintage")
    longest = 0.0
    models = {}
    for forecast in found:
        periods, block = _periods(forecast, s)
        longest = max(longest, block)
        importance = model_importance(forecast.name, trained, loaded, store, s.top)
        turns = _turns(forecast, [v.valid_from for v in trained.vintages], s)
        models[forecast.name] = _told_of(forecast, periods, turns, importance, s)
    return Evidence(
        chain=trained.chain.id,
        timeframe=trained.chain.timeframe,
        pairs=tuple(rows.pair for rows in trained.rows),
        first=min(int(f.time.min()) for f in found),
        last=max(int(f.time.max()) for f in found),
        threshold=s.threshold,
        level=s.level,
        block_days=longest,
        models=models,
        conclusions=(*conclusions(models, s.level), *joined(trained.vintages)),
    )


def _told_of(
    forecast: Forecast,
    periods: dict[str, Figures],
    turns: tuple[Turn, ...],
    importance: Importance,
    s: EvidenceSettings,
) -> ModelEvidence:
    return ModelEvidence(
        name=forecast.name,
        classes=forecast.classes,
        covered=forecast.covered,
        periods=periods,
        turns=turns,
        reliability=_reliability(forecast, forecast.p),
        reliability_before=_reliability(forecast, forecast.raw),
        importance=importance,
        findings=findings(forecast.name, periods, s.threshold),
    )


def _year(time: Ints) -> Ints:
    return np.asarray(time.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970)


def _periods(forecast: Forecast, s: EvidenceSettings) -> tuple[dict[str, Figures], float]:
    """Return the figures by year and in total, and the mean block of the total's draws [days]."""
    found = {}
    year = _year(forecast.time)
    for one in np.unique(year):
        found[str(one)] = figures(_part(forecast, int(one)), s)[0]
    total, block = figures(forecast, s)
    return {**found, TOTAL: total}, block


def _turns(f: Forecast, starts: Sequence[int], s: EvidenceSettings) -> tuple[Turn, ...]:
    """Return the skill while each vintage was the newest; those without rows are left out."""
    found = []
    newest = np.searchsorted(np.asarray(starts), f.time, side="right") - 1
    for i in np.unique(newest[newest >= 0]):
        rows = np.flatnonzero(newest == i)
        time, p, code = f.time[rows], f.p[rows], f.code[rows]
        gain = row_log_loss(f.majority[rows], code) - row_log_loss(p, code)
        draws, _ = draw_days(time, (gain,), s.spans * f.span_days, s.runs, s.level, s.seed)
        happened = [code == k for k in range(len(f.classes))]
        found.append(
            Turn(
                valid_from=starts[i],
                rows=len(rows),
                auc=Range.of(draws.auc(time, p, happened)),
                gain_on_majority=Range.of(draws.mean(time, gain)),
            )
        )
    return tuple(found)


def _part(forecast: Forecast, year: int) -> Forecast:
    rows = _year(forecast.time) == year
    openings = forecast.openings
    if openings is not None:
        openings = _taken(openings, np.flatnonzero(_year(openings.time) == year))
    fields = ("time", "pair", "code", "p", "raw", "majority", "momentum")
    kept: dict[str, Any] = {name: getattr(forecast, name)[rows] for name in fields}
    return replace(forecast, **kept, openings=openings)


def _taken(openings: Openings, rows: Ints) -> Openings:
    return Openings(*(getattr(openings, name)[rows] for name in Openings.__dataclass_fields__))


def figures(forecast: Forecast, s: EvidenceSettings) -> tuple[Figures, float]:
    """Return the figures of a forecast's rows, and the mean block of the draws [days]."""
    f = forecast
    loss = row_log_loss(f.p, f.code)
    over_majority = row_log_loss(f.majority, f.code) - loss
    over_momentum = row_log_loss(f.momentum, f.code) - loss
    opened = f.openings.time if f.openings is not None else f.time[:0]
    draws, block = draw_days(
        f.time,
        (loss, over_majority),
        s.spans * f.span_days,
        s.runs,
        s.level,
        s.seed,
        within=np.concatenate([f.time, opened]),
    )
    columns = list(f.acts)
    sure, right = _sure(f, columns, s.threshold)
    happened = [f.code == k for k in range(len(f.classes))]
    own = None if f.openings is None else _trades(f.openings, f.openings.acts)
    out = Figures(
        rows=len(f),
        days=len(np.unique(f.time // DAY_MS)),
        log_loss=Range.of(draws.mean(f.time, loss)),
        brier=Range.of(draws.mean(f.time, row_brier(f.p, f.code))),
        auc=Range.of(draws.auc(f.time, f.p, happened)),
        direction_auc=_direction(f, draws),
        gain_on_majority=Range.of(draws.mean(f.time, over_majority)),
        gain_on_momentum=Range.of(draws.mean(f.time, over_momentum)),
        ece_before=_ece(f.raw, f.code),
        ece_after=_ece(f.p, f.code),
        coverage=float(np.mean(sure)),
        precision=Range.of(draws.mean(f.time[sure], right[sure].astype(np.float64))),
        trades=_told(f.openings, own, draws),
        leaning=_always(f.openings, "leans", draws),
        baselines={
            "majority": _baseline(f, f.majority, _always(f.openings, "majority", draws)),
            "momentum": _baseline(f, f.momentum, _always(f.openings, "momentum", draws)),
            "shuffled": _shuffled(f, own, s),
        },
    )
    return out, block


def _sure(
    f: Forecast, columns: Sequence[int], threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a class the model acts on reaches the threshold, and whether it came."""
    p = f.p[:, columns]
    best = np.asarray(columns)[np.argmax(p, axis=1)]
    return p.max(axis=1) >= threshold, best == f.code


def _direction(f: Forecast, draws: Draws) -> Range | None:
    if f.classes != SIGNAL_CLASSES:
        return None
    rows = f.code != 1
    score = (f.p[rows, 2] - f.p[rows, 0])[:, None]
    return Range.of(draws.auc(f.time[rows], score, [f.code[rows] == 2]))


def _ece(p: Floats, code: Ints) -> float | None:
    """Return the mean calibration error of the classes that came, one against the rest."""
    rows = np.isfinite(p).all(axis=1)
    if not rows.any():
        return None
    there = np.unique(code[rows])
    return float(np.mean([calibration_error(p[rows, k], code[rows] == k) for k in there]))


def _reliability(f: Forecast, p: Floats) -> tuple[Bin, ...]:
    columns = list(f.acts)
    there = np.isfinite(p).all(axis=1)
    promised = p[there][:, columns].ravel()
    happened = (f.code[there, None] == np.asarray(columns)[None, :]).ravel()
    found = reliability(promised, happened)
    fields = ("promised", "realised", "low", "high", "count")
    rows = zip(*(getattr(found, name).tolist() for name in fields), strict=True)
    return tuple(Bin(**dict(zip(fields, row, strict=True))) for row in rows)


# Trades -------------------------------------------------------------------------------------


def _trades(openings: Openings, side: NDArray[np.int8]) -> Ints:
    """Return the rows at which trades begin; those of one pair do not overlap."""
    found = [np.empty(0, np.int64)]
    for k in np.unique(openings.pair):
        own = np.flatnonzero(openings.pair == k)
        found.append(own[alone(openings.time[own], openings.until[own], side[own] != 0)])
    return np.concatenate(found)


def _results(
    openings: Openings, side: NDArray[np.int8], rows: Ints, at: Ints | None = None
) -> Floats:
    """Return what the trades returned [R]; with the outcomes of the rows ``at``, if given."""
    at = rows if at is None else at
    return np.where(side[rows] > 0, openings.r_long[at], openings.r_short[at])


def _told(
    openings: Openings | None, rows: Ints | None, draws: Draws, side: str = "acts"
) -> Trades | None:
    if openings is None or rows is None:
        return None
    r = _results(openings, getattr(openings, side), rows)
    return Trades(
        count=len(r),
        mean_r=Range.of(draws.mean(openings.time[rows], r)),
        total_r=float(r.sum()),
        win_rate=float(np.mean(r > 0)) if len(r) else None,
    )


def _always(openings: Openings | None, side: str, draws: Draws) -> Trades | None:
    rows = None if openings is None else _trades(openings, getattr(openings, side))
    return _told(openings, rows, draws, side)


# Baselines ----------------------------------------------------------------------------------


def _mean_auc(p_rank: Floats, code: Ints) -> float:
    found = [rank_auc(p_rank[:, k], code == k) for k in range(p_rank.shape[1])]
    defined = [value for value in found if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _baseline(f: Forecast, p: Floats, trades: Trades | None) -> Baseline:
    return Baseline(
        log_loss=float(np.mean(row_log_loss(p, f.code))),
        brier=float(np.mean(row_brier(p, f.code))),
        auc=Range(estimate=known(_mean_auc(rankdata(p, axis=0), f.code))),
        trades=trades,
    )


def _shuffled(f: Forecast, own: Ints | None, s: EvidenceSettings) -> Baseline:
    """Return what the model reaches against labels of another time: chance."""
    rng = np.random.default_rng(s.seed)
    rank = rankdata(f.p, axis=0)
    found = []
    for rows in shifts(f.pair, s.shifts, rng):
        code = f.code[rows]
        loss, brier = np.mean(row_log_loss(f.p, code)), np.mean(row_brier(f.p, code))
        found.append((float(loss), float(brier), _mean_auc(rank, code)))
    loss, brier, area = np.array(found).T
    mean_r = None
    if f.openings is not None and own is not None and len(own):
        o = f.openings
        moved = [_results(o, o.acts, own, rows[own]) for rows in shifts(o.pair, s.shifts, rng)]
        mean_r = _spread(np.array([r.mean() for r in moved]), s.level)
    return Baseline(
        log_loss=known(float(np.mean(loss))),
        brier=known(float(np.mean(brier))),
        auc=_spread(area, s.level),
        mean_r=mean_r,
    )


def _spread(values: Floats, level: float) -> Range:
    """Return the mean of the shifts and the interval that holds most of them."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return Range()
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Range.of(Interval(float(np.mean(defined)), float(low), float(high), level))
