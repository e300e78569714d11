"""The state machine of the guards: ACTIVE, REDUCING, HALTED (spec G).

Durability: a halt is written before :attr:`Guards.closing` says that positions are to be closed,
so that a crash at any point leaves a bot that is halted or a bot that finds out again. Only
:func:`quorum.guards.store.rearm` ends a halt.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime

from quorum.account import AccountState
from quorum.guards.base import (
    HALTING,
    QUIET,
    EntryRequest,
    Guard,
    Ledger,
    Limit,
    MarketFlags,
    Moment,
    Permission,
    Reason,
    State,
    Transition,
    loss_percent,
    move_with_funds,
)
from quorum.guards.calendar import Calendar
from quorum.guards.day import DayGuard
from quorum.guards.drawdown import DrawdownGuard
from quorum.guards.position import PositionGuard
from quorum.guards.settings import GuardSettings
from quorum.guards.store import ConflictError, LedgerStore, MemoryStore
from quorum.guards.system import SystemGuard
from quorum.state import StateError

logger = logging.getLogger(__name__)

#: Seconds the clock may go back without suspicion: two callers rarely see the same instant.
CLOCK_TOLERANCE = 60.0
#: Payments under this share of the equity are not told: fees and funding settle in such steps.
WORTH_TELLING = 0.001


class Guards:
    """Watches one account and answers every entry.

    Parameters
    ----------
    settings : GuardSettings
    store : LedgerStore, default=MemoryStore()

    Attributes
    ----------
    ledger : Ledger
    fault : (Reason, str) or None
        Why the guards themselves cannot be relied on now; while there is one, entries are refused.
    """

    def __init__(self, settings: GuardSettings, store: LedgerStore | None = None) -> None:
        self.settings = settings
        self.store = store or MemoryStore()
        self.calendar = Calendar(settings.timezone)
        drawdown = DrawdownGuard(settings.drawdown)
        self._drawdown = drawdown if settings.drawdown.enabled else None
        # Severest first: the first reason is the one that is told.
        tiers: tuple[Guard, ...] = (  # type: ignore[type-arg]
            SystemGuard(settings.system),
            drawdown,
            DayGuard(settings.day),
            PositionGuard(settings.position),
        )
        self.guards = tuple(guard for guard in tiers if guard.settings.enabled)
        self.ledger = Ledger()
        self.fault: tuple[Reason, str] | None = None
        self._peak_before: float | None = None
        self._loaded = self._committed = False
        self._unsaved: list[Transition] = []
        self._told: set[str] = set()

    @property
    def state(self) -> State:
        """Where the machine stands."""
        return self.ledger.state

    @property
    def closing(self) -> Reason | None:
        """Why every position must be closed now; a halt only once it is on disk."""
        ledger, now = self.ledger, self.ledger.last_at
        if ledger.state is State.HALTED:
            return (ledger.reason or Reason.EMERGENCY_SHUTDOWN) if self._committed else None
        system = self.settings.system
        swan = system.enabled and system.flatten and now is not None and now < ledger.swan_until
        return Reason.BLACK_SWAN if swan else None

    @property
    def size_factor(self) -> float:
        """Factor on every size from the drawdown rules, 0-1 (spec G4)."""
        return 1.0 if self._drawdown is None else self._drawdown.size_factor(self.ledger)

    @property
    def headroom(self) -> float:
        """What may still be lost before a drawdown rule is broken, quote currency (spec G4)."""
        return math.inf if self._drawdown is None else self._drawdown.headroom(self.ledger)

    def limits(self) -> tuple[Limit, ...]:
        """Return every limit with what is used of it."""
        return tuple(limit for guard in self.guards for limit in guard.limits(self.ledger))

    def last_seen(self) -> datetime | None:
        """Return when an account was last observed, by this run or an earlier one."""
        self._ready()
        at = self.ledger.last_at
        return None if at is None else datetime.fromtimestamp(at, tz=UTC)

    # Observation --------------------------------------------------------------------------

    def observe(self, account: AccountState, flags: MarketFlags = QUIET) -> tuple[Transition, ...]:
        """Take note of the account; called once per candle and at every entry.

        1. Read the ledger at the first call; while halted, look whether a person re-armed it.
        2. Without usable equity nothing is decided, and entries are refused.
        3. Begin new days and weeks, raise peaks; time never goes back.
        4. Ask every guard; the severest reason decides the state. A halt stays.
        5. Write the ledger.
        """
        before = self.ledger.state
        self.fault = None
        if not self._ready():
            return ()
        changes: tuple[Transition, ...] = ()
        if before is State.HALTED and self.ledger.state is not State.HALTED:
            changes = (
                Transition(account.at, before, self.ledger.state, Reason.REARMED, "re-armed"),
            )
        if not (math.isfinite(account.equity) and account.equity > 0):
            self.fault = Reason.EQUITY_UNKNOWN, f"equity is {account.equity!r}"
            self._save(())
            return changes
        moment = self._turn(account, flags)
        reason = self._ask(moment)
        change = self._change(reason, moment)
        if change is not None:
            changes = (*changes, change)
            self._committed = False
        self._save(() if change is None else (change,))
        return changes

    def _ready(self) -> bool:
        """Have the ledger in memory; False while it cannot be read."""
        halted = self.ledger.state is State.HALTED
        if self._loaded and not halted:
            return True
        try:
            stored = self.store.load()
        except StateError as error:
            self._fail(Reason.STORE_UNAVAILABLE, error)
            return self._loaded
        if not self._loaded:
            self.ledger = stored or Ledger()
            self._committed = stored is not None
            self._loaded = True
        elif stored is not None and stored.arms > self.ledger.arms:
            self._adopt(stored)
        return True

    def _adopt(self, stored: Ledger) -> None:
        self.ledger, self._committed = stored, True
        self._unsaved.clear()

    def _turn(self, account: AccountState, flags: MarketFlags) -> Moment:
        """Bring the ledger to this moment: clock, day, week, peak, counts."""
        ledger, equity, at = self.ledger, account.equity, account.at.timestamp()
        last = ledger.last_at
        if last is not None and at < last - CLOCK_TOLERANCE:
            text = f"the time is {_iso(at)}, after it was {_iso(last)}"
            self.fault = Reason.CLOCK_BACKWARDS, text
        now = at if last is None else max(at, last)
        paid = move_with_funds(ledger, account)
        if abs(paid) >= WORTH_TELLING * equity:
            logger.warning(
                "%.2f paid %s: peak, day, week and rules are measured with it, only trading is a "
                "loss",
                abs(paid),
                "in" if paid > 0 else "out",
            )
        day, week = self.calendar.day_start(now), self.calendar.week_start(now)
        # Who was not there when the day began takes the last equity known before, if higher.
        known = equity if ledger.equity is None else max(equity, ledger.equity)
        if ledger.day_start is None or day > ledger.day_start or ledger.day_open is None:
            ledger.day_start, ledger.day_stopped = day, False
            ledger.day_open = equity if now == day else known
        if ledger.week_start is None or week > ledger.week_start:
            ledger.week_start, ledger.week_stopped = week, False
            ledger.week_peak = equity if now == week else known
        ledger.week_peak = equity if ledger.week_peak is None else max(ledger.week_peak, equity)
        self._fall(account, begins=last is None or now > last)
        if ledger.initial is None and math.isfinite(account.initial) and account.initial > 0:
            ledger.initial = account.initial
        ledger.last_at, ledger.equity = now, equity
        ledger.open_trades = len(account.open)
        ledger.day_trades = _opened_since(account, day)
        return Moment(now, account, ledger, flags)

    def _fall(self, account: AccountState, *, begins: bool) -> None:
        """Raise the peak, and note what is lost from it at the worst that was seen (spec G5).

        The worst price of a candle came before its close: it is held against the peak before.
        """
        ledger, equity, worst = self.ledger, account.equity, account.worst
        if begins:
            self._peak_before = ledger.peak
        known = worst is not None and math.isfinite(worst) and self.settings.system.worst_price
        ledger.worst = min(equity, worst) if known and worst is not None else equity
        ledger.peak = equity if ledger.peak is None else max(ledger.peak, equity)
        before = loss_percent(self._peak_before, ledger.worst) or 0.0
        ledger.drawdown = max(before, loss_percent(ledger.peak, equity) or 0.0)

    def _ask(self, moment: Moment) -> Reason | None:
        first: Reason | None = None
        for guard in self.guards:
            try:
                reason = guard.observe(moment)
            except Exception as error:
                # Whatever is wrong with a guard, what it guards against is not excluded.
                self._fail(Reason.GUARD_FAILED, error, guard.name)
                reason = Reason.GUARD_FAILED
            first = first or reason
        return first

    def _change(self, reason: Reason | None, moment: Moment) -> Transition | None:
        """Put the state in force that follows from the reason."""
        ledger, before = self.ledger, self.ledger.state
        if before is State.HALTED:
            return None
        after = State.ACTIVE if reason is None else State.REDUCING
        if reason in HALTING:
            after = State.HALTED
        ledger.reason = reason
        if after is before:
            return None
        ledger.state, ledger.since = after, moment.now
        at = datetime.fromtimestamp(moment.now, tz=UTC)
        return Transition(at, before, after, reason, self._describe(reason))

    def _describe(self, reason: Reason | None) -> str:
        if reason is None:
            return "entries are allowed again"
        used = [
            f"{limit.name} {limit.used:.2f} of {limit.limit:g} {limit.unit}"
            for limit in self.limits()
            if limit.used is not None and limit.used > 0
        ]
        return "; ".join(used) or reason.value

    def _save(self, transitions: tuple[Transition, ...]) -> None:
        """Write the ledger; what could not be written is tried again at the next call."""
        self._unsaved.extend(transitions)
        try:
            try:
                self.store.save(self.ledger, self._unsaved)
            except ConflictError:
                self._resolve()
        except StateError as error:
            self._fail(Reason.STORE_UNAVAILABLE, error)
            return
        self._unsaved.clear()
        self._committed = True

    def _resolve(self) -> None:
        """Settle that another process has written: a halt and a re-arming of it win."""
        if "conflict" not in self._told:
            self._told.add("conflict")
            logger.warning(
                "%s: another process has written the state of the guards; bots that share a "
                "database need different bot_name",
                self.store,
            )
        stored = self.store.load()
        ours = self.ledger
        halted = stored is not None and stored.state is State.HALTED
        if stored is not None and (stored.arms > ours.arms or halted):
            self._adopt(stored)
        else:
            self.store.save(ours, self._unsaved)

    def _fail(self, reason: Reason, error: Exception, part: str = "store") -> None:
        """Remember a fault and log it once."""
        self.fault = reason, f"{part}: {error}"
        fault = f"{part}: {type(error).__name__}"
        if fault not in self._told:
            self._told.add(fault)
            trace = None if isinstance(error, StateError) else error
            logger.error("Guards refuse all entries, %s: %s", part, error, exc_info=trace)

    # Entries ------------------------------------------------------------------------------

    def permit(
        self, request: EntryRequest, account: AccountState, flags: MarketFlags = QUIET
    ) -> Permission:
        """Answer one entry by what :meth:`observe` last found and the limits of each entry."""
        ledger = self.ledger
        if ledger.state is State.HALTED:
            return _refused(ledger.reason, "halted until `quorum rearm`")
        if not self.guards:
            return Permission(True)
        if self.fault is not None:
            return _refused(*self.fault)
        if not self._loaded or ledger.last_at is None:
            return _refused(Reason.EQUITY_UNKNOWN, "the account has not been observed yet")
        if not self.lets_enter(request.unguarded):
            return _refused(ledger.reason, self._describe(ledger.reason))
        doubt = _doubt(flags) if self.settings.system.enabled else None
        if doubt is not None:
            return _refused(doubt, request.pair)
        moment = Moment(max(request.at.timestamp(), ledger.last_at), account, ledger, flags)
        return self._ask_entry(request, moment)

    def lets_enter(self, unguarded: frozenset[str] = frozenset()) -> bool:
        """Whether the state lets trades be opened or added to, but for what is not asked."""
        ledger = self.ledger
        if ledger.state is State.REDUCING and ledger.reason is not None:
            return ledger.reason in unguarded
        return ledger.state is State.ACTIVE

    def _ask_entry(self, request: EntryRequest, moment: Moment) -> Permission:
        for guard in self.guards:
            try:
                found = guard.refusals(request, moment)
                reason = next((r for r in found if r not in request.unguarded), None)
            except Exception as error:
                self._fail(Reason.GUARD_FAILED, error, guard.name)
                reason = Reason.GUARD_FAILED
            if reason is not None:
                return _refused(reason, f"{guard.name}: {reason}")
        return Permission(True)


def _refused(reason: Reason | None, detail: str) -> Permission:
    return Permission(False, reason or Reason.EMERGENCY_SHUTDOWN, detail)


def _doubt(flags: MarketFlags) -> Reason | None:
    """Return what is wrong with the data of a pair that is to be entered."""
    if flags.crossed:
        return Reason.CROSSED_DATA
    if flags.stale:
        return Reason.STALE_DATA
    if flags.missing:
        return Reason.MISSING_DATA
    return Reason.PRICE_SPIKE if flags.spike else None


def _opened_since(account: AccountState, start: float) -> int:
    """Count the trades opened since ``start``; one that closed before cannot have."""
    count = sum(t.counted and t.opened.timestamp() >= start for t in account.open)
    for done in reversed(account.closed):
        if done.closed.timestamp() < start:
            break
        count += done.counted and done.opened.timestamp() >= start
    return count


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")
