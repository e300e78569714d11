"""Signals: the published columns of a pair, and what the consensus decides from them.

What ``populate_indicators`` publishes and ``populate_entry_trend`` reads back: few, numeric
columns. Votes are ``vote_<head>`` (direction x probability, NaN when abstaining, 0 when flat),
``confidence_<head>`` (float32) and ``reason_<head>`` (int64 bit mask); beside them the market's
columns that entries, exits and context need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quorum.consensus import (
    GRACE,
    Band,
    Consensus,
    ConsensusSettings,
    VoteTable,
    bands,
    tally,
)
from quorum.exits import EXIT_COLUMNS
from quorum.heads.base import DECIMALS
from quorum.pipeline import Evaluation
from quorum.settings import Settings
from quorum.typing import Bools, Floats

#: Published columns that only pictures need.
DRAWN_COLUMNS = ("bull_ob_top", "bull_ob_bottom", "bear_ob_top", "bear_ob_bottom")
#: Who promises a win rate.
META_MODEL, MEASURED, BAND_RULE = "meta-model", "measured", "rule of the band"
_VOTE = ("vote_", "confidence_", "reason_")


def publish(result: Evaluation) -> dict[str, NDArray[Any]]:
    """Return the published columns of an evaluation by name, shape (n_candles,) each."""
    columns: dict[str, NDArray[Any]] = {}
    for name, v in {**result.votes, **result.apart}.items():
        signed = np.where(v.available, v.direction * v.probability, np.nan)
        columns[f"vote_{name}"] = signed.astype(np.float32)
        columns[f"confidence_{name}"] = v.confidence.astype(np.float32)
        columns[f"reason_{name}"] = v.reason
    unknown = np.full(len(result.market), np.nan)
    names = (*EXIT_COLUMNS, *DRAWN_COLUMNS)
    columns.update({name: result.features.get(name, unknown) for name in names})
    columns.update(result.context)
    columns.update(result.management)
    columns.update(result.playbooks)
    columns["tradable"] = result.market.tradable
    return columns


def read_votes(frame: pd.DataFrame, heads: Sequence[str]) -> VoteTable:
    """Read the vote table back from published columns."""
    signed = np.column_stack([frame[f"vote_{h}"].to_numpy(dtype=np.float64) for h in heads])
    confidence = np.column_stack(
        [frame[f"confidence_{h}"].to_numpy(dtype=np.float64) for h in heads]
    )
    available = ~np.isnan(signed)
    direction = np.where(available, np.sign(signed), 0).astype(np.int8)
    return VoteTable(
        heads=tuple(heads),
        direction=direction,
        probability=np.where(direction == 0, 0.5, np.round(np.abs(signed), DECIMALS)),
        confidence=np.round(confidence, DECIMALS),
        reason=np.column_stack([frame[f"reason_{h}"].to_numpy() for h in heads]),
        available=available,
    )


class Expectation(NamedTuple):
    """How often a signal is expected to win, what it returns after costs [R], and who says so."""

    win_rate: float
    expected_r: float
    source: str


@dataclass(frozen=True)
class Measured:
    """What earlier signals like those of a table did (spec C12), NaN where too little is known.

    Attributes
    ----------
    confidence, win_rate, expected_r : ndarray of shape (n_candles,), float64
        The confidence that their expectancy stands for, how often they won, and what they
        returned after costs in R.
    stated_band : ndarray of shape (n_candles,), int8
        Band of the confidence the heads state.
    """

    confidence: Floats
    win_rate: Floats
    expected_r: Floats
    stated_band: NDArray[np.int8]


@dataclass(frozen=True)
class SignalTable:
    """Signals of one pair, per candle.

    Attributes
    ----------
    time : ndarray of shape (n_candles,), int64
        Opening time of the candle whose close gives the signal, milliseconds since the epoch.
    entry : ndarray of shape (n_candles,), int8
        +1 long, -1 short, 0 no trade: the consensus where it passes the gate.
    band : ndarray of shape (n_candles,), int8
    consensus : Consensus
    votes : VoteTable
    columns : mapping of name to ndarray of shape (n_candles,), float64
        Every other published column: what entries, exits and context read.
    tradable : ndarray of shape (n_candles,), bool
        Whether a trade could be entered: the candle is no stand-in and its ATR is known.
    win_rate, expected_r : ndarray of shape (n_candles,), float64, or None
        What a trained meta-model expects of each entry (spec M4 d): how often it wins, and what
        it returns after costs in R; NaN where no model was live. None without models.
    playbook : ndarray of shape (n_candles,), int8, or None
        The playbook that enters before the consensus, as its place among those that are on, -1
        where none does; None before they were asked.
    measured : Measured or None
        What earlier signals did; None where confidence is as stated.
    """

    time: NDArray[np.int64]
    entry: NDArray[np.int8]
    band: NDArray[np.int8]
    consensus: Consensus
    votes: VoteTable
    columns: Mapping[str, Floats]
    tradable: Bools
    win_rate: Floats | None = None
    expected_r: Floats | None = None
    playbook: NDArray[np.int8] | None = None
    measured: Measured | None = None

    @property
    def confidence(self) -> Floats:
        """The confidence in force: measured where enough is known, else as stated."""
        stated = self.consensus.confidence
        if self.measured is None:
            return stated
        return np.where(np.isfinite(self.measured.confidence), self.measured.confidence, stated)

    @property
    def plan_band(self) -> NDArray[np.int8]:
        """The band that sets the R:R of the target: that of the stated confidence."""
        return self.band if self.measured is None else self.measured.stated_band

    def expectation(self, row: int) -> Expectation | None:
        """Return win rate and expected R of one entry and who says so, None where no one does.

        A meta-model speaks before what was measured.
        """
        sources = [(META_MODEL, self.win_rate, self.expected_r)]
        if self.measured is not None:
            sources.append((MEASURED, self.measured.win_rate, self.measured.expected_r))
        for name, rate, returned in sources:
            if rate is not None and returned is not None and np.isfinite(rate[row]):
                return Expectation(float(rate[row]), float(returned[row]), name)
        return None

    def row(self, row: int) -> dict[str, float]:
        """Return one candle's columns."""
        return {name: float(values[row]) for name, values in self.columns.items()}

    def tag(self, row: int) -> str:
        """Return the entry tag of one candle, for example ``"5/9 high"``."""
        c = self.consensus
        band = Band(int(self.band[row])).name.lower()
        return entry_tag(int(c.agreeing[row]), int(c.available[row]), band)

    def tags(self) -> NDArray[np.object_]:
        """Return the entry tag per candle, None without an entry."""
        tags = np.full(len(self.entry), None, dtype=object)
        for row in np.flatnonzero(self.entry):
            tags[row] = self.tag(int(row))
        return tags

    def row_at(self, opened: int) -> int | None:
        """Return the row of the candle that opened at ``opened``, None if there is none.

        O(1) on the regular grid freqtrade keeps; a search where candles are missing.
        """
        n = len(self.time)
        if n == 0:
            return None
        step = int(self.time[-1] - self.time[-2]) if n > 1 else 1
        row = (opened - int(self.time[0])) // step
        if 0 <= row < n and self.time[row] == opened:
            return int(row)
        row = int(np.searchsorted(self.time, opened))
        return row if row < n and self.time[row] == opened else None


def decide(
    frame: pd.DataFrame,
    time: NDArray[np.int64],
    heads: Sequence[str],
    weights: Mapping[str, float] | Floats,
    settings: ConsensusSettings,
    *,
    confidence: Floats | None = None,
) -> SignalTable:
    """Turn published columns into signals: tally, gate, band (spec C3-C9).

    This is what each hyperopt epoch pays per pair; everything tunable acts here.

    Parameters
    ----------
    frame : DataFrame
        The published columns.
    time : ndarray of shape (n_candles,), int64
        Opening times, milliseconds since the epoch.
    heads : sequence of str
    weights : mapping of head name to weight, or ndarray of shape (n_candles, n_heads)
    settings : ConsensusSettings
    confidence : ndarray of shape (n_candles, n_heads), optional
        Calibrated confidences that take the place of those the heads stated.
    """
    votes = read_votes(frame, heads)
    if confidence is not None:
        votes = replace(votes, confidence=confidence)
    consensus = tally(votes, weights, settings)
    band = bands(consensus.confidence, settings)
    atr = frame["atr"].to_numpy(dtype=np.float64)
    tradable: Bools = frame["tradable"].to_numpy(dtype=np.bool_) & np.isfinite(atr) & (atr > 0)
    passes = tradable & (band > Band.INSUFFICIENT)
    passes &= consensus.confidence >= settings.gate - GRACE
    return SignalTable(
        time=time,
        entry=np.where(passes, consensus.direction, 0).astype(np.int8),
        band=band,
        consensus=consensus,
        votes=votes,
        columns={
            str(name): frame[name].to_numpy(dtype=np.float64)
            for name, kind in frame.dtypes.items()
            if kind == np.float64 and not str(name).startswith(_VOTE)
        },
        tradable=tradable,
    )


class Decider(Protocol):
    """Decides like :func:`decide`, with what trained models know of the heads and signals."""

    def decide(
        self,
        frame: pd.DataFrame,
        time: NDArray[np.int64],
        heads: Sequence[str],
        weights: Mapping[str, float],
        consensus: ConsensusSettings,
    ) -> SignalTable:
        """Turn published columns into signals."""


def signal_table(
    result: Evaluation, settings: Settings, models: Decider | None = None
) -> SignalTable:
    """Return the signals of an evaluation as the strategy would decide them."""
    decided = decide if models is None else models.decide
    return decided(
        pd.DataFrame(publish(result)),
        result.market.candles.time,
        tuple(result.votes),
        settings.head_weights(),
        settings.consensus,
    )


def entry_tag(agreeing: int, available: int, band: str) -> str:
    """Return the entry tag freqtrade groups trades by, for example ``"5/9 high"``."""
    return f"{agreeing}/{available} {band}"
