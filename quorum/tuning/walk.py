"""The record of a walk-forward: what each window chose, and what that was worth afterwards."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from quorum.errors import DataError
from quorum.evidence.overfitting import (
    backtest_overfitting,
    deflated_sharpe,
    effective_trials,
    period_sharpe,
)
from quorum.tuning.loss import LossSettings, Outcome, score
from quorum.tuning.studies import TrialRecord

#: Parameters of a strategy as the host files them: value by name, by space.
Parameters = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Judged:
    """One set of parameters on one judged span.

    Attributes
    ----------
    trades, wins : dict of int
        By confidence band.
    growth : float
        Logarithmic, per year.
    drawdown : float
        Share of the peak.
    loss, quality, few_trades, broken_promise : float
        The loss and its parts.
    daily : list of float
        Return of every day.
    """

    trades: dict[str, int]
    wins: dict[str, int]
    growth: float
    drawdown: float
    loss: float
    quality: float
    few_trades: float
    broken_promise: float
    daily: list[float]

    @classmethod
    def of(cls, outcome: Outcome, promises: Mapping[str, float], settings: LossSettings) -> Self:
        """Judge the trades of a span."""
        loss = score(outcome, promises, settings)
        band, won = np.asarray(outcome.band, dtype=str), outcome.profit > 0
        return cls(
            trades={name: int((band == name).sum()) for name in sorted(set(outcome.band))},
            wins={name: int(won[band == name].sum()) for name in sorted(set(outcome.band))},
            growth=outcome.growth(),
            drawdown=outcome.drawdown(),
            loss=loss.total,
            quality=loss.quality,
            few_trades=loss.few_trades,
            broken_promise=loss.broken_promise,
            daily=outcome.daily_returns().tolist(),
        )


@dataclass(frozen=True)
class Trials:
    """What all trials of one window say of the best of them.

    Attributes
    ----------
    count : int
    effective : float
        Independent trials they amount to.
    sharpes : list of float
        Sharpe ratio per day of each.
    deflated : float or None
        Probability that the best beats what luck gives the best of so many; None: unknown.
    overfitting, loss_probability, degradation : float or None
        PBO and its companions; None where there are too few trials or days.
    best : int
        Number of the trial with the smallest loss.
    best_loss, configured_loss : float
        Its loss in sample, and that of the configured parameters (the first trial).
    """

    count: int
    effective: float
    sharpes: list[float]
    deflated: float | None
    overfitting: float | None
    loss_probability: float | None
    degradation: float | None
    best: int
    best_loss: float
    configured_loss: float

    @classmethod
    def of(cls, trials: Sequence[TrialRecord]) -> Self:
        """Judge the trials of a window."""
        best = min(trials, key=lambda trial: (trial.loss, trial.number))
        daily = np.column_stack([trial.daily for trial in trials])
        sharpes = period_sharpe(daily)
        try:
            cscv = backtest_overfitting(daily)
        except ValueError:  # Too few trials or days to say.
            cscv = None
        return cls(
            count=len(trials),
            effective=effective_trials(daily),
            sharpes=sharpes.tolist(),
            deflated=_known(deflated_sharpe(best.daily, sharpes)),
            overfitting=None if cscv is None else cscv.probability,
            loss_probability=None if cscv is None else cscv.loss_probability,
            degradation=None if cscv is None else _known(cscv.degradation),
            best=best.number,
            best_loss=best.loss,
            configured_loss=min(trials, key=lambda trial: trial.number).loss,
        )


@dataclass(frozen=True)
class WindowResult:
    """One finished window.

    Attributes
    ----------
    index : int
    train, judge : str
        Time ranges.
    parameters : dict
        Chosen on ``train``.
    ranges : dict of tuple of float
        Lowest and highest value of each parameter that could be chosen.
    trials : Trials
    tuned, configured : Judged
        The chosen and the configured parameters on ``judge``.
    """

    index: int
    train: str
    judge: str
    parameters: Parameters
    ranges: dict[str, tuple[float, float]]
    trials: Trials
    tuned: Judged
    configured: Judged

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a window back.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                **{
                    **content,
                    "ranges": {
                        name: (low, high) for name, (low, high) in content["ranges"].items()
                    },
                    "trials": Trials(**content["trials"]),
                    "tuned": Judged(**content["tuned"]),
                    "configured": Judged(**content["configured"]),
                }
            )
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}: is no result of a window ({error})") from error


class WalkFolder:
    """Where a walk-forward keeps what it has done: a finished window is not done again.

    Parameters
    ----------
    folder : Path
    inputs : mapping
        Everything the results follow from, as JSON values.

    Raises
    ------
    DataError
        If the folder holds a walk-forward with other inputs; it names them.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(inputs, sort_keys=True)
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "inputs.json"
        if path.is_file():
            _compare(path, json.loads(text))
        else:
            write_json(path, inputs)

    def window(self, index: int) -> Path:
        """Return the file of a window."""
        return self.folder / f"window-{index:02d}.json"

    def finished(self, index: int) -> WindowResult | None:
        """Return the result of a window, None if it is not finished."""
        path = self.window(index)
        return WindowResult.read(path) if path.is_file() else None

    def keep(self, result: WindowResult) -> None:
        """Store the result of a window."""
        write_json(self.window(result.index), asdict(result))


def _compare(path: Path, inputs: Mapping[str, Any]) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(
            name for name in {*before, *inputs} if before.get(name) != inputs.get(name)
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if changed:
        name = changed[0]
        raise DataError(
            f"{path.parent}: was begun with other inputs ({', '.join(changed)}): "
            f"{name} was {str(before.get(name))[:120]}, is {str(inputs.get(name))[:120]}. "
            "Give another --name, or remove the folder"
        )


def write_json(path: Path, content: Any) -> None:
    """Write a file, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
    fresh.replace(path)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
