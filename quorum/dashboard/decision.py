"""Decision: what the heads said of one candle, what came of it, and what an entry still lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from quorum.candles import timeframe_ms
from quorum.consensus import Band, valid_votes
from quorum.entry import Account, Signal, draw_up, effects_at
from quorum.explain import obstacle, votes_needed
from quorum.heads import HEADS
from quorum.journal.reading import JournaledCandle
from quorum.journal.record import table_of
from quorum.settings import Settings
from quorum.signals import SignalTable


class Vote(BaseModel):
    """One head's vote; ``valid`` if it counts towards the quorum (spec C2)."""

    model_config = ConfigDict(frozen=True)

    head: str
    weight: float
    available: bool
    direction: int
    probability: float
    confidence: float
    valid: bool
    reason: str


class Decision(BaseModel):
    """One closed candle of one pair (spec U2).

    ``lean`` is the side with more valid votes, or the side of the confluence without any;
    ``adjustments`` are what the context does to a signal on that side, in words; ``missing`` says
    what keeps the candle from an entry, empty where nothing does; ``asked`` what the bot answered
    to an entry: ``accepted``, the reason it was refused with, or None where none was put to it.
    """

    model_config = ConfigDict(frozen=True)

    pair: str
    opened: datetime
    closed: datetime
    analysed: datetime | None
    close: float
    votes: tuple[Vote, ...]
    valid_long: int
    valid_short: int
    votes_needed: int
    heads_available: int
    direction: int
    lean: int
    probability: float
    confidence: float
    gate: float
    band: str
    quality: str | None
    confluence: float
    context: dict[str, Any]
    adjustments: tuple[str, ...]
    signal: Signal | None
    missing: tuple[str, ...]
    asked: str | None = None
    models: str | None = None


def utc(ms: float) -> datetime:
    """Return a moment given in milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def decision_at(
    table: SignalTable,
    row: int,
    pair: str,
    timeframe: str,
    settings: Settings,
    *,
    close: float,
    tradable: bool,
    capital: float,
) -> Decision:
    """Describe one row of a signal table; the signal is drawn up for an entry at the close."""
    consensus = table.consensus
    valid = valid_votes(table.votes, settings.consensus)[row]
    long, short = int((valid > 0).sum()), int((valid < 0).sum())
    direction = int(consensus.direction[row])
    lean = direction or _side(long - short) or _side(consensus.confluence[row] - 50)
    signal = None
    if table.entry[row]:
        signal = draw_up(table, row, pair, close, Account(capital), settings)
    context, adjustments = _context(table, row, lean, settings)
    missing = obstacle(table, row, tradable, settings, signal)
    opened = int(table.time[row])
    return Decision(
        pair=pair,
        opened=utc(opened),
        closed=utc(opened + timeframe_ms(timeframe)),
        analysed=None,
        close=close,
        votes=_votes(table, row, valid, settings),
        valid_long=long,
        valid_short=short,
        votes_needed=votes_needed(table, row, settings),
        heads_available=int(consensus.available[row]),
        direction=direction,
        lean=lean,
        probability=float(consensus.probability[row]),
        confidence=float(consensus.confidence[row]),
        gate=settings.consensus.gate,
        band=Band(int(table.band[row])).name.lower(),
        quality=None if signal is None else signal.signal_quality,
        confluence=float(consensus.confluence[row]),
        context=context,
        adjustments=adjustments,
        signal=signal,
        missing=() if missing is None else (missing,),
    )


def journaled_decision(
    candle: JournaledCandle, settings: Settings, capital: float, asked: str | None
) -> Decision:
    """Describe a candle as a bot journaled it."""
    table = table_of(candle.values, candle.time)
    close = candle.values["candle close"]
    decision = decision_at(
        table,
        0,
        candle.pair,
        candle.run.timeframe,
        settings,
        close=math.nan if close is None else float(close),
        tradable=bool(candle.values["tradable"]),
        capital=capital,
    )
    return decision.model_copy(
        update={"analysed": utc(candle.at), "asked": asked, "models": candle.vintage}
    )


def _side(value: float) -> int:
    return int(np.sign(value))


def _votes(table: SignalTable, row: int, valid: np.ndarray, settings: Settings) -> tuple[Vote, ...]:
    weights, heads = settings.head_weights(), {head.name: head for head in HEADS}
    votes = table.votes
    return tuple(
        Vote(
            head=name,
            weight=weights.get(name, 0.0),
            available=bool(votes.available[row, h]),
            direction=int(votes.direction[row, h]),
            probability=float(votes.probability[row, h]),
            confidence=float(votes.confidence[row, h]),
            valid=bool(valid[h]),
            reason=heads[name].reason_text(int(votes.reason[row, h])) if name in heads else "",
        )
        for h, name in enumerate(votes.heads)
    )


def _context(
    table: SignalTable, row: int, lean: int, settings: Settings
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what the adjusters know of a candle, and what they do to a signal in words."""
    facts: dict[str, Any] = {}
    words = []
    for name, effect in effects_at(table, row, settings, lean).items():
        facts |= effect.facts
        words += [f"{reason}: size x {factor:g}" for reason, factor in effect.reasons.items()]
        if effect.confidence != 1.0:
            words.append(f"{name}: confidence x {effect.confidence:g}")
        if effect.veto:
            words.append(f"{name}: refuses, {effect.veto}")
    return _plain(facts), tuple(words) if lean else ()


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as JSON can hold them."""
    known = (str, int, bool, float)
    return {key: value if isinstance(value, known) else str(value) for key, value in facts.items()}
