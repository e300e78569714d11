"""Say why: one candle's votes, the readings behind them, and what the consensus made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from quorum.consensus import Band, Consensus, valid_votes
from quorum.entry import Account, Signal, draw_up, effects_at
from quorum.errors import DataError
from quorum.heads import APART, HEADS
from quorum.heads.base import Votes
from quorum.pipeline import Evaluation
from quorum.settings import Settings
from quorum.signals import Decider, SignalTable, signal_table

#: Capital an explanation sizes for: large enough that no smallest order plays a part.
SAMPLE_CAPITAL = 1e6
_SIDE = {1: "long", -1: "short"}


@dataclass(frozen=True)
class VoteLine:
    """One head at one candle."""

    head: str
    weight: float
    available: bool
    direction: int
    probability: float
    confidence: float
    valid: bool
    reason: str
    readings: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """One candle of one pair.

    Attributes
    ----------
    context : tuple of str
        What each adjuster finds and does, where there is a consensus to adjust.
    exits : str
        Stop and ladder of an entry at the close, empty without a signal.
    verdict : str
        In words: what the consensus made of the votes, and why not where it refused.
    """

    pair: str
    opened: datetime
    close: float
    votes: tuple[VoteLine, ...]
    agreeing: int
    available: int
    direction: int
    probability: float
    confidence: float
    confluence: float
    band: str
    context: tuple[str, ...]
    exits: str
    verdict: str


def explain(
    result: Evaluation, settings: Settings, at: datetime, models: Decider | None = None
) -> Explanation:
    """Explain the last candle that had closed at ``at``.

    Raises
    ------
    DataError
        If the market has no such candle.
    """
    market = result.market
    row = int(np.searchsorted(market.close_time, at.timestamp() * 1000, side="right")) - 1
    if row < 0:
        raise DataError(f"{market.pair}: no candle had closed at {at:%Y-%m-%d %H:%M}")
    table = signal_table(result, settings, models)
    consensus = table.consensus
    signal = None
    if table.entry[row]:
        close = float(market.candles.close[row])
        signal = draw_up(table, row, market.pair, close, Account(SAMPLE_CAPITAL), settings)
    return Explanation(
        pair=market.pair,
        opened=datetime.fromtimestamp(int(market.candles.time[row]) / 1000, tz=UTC),
        close=float(market.candles.close[row]),
        votes=(
            *_lines(result.votes, settings, row),
            *_lines(result.apart, settings, row),
        ),
        agreeing=int(consensus.agreeing[row]),
        available=int(consensus.available[row]),
        direction=int(consensus.direction[row]),
        probability=float(consensus.probability[row]),
        confidence=float(consensus.confidence[row]),
        confluence=float(consensus.confluence[row]),
        band=Band(int(table.band[row])).name.lower(),
        context=_context(table, settings, row) if consensus.direction[row] else (),
        exits=_exits(signal) if signal else "",
        verdict=_verdict(result, table, consensus, settings, row, signal),
    )


def _context(table: SignalTable, settings: Settings, row: int) -> tuple[str, ...]:
    lines = []
    for name, effect in effects_at(table, row, settings).items():
        facts = (
            ", ".join(
                f"{key} {value}"
                for key, value in effect.facts.items()
                if not isinstance(value, dict)
            )
            or "unknown"
        )
        does = [f"{reason}: size x {factor:g}" for reason, factor in effect.reasons.items()]
        if effect.confidence != 1.0:
            does.append(f"confidence x {effect.confidence:g}")
        if effect.veto:
            does.append(f"refuses: {effect.veto}")
        lines.append(f"{name}: {facts}" + (f" ({'; '.join(does)})" if does else ""))
    return tuple(lines)


def _exits(signal: Signal) -> str:
    rungs = ", ".join(
        f"{share:.0%} at {price:g}"
        for price, share in zip(signal.ladder, signal.ladder_shares, strict=True)
    )
    return (
        f"at the close: stop {signal.stop_loss:g} ({signal.stop_kind}), {rungs}, "
        f"{signal.risk_reward_ratio:.2f} R, {signal.position_size_pct:.3f} % of capital"
    )


def _lines(votes_of: Mapping[str, Votes], settings: Settings, row: int) -> tuple[VoteLine, ...]:
    weights = settings.head_weights()
    s = settings.consensus
    heads = {head.name: head for head in (*HEADS, *APART)}
    lines = []
    for name, votes in votes_of.items():
        direction = int(votes.direction[row])
        probability, confidence = float(votes.probability[row]), float(votes.confidence[row])
        lines.append(
            VoteLine(
                head=name,
                weight=weights.get(name, 0.0),
                available=bool(votes.available[row]),
                direction=direction,
                probability=probability,
                confidence=confidence,
                valid=direction != 0
                and probability >= s.min_probability
                and confidence >= s.min_confidence,
                reason=heads[name].reason_text(int(votes.reason[row])),
                readings={key: float(values[row]) for key, values in votes.readings.items()},
            )
        )
    return tuple(lines)


def _verdict(
    result: Evaluation,
    table: SignalTable,
    consensus: Consensus,
    settings: Settings,
    row: int,
    signal: Signal | None,
) -> str:
    missing = obstacle(table, row, bool(result.market.tradable[row]), settings, signal)
    if missing is not None:
        return f"no trade: {missing}"
    band = Band(int(table.band[row])).name.lower().replace("_", " ")
    return f"trade {_SIDE[int(table.entry[row])]} ({band} confidence)"


def votes_needed(table: SignalTable, row: int, settings: Settings) -> int:
    """Return how many valid votes one side needs on a candle (spec C3)."""
    s = settings.consensus
    available = int(table.consensus.available[row])
    return max(s.quorum, int(np.ceil(s.quorum_share * available - 1e-9)))


def obstacle(
    table: SignalTable, row: int, tradable: bool, settings: Settings, signal: Signal | None
) -> str | None:
    """Return in words what keeps a candle from an entry, None where nothing does.

    Parameters
    ----------
    table : SignalTable
    row : int
    tradable : bool
        Whether the candle has volume and enough history.
    settings : Settings
    signal : Signal or None
        The signal of the row, where it has one.
    """
    consensus = table.consensus
    direction = int(consensus.direction[row])
    if signal is not None and signal.veto:
        return f"{_SIDE[direction]} consensus, refused by {signal.veto}"
    if table.entry[row]:
        return None
    if direction == 0:
        needed, agreeing = votes_needed(table, row, settings), int(consensus.agreeing[row])
        if agreeing == 0:
            valid = valid_votes(table.votes, settings.consensus)[row].any()
            votes = "as many valid votes long as short" if valid else "no valid vote"
            return f"{votes}, {needed} needed on one side"
        return f"{agreeing} valid votes on the stronger side, {needed} needed"
    if not tradable:
        return "too little history, no volume, or a gap in the candles"
    if not table.columns["atr"][row] > 0:
        return "the average true range is not known"
    return (
        f"{_SIDE[direction]} consensus, but its confidence "
        f"{float(consensus.confidence[row]):.3f} is under the gate {settings.consensus.gate:.2f}"
    )


def _source(table: SignalTable, row: int) -> str:
    """Say where the confidence in force comes from, nothing where it is as stated."""
    known = table.measured is not None and np.isfinite(table.measured.confidence[row])
    return "measured " if known else ""
