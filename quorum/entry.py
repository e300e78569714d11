"""Signal: one entry with everything that led to it, drawn up from a row of columns (spec E)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field

from quorum.account import AccountState
from quorum.consensus import Band, Quality, VoteTable
from quorum.context import Effect
from quorum.exits import ExitPlan, plan_exits
from quorum.exits.management import merge_rungs
from quorum.exits.reasons import PriceReason, TakeProfitLevel, stop_reason, target_reason
from quorum.heads import HEADS
from quorum.settings import Settings
from quorum.signals import BAND_RULE, MEASURED, META_MODEL, SignalTable, entry_tag
from quorum.sizing import Size, SizeRequest, SizingSettings, sizing_method
from quorum.telling import SIDES, reasoning, warnings
from quorum.typing import Floats


@dataclass(frozen=True)
class Account:
    """What a signal needs to know of the account.

    Attributes
    ----------
    capital : float
        What position percentages are of, quote currency.
    min_order : float
        The exchange's smallest position value for the pair, quote currency.
    state : AccountState or None
        Equity, open and closed trades, None where unknown.
    returns, peers
        Recent log returns of the pair and, by pair, of every open trade, up to one candle.
    headroom : float
        Loss the drawdown rules still allow, quote currency.
    guard_factor : float
        What the guards leave of every size, 0-1.
    """

    capital: float
    min_order: float = 0.0
    state: AccountState | None = None
    returns: Floats | None = None
    peers: Mapping[str, Floats] = field(default_factory=dict)
    headroom: float = math.inf
    guard_factor: float = 1.0


class HeadVote(BaseModel):
    """One head's vote as kept in a signal."""

    model_config = ConfigDict(frozen=True)

    direction: int
    probability: float
    confidence: float
    reason: str


class Signal(BaseModel):
    """One entry with everything that led to it (spec E).

    Prices and amounts in the quote currency. What is not known is ``None``, never a guess.
    ``veto`` is the reason code with which the signal is refused, ``None`` for one that trades;
    ``context`` holds every fact the adjusters found.
    """

    model_config = ConfigDict(frozen=True)

    symbol: str
    direction: int
    entry_price: float
    stop_loss: float
    stop_kind: str
    take_profit: float
    ladder: tuple[float, ...]
    ladder_shares: tuple[float, ...]
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
    expected_r: float | None = None
    stated_band: str | None = None
    stop_reasoning: PriceReason | None = None
    take_profit_reasoning: PriceReason | None = None
    measured_confidence: float | None = None
    measured_win_rate: float | None = None
    measured_r: float | None = None
    liquidation_risk_detected: bool | None
    extreme_leverage_detected: bool | None
    entry_zone_status: str | None
    entry_strategy: str
    regime: str | None
    signal_quality: str
    timestamp: datetime
    reasons: tuple[str, ...]
    context: dict[str, Any]
    trailing_stop: float | None = None
    sizing: dict[str, float | str] = {}
    veto: str | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def side(self) -> str:
        """The direction as a word."""
        return SIDES[self.direction]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def take_profit_levels(self) -> tuple[TakeProfitLevel, ...]:
        """Where the trade is paid, nearest first."""
        risk = abs(self.entry_price - self.stop_loss)
        return tuple(
            TakeProfitLevel(price=price, share=share, r=abs(price - self.entry_price) / risk)
            for price, share in zip(self.ladder, self.ladder_shares, strict=True)
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reasoning(self) -> str:
        """Why it is a signal, in one sentence."""
        return reasoning(self)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against it."""
        return warnings(self)

    @property
    def promised_by(self) -> str:
        """Who promises win rate and result: a meta-model, earlier signals, or the band's rule."""
        if self.expected_r is None:
            return BAND_RULE
        measured = (self.measured_win_rate, self.measured_r)
        return MEASURED if (self.expected_win_rate, self.expected_r) == measured else META_MODEL

    @property
    def promise(self) -> str:
        """Say what is promised: which win rate at which R:R, and who says so."""
        promised = f"{self.expected_win_rate:.0%} wins at {self.risk_reward_ratio:.1f} R"
        if self.expected_r is None:
            return f"{promised} ({self.promised_by})"
        return f"{promised}, {self.expected_r:+.2f} R a trade after costs ({self.promised_by})"

    @property
    def tag(self) -> str:
        """Short entry tag, for example ``"5/9 high"``."""
        return entry_tag(self.agreeing_heads, self.total_heads, self.confidence_band)


def effects_at(
    table: SignalTable, row: int, settings: Settings, direction: int | None = None
) -> dict[str, Effect]:
    """Return what each enabled adjuster does to a signal of one row, by adjuster.

    ``direction`` is that of the consensus unless given.
    """
    columns = table.row(row)
    if direction is None:
        direction = int(table.consensus.direction[row])
    return {
        adjuster.name: adjuster.effect(columns, direction)
        for adjuster in settings.enabled_adjusters()
    }


@dataclass(frozen=True)
class Adjustment:
    """What all adjusters together do to one signal.

    Attributes
    ----------
    confidence : float
        Confidence in force times every boost, at most 1: for sizing and quality.
    factors : mapping of reason to factor
        Factors on the size, in spec order.
    facts : mapping
        Everything the adjusters found.
    boosts : tuple of str
        The boosts of the confidence, in words.
    veto : str or None
        The first refusal.
    endangered : bool
        Whether the trade is endangered (C10).
    regime_factor : float
        The regime's share of the factors (spec T2).
    """

    confidence: float
    factors: Mapping[str, float]
    facts: Mapping[str, Any]
    boosts: tuple[str, ...]
    veto: str | None
    endangered: bool
    regime_factor: float


def adjust(table: SignalTable, row: int, settings: Settings) -> Adjustment:
    """Let every enabled adjuster act on the signal of one row."""
    effects = effects_at(table, row, settings)
    confidence = float(table.confidence[row])
    for effect in effects.values():
        confidence = min(1.0, confidence * effect.confidence)
    return Adjustment(
        confidence=confidence,
        factors={name: f for e in effects.values() for name, f in e.reasons.items()},
        facts={key: value for e in effects.values() for key, value in e.facts.items()},
        boosts=tuple(
            f"{name}=confidence x {e.confidence:g}"
            for name, e in effects.items()
            if e.confidence != 1.0
        ),
        veto=next((e.veto for e in effects.values() if e.veto), None),
        endangered=any(e.endangers for e in effects.values()),
        regime_factor=math.prod(effects.get("regime", Effect()).reasons.values()),
    )


def _size(
    table: SignalTable,
    row: int,
    pair: str,
    entry: float,
    exits: ExitPlan,
    context: Adjustment,
    account: Account,
    settings: SizingSettings,
) -> Size:
    """Size the signal of one row by the method of the settings (spec S)."""
    c = table.consensus
    request = SizeRequest(
        context.confidence,
        entry,
        exits.stop,
        account.capital,
        account.min_order,
        context.factors,
        pair=pair,
        direction=int(table.entry[row]),
        confluence=float(c.confluence[row]),
        reliability=float(c.confidence[row]),
        risk_reward=exits.risk_reward,
        win_rate=_win_rate(table, row, Band(int(table.band[row])), settings),
        regime_factor=context.regime_factor,
        account=account.state,
        returns=account.returns,
        peers=account.peers,
        headroom=account.headroom,
        guard_factor=account.guard_factor,
    )
    return sizing_method(settings).size(request)


def draw_up(
    table: SignalTable,
    row: int,
    pair: str,
    entry: float,
    account: Account,
    settings: Settings,
) -> Signal:
    """Draw up the signal of one row for an entry at price ``entry``.

    1. What the context does to it: factors, confidence, facts, vetoes.
    2. Stop and targets by the band of the stated, *unboosted* confidence.
    3. Size by the boosted confidence in force and all factors.
    4. Quality by the boosted confidence, taken down by what endangers the trade (C10).

    Raises
    ------
    ValueError
        If the row has no signal.
    """
    direction = int(table.entry[row])
    if direction == 0:
        raise ValueError(f"{pair}: row {row} has no signal")
    band = Band(int(table.band[row]))
    context = adjust(table, row, settings)
    stop_factor = context.facts.get("stop_factor", 1.0)
    plan_band = int(table.plan_band[row])
    exits = plan_exits(table.columns, row, direction, entry, plan_band, settings.exits, stop_factor)
    size = _size(table, row, pair, entry, exits, context, account, settings.sizing)
    ladder, shares = merge_rungs(exits.targets, exits.shares, size.notional, account.min_order)
    expectation = table.expectation(row)
    unsized = size.reasons[-1] if size.fraction == 0 else None
    facts = context.facts
    return Signal(
        symbol=pair,
        direction=direction,
        entry_price=entry,
        stop_loss=exits.stop,
        stop_kind=exits.stop_kind,
        take_profit=exits.targets[0],
        ladder=ladder,
        ladder_shares=shares,
        **_agreed(table, row),
        position_size_pct=round(size.fraction * 100, 9),
        position_size_quote=size.notional,
        confidence_band=band.name.lower(),
        risk_reward_ratio=round(exits.risk_reward, 9),
        risk_amount=size.risk_amount,
        reward_amount=size.risk_amount * exits.risk_reward,
        expected_win_rate=_win_rate(table, row, band, settings.sizing),
        expected_r=None if expectation is None else expectation.expected_r,
        stated_band=Band(plan_band).name.lower(),
        stop_reasoning=stop_reason(
            table.columns, row, direction, entry, exits, settings.exits, stop_factor
        ),
        take_profit_reasoning=target_reason(
            table.columns, row, direction, Band(plan_band).name.lower(), exits, settings.exits
        ),
        **_measured(table, row),
        **_found(facts),
        signal_quality=_quality(context, int(table.consensus.agreeing[row]), settings).value,
        timestamp=datetime.fromtimestamp(int(table.time[row]) / 1000, tz=UTC),
        reasons=context.boosts + size.reasons,
        context=dict(facts),
        trailing_stop=size.trailing_stop,
        sizing=size.record,
        veto=context.veto or exits.veto or unsized,
    )


def _quality(context: Adjustment, agreeing: int, settings: Settings) -> Quality:
    """Return the quality; what endangers the trade takes excellent down to good (C10)."""
    quality = settings.consensus.quality(context.confidence, agreeing)
    return Quality.GOOD if quality is Quality.EXCELLENT and context.endangered else quality


def _win_rate(table: SignalTable, row: int, band: Band, sizing: SizingSettings) -> float:
    """Return the win rate expected (spec M4 d, C12), else what a band promises (S1)."""
    expectation = table.expectation(row)
    if expectation is not None:
        return expectation.win_rate
    very_high, high, medium = sizing.win_rate
    return {Band.VERY_HIGH: very_high, Band.HIGH: high}.get(band, medium)


def _agreed(table: SignalTable, row: int) -> dict[str, Any]:
    """Return what the heads agreed on, by field of the signal."""
    c = table.consensus
    return {
        "consensus_probability": float(c.probability[row]),
        "consensus_confidence": float(c.confidence[row]),
        "confluence_score": float(c.confluence[row]),
        "agreeing_heads": int(c.agreeing[row]),
        "total_heads": int(c.available[row]),
        "votes": votes_at(table.votes, row),
    }


def _found(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the context found, by field of the signal."""
    names = (
        "liquidation_risk_detected",
        "extreme_leverage_detected",
        "entry_zone_status",
        "regime",
    )
    found = {name: facts.get(name) for name in names}
    return {**found, "entry_strategy": facts.get("entry_strategy", "immediate")}


def _measured(table: SignalTable, row: int) -> dict[str, float]:
    """Return what earlier signals like that of a row did, nothing where too little is known."""
    m = table.measured
    if m is None or math.isnan(m.win_rate[row]):
        return {}
    return {
        "measured_confidence": float(m.confidence[row]),
        "measured_win_rate": float(m.win_rate[row]),
        "measured_r": float(m.expected_r[row]),
    }


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
