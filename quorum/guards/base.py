"""What every guard is given and answers: states, reason codes, ledger, limits (spec G)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from quorum.account import AccountState
from quorum.section import Section

#: Relative rounding a sum of trades may carry before a limit counts as reached.
GRACE = 1e-9


class State(StrEnum):
    """What the guards allow: everything, no entries, or nothing at all."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class Reason(StrEnum):
    """Why an entry is refused or a state has changed."""

    # G1, position
    MAX_OPEN_TRADES = "max_open_trades"
    MAX_STAKE = "max_stake"
    MAX_CORRELATION = "max_correlation"
    COOLDOWN_PAIR = "cooldown_pair"
    COOLDOWN_DIRECTION = "cooldown_direction"
    COOLDOWN_ANY = "cooldown_any"
    NO_STOP = "no_stop"
    NO_TARGET = "no_target"
    # G2, day
    DAILY_LOSS = "daily_loss"
    DAILY_TRADES = "daily_trades"
    LOSS_STREAK = "loss_streak"
    WEEKLY_DRAWDOWN = "weekly_drawdown"
    PLAN_STOPPED = "plan_stopped"
    # G3, system
    EMERGENCY_SHUTDOWN = "emergency_shutdown"
    BLACK_SWAN = "black_swan"
    STALE_DATA = "stale_data"
    CROSSED_DATA = "crossed_data"
    EXCHANGE_ERRORS = "exchange_errors"
    MISSING_DATA = "missing_data"
    PRICE_SPIKE = "price_spike"
    UNKNOWN_ORDERS = "unknown_orders"
    # The order book at an entry
    WIDE_SPREAD = "wide_spread"
    SLIPPAGE = "slippage"
    # G4, drawdown rules
    DRAWDOWN_DAY = "drawdown_day"
    DRAWDOWN_TOTAL = "drawdown_total"
    # The guards themselves
    EQUITY_UNKNOWN = "equity_unknown"
    CLOCK_BACKWARDS = "clock_backwards"
    GUARD_FAILED = "guard_failed"
    STORE_UNAVAILABLE = "store_unavailable"
    REARMED = "rearmed"


#: Reasons that close every position and last until a person re-arms the guards.
HALTING = frozenset({Reason.EMERGENCY_SHUTDOWN})


@dataclass
class Ledger:
    """What the guards remember; all of it survives a restart.

    Times are seconds since the epoch (UTC), amounts quote currency; ``None`` is not known yet.

    Attributes
    ----------
    state, reason, since
        Where the machine stands, why, since when.
    arms : int
        How often a person has re-armed the guards.
    last_at, equity, worst, initial, peak
        The last observation, its equity and the worst seen with it, the balance the account began
        with, the highest equity since the guards were armed.
    drawdown
        What is lost from the peak, at the worst seen [%].
    funded, flow
        The money in the account that is not from trading, at the last observation; the product
        of the factors by which what was paid in or out has moved the account since the first.
    day_start, day_open, day_stopped
        The local day, its opening equity, whether its loss limit was reached.
    week_start, week_peak, week_stopped
        The same of the local week, from its highest equity.
    paused_until, streak, streak_limit, seen
        Pause after losses, losses in a row since the last pause, those that pause, closed trades
        counted so far.
    swan_until : float
        End of the pause after a black swan.
    open_trades, day_trades : int
        Open now, opened this day.
    """

    state: State = State.ACTIVE
    reason: Reason | None = None
    since: float | None = None
    arms: int = 0
    last_at: float | None = None
    equity: float | None = None
    worst: float | None = None
    initial: float | None = None
    peak: float | None = None
    drawdown: float | None = None
    funded: float | None = None
    flow: float = 1.0
    day_start: float | None = None
    day_open: float | None = None
    day_stopped: bool = False
    week_start: float | None = None
    week_peak: float | None = None
    week_stopped: bool = False
    paused_until: float = 0.0
    streak: int = 0
    streak_limit: int = 0
    seen: int = 0
    swan_until: float = 0.0
    open_trades: int = 0
    day_trades: int = 0


@dataclass(frozen=True, slots=True)
class MarketFlags:
    """What is wrong with the market or its data now.

    Attributes
    ----------
    black_swan : bool
        The last closed candle of the reference market is beyond the limits of G3.
    stale, crossed : bool
        Its data is too old; contradicts itself (bid over ask, low over high).
    errors : int
        Exchange errors within the window of the settings.
    missing : bool
        Too many of its latest candles saw no trade: they were not delivered.
    spike : bool
        It is quoted too far from its last close.
    """

    black_swan: bool = False
    stale: bool = False
    crossed: bool = False
    errors: int = 0
    missing: bool = False
    spike: bool = False


QUIET = MarketFlags()


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """One entry that asks for permission.

    Attributes
    ----------
    direction : int
        +1 long, -1 short.
    notional : float
        Position value, quote currency.
    price : float
        Entry price.
    stop, target : float or None
        Prices at which the trade ends.
    correlation : float or None
        Mean correlation with the open trades, signed by direction; ``None`` without open trades
        or where it is not known.
    unguarded : frozenset of str
        Reasons the entry is not refused for (spec A-3).
    """

    pair: str
    direction: int
    at: datetime
    notional: float
    price: float
    stop: float | None
    target: float | None
    correlation: float | None = None
    unguarded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer to an entry request; ``detail`` says it in words."""

    allowed: bool
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state."""

    at: datetime
    before: State
    after: State
    reason: Reason | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit as ``quorum guards`` shows it; ``used`` is ``None`` while it is not known."""

    guard: str
    name: str
    used: float | None
    limit: float
    unit: str


@dataclass(slots=True)
class Moment:
    """One observation as the guards see it.

    Attributes
    ----------
    now : float
        Seconds since the epoch; never before an earlier observation.
    """

    now: float
    account: AccountState
    ledger: Ledger
    flags: MarketFlags = field(default=QUIET)


class GuardTier(Section):
    """Base of the settings of every guard."""


S = TypeVar("S", bound=GuardTier)


class Guard(ABC, Generic[S]):
    """One tier of guards; what it remembers stands in the ledger."""

    name: ClassVar[str]

    def __init__(self, settings: S) -> None:
        self.settings = settings

    def observe(self, moment: Moment) -> Reason | None:
        """Take note of the account; return why no entry is allowed now, if so."""
        return None

    def refusals(self, request: EntryRequest, moment: Moment) -> Iterator[Reason]:
        """Yield why this one entry is refused, nothing to let it pass."""
        return iter(())

    @abstractmethod
    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return every limit with what is used of it."""


#: Share of the equity that a payment must exceed: fees, funding and fills reach the wallet before
#: or after the host's books, which looks like money paid.
BOOKING = 0.002
#: Amounts of the ledger that money paid in or out moves as it moves the equity.
FUNDED_WITH = ("equity", "initial", "peak", "day_open", "week_peak")


def move_with_funds(ledger: Ledger, account: AccountState) -> float:
    """Move what the ledger measures losses from with money paid in or out (spec G5).

    Everything is scaled by what the payment did to the equity, so that a loss of so many
    percent stays one: neither a payment nor the order of payments and losses changes it.

    Returns
    -------
    float
        What was paid in since the last observation, negative paid out, quote currency.
    """
    before = ledger.funded
    if before is None:
        ledger.funded = account.initial
        return 0.0
    paid = account.initial - before
    if abs(paid) <= BOOKING * abs(account.equity):
        # Kept as it was: many small payments become one that is seen.
        return 0.0
    ledger.funded = account.initial
    if account.equity <= paid:
        # Nothing was left to scale: the account begins anew.
        ledger.equity = ledger.initial = ledger.peak = ledger.day_open = ledger.week_peak = None
        return paid
    factor = account.equity / (account.equity - paid)
    ledger.flow *= factor
    for name in FUNDED_WITH:
        amount = getattr(ledger, name)
        setattr(ledger, name, None if amount is None else amount * factor)
    return paid


def reached(used: float, limit: float) -> bool:
    """Whether a limit is reached, but for rounding."""
    return used >= limit - GRACE * max(1.0, abs(limit))


def loss_percent(high: float | None, equity: float | None) -> float | None:
    """Return what is lost from ``high`` in percent of it, ``None`` where it is not known."""
    if high is None or equity is None or high <= 0:
        return None
    return max(0.0, 100 * (high - equity) / high)
