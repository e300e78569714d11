"""Signals: the published columns, and one row of them as stored with a trade (spec E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from quorum.consensus import (
    GRACE,
    Band,
    Consensus,
    ConsensusSettings,
    VoteTable,
    bands,
    tally,
)
from quorum.exits import atr_stop, target_price
from quorum.features import Features
from quorum.heads import HEADS
from quorum.heads.base import DECIMALS, Votes
from quorum.market import Market
from quorum.settings import Settings
from quorum.sizing import SizeRequest, SizingSettings, sizing_method
from quorum.typing import Bools, Floats

#: Market columns a signal needs, as published beside the votes.
MARKET_COLUMNS = ("atr", "swing_high_near", "swing_low_near")


def publish(
    market: Market, features: Features, votes: Mapping[str, Votes]
) -> dict[str, NDArray[Any]]:
    """Return what ``populate_indicators`` publishes: few, numeric columns.

    Per head ``vote_<head>`` (direction x probability, NaN when abstaining, 0 when flat),
    ``confidence_<head>`` (float32) and ``reason_<head>`` (int64 bit mask); ``atr`` and the
    nearest swings (float64 prices); ``tradable`` (bool).
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, v in votes.items():
        signed = np.where(v.available, v.direction * v.probability, np.nan)
        columns[f"vote_{name}"] = signed.astype(np.float32)
        columns[f"confidence_{name}"] = v.confidence.astype(np.float32)
        columns[f"reason_{name}"] = v.reason
    columns.update({name: features[name] for name in MARKET_COLUMNS})
    columns["tradable"] = market.tradable
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
    close, atr, swing_high, swing_low : ndarray of shape (n_candles,), float64
    consensus : Consensus
    votes : VoteTable
    """

    time: NDArray[np.int64]
    entry: NDArray[np.int8]
    band: NDArray[np.int8]
    close: Floats
    atr: Floats
    swing_high: Floats
    swing_low: Floats
    consensus: Consensus
    votes: VoteTable

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
    weights: Mapping[str, float],
    settings: ConsensusSettings,
) -> SignalTable:
    """Turn published columns into signals: tally, gate, band (spec C3-C9).

    This is what each hyperopt epoch pays per pair; everything tunable acts here.
    """
    votes = read_votes(frame, heads)
    consensus = tally(votes, weights, settings)
    tradable: Bools = frame["tradable"].to_numpy(dtype=np.bool_)
    atr = frame["atr"].to_numpy(dtype=np.float64)
    band = bands(consensus.confidence, settings)
    passes = tradable & np.isfinite(atr) & (atr > 0) & (band > Band.INSUFFICIENT)
    passes &= consensus.confidence >= settings.gate - GRACE
    return SignalTable(
        time=time,
        entry=np.where(passes, consensus.direction, 0).astype(np.int8),
        band=band,
        close=frame["close"].to_numpy(dtype=np.float64),
        atr=atr,
        swing_high=frame["swing_high_near"].to_numpy(dtype=np.float64),
        swing_low=frame["swing_low_near"].to_numpy(dtype=np.float64),
        consensus=consensus,
        votes=votes,
    )


@dataclass(frozen=True)
class Account:
    """What a signal needs to know of the account.

    Attributes
    ----------
    capital : float
        What position percentages are of, quote currency.
    min_order : float
        The exchange's smallest position value for the pair, quote currency.
    """

    capital: float
    min_order: float = 0.0


class HeadVote(BaseModel):
    """One head's vote as kept in a signal."""

    model_config = ConfigDict(frozen=True)

    direction: int
    probability: float
    confidence: float
    reason: str


class Signal(BaseModel):
    """One entry with everything that led to it (spec E).

    Prices and amounts in the quote currency. What a later step knows and this one does not
    is ``None`` (unknown), never a guess.
    """

    model_config = ConfigDict(frozen=True)

    symbol: str
    direction: int
    entry_price: float
    stop_loss: float
    take_profit: float
    ladder: tuple[float, ...]
    consensus_probability: float
    consensus_confidence: float
    confluence_score: float
    agreeing_heads: int
    total_heads: int
    votes: dict[str, HeadVote]
    position_size_pct: float
    position_size_quote: float
    confidence_band: str
    risk_reward_ratio: float
    risk_amount: float
    reward_amount: float
    expected_win_rate: float
    liquidation_risk_detected: bool | None
    extreme_leverage_detected: bool | None
    entry_zone_status: str | None
    entry_strategy: str
    regime: str | None
    signal_quality: str
    timestamp: datetime
    reasons: tuple[str, ...]

    @property
    def tag(self) -> str:
        """Short entry tag, for example ``"5/9 high"``."""
        return entry_tag(self.agreeing_heads, self.total_heads, self.confidence_band)


def entry_tag(agreeing: int, available: int, band: str) -> str:
    """Return the entry tag freqtrade groups trades by."""
    return f"{agreeing}/{available} {band}"


def make_signal(
    table: SignalTable,
    row: int,
    pair: str,
    entry: float,
    account: Account,
    settings: Settings,
) -> Signal:
    """Build the signal of one row for an entry at price ``entry``.

    Raises
    ------
    ValueError
        If the row has no signal or its ATR is unusable.
    """
    direction = int(table.entry[row])
    if direction == 0:
        raise ValueError(f"{pair}: row {row} has no signal")
    c = table.consensus
    confidence = float(c.confidence[row])
    agreeing = int(c.agreeing[row])
    band = Band(int(table.band[row]))
    swing = float(table.swing_high[row] if direction > 0 else table.swing_low[row])
    stop = atr_stop(entry, float(table.atr[row]), direction, settings.exits.stop)
    target = target_price(entry, stop, band, swing, settings.exits.target)
    size = sizing_method(settings.sizing).size(
        SizeRequest(confidence, entry, stop, account.capital, account.min_order)
    )
    ratio = abs(target - entry) / abs(entry - stop)
    return Signal(
        symbol=pair,
        direction=direction,
        entry_price=entry,
        stop_loss=stop,
        take_profit=target,
        ladder=(target,),
        consensus_probability=float(c.probability[row]),
        consensus_confidence=confidence,
        confluence_score=float(c.confluence[row]),
        agreeing_heads=agreeing,
        total_heads=int(c.available[row]),
        votes=votes_at(table.votes, row),
        position_size_pct=round(size.fraction * 100, 9),
        position_size_quote=size.notional,
        confidence_band=band.name.lower(),
        risk_reward_ratio=round(ratio, 9),
        risk_amount=size.risk_amount,
        reward_amount=size.risk_amount * ratio,
        expected_win_rate=_win_rate(band, settings.sizing),
        liquidation_risk_detected=None,
        extreme_leverage_detected=None,
        entry_zone_status=None,
        entry_strategy="immediate",
        regime=None,
        signal_quality=settings.consensus.quality(confidence, agreeing).value,
        timestamp=datetime.fromtimestamp(int(table.time[row]) / 1000, tz=UTC),
        reasons=size.reasons,
    )


def _win_rate(band: Band, sizing: SizingSettings) -> float:
    """Return the win rate a band promises (spec S1)."""
    very_high, high, medium = sizing.win_rate
    return {Band.VERY_HIGH: very_high, Band.HIGH: high}.get(band, medium)


def votes_at(votes: VoteTable, row: int) -> dict[str, HeadVote]:
    """Return the votes of one candle, abstaining heads left out."""
    heads = {head.name: head for head in HEADS}
    return {
        name: HeadVote(
            direction=int(votes.direction[row, h]),
            probability=float(votes.probability[row, h]),
            confidence=float(votes.confidence[row, h]),
            reason=heads[name].reason_text(int(votes.reason[row, h])),
        )
        for h, name in enumerate(votes.heads)
        if votes.available[row, h]
    }
