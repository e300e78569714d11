"""Keeper: what an open trade does next, as the host's callbacks ask for it (spec P3, P4)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from freqtrade.persistence import Order, Trade

from quorum.bot.desk import Desk
from quorum.context.zones import IMMEDIATE
from quorum.entry import Signal
from quorum.exits.management import LADDER_TAG, REVERSAL_TAG
from quorum.exits.rules import (
    HALF,
    NOTHING,
    OPEN,
    OPPOSITE,
    REASONS,
    Candle,
    Rules,
    Standing,
    at_last_rung,
    better,
    exit_now,
    first_counted,
    part_now,
    passes_stop,
    rung_share,
    stop_now,
)

#: Exit reason of a trade that a playbook takes the pair from (spec B1).
SUPERSEDED = "superseded"


class Keeper:
    """Manages open trades by their signal, their orders, and the last closed candle.

    Parameters
    ----------
    desk : Desk

    Attributes
    ----------
    levels_rest : bool
        Whether levels of the ladder wait in the book. Where a stop at the exchange needs the
        same coins, they do not: a level is taken at the market when price has reached it, so
        that the stop stays in force until then.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.levels_rest = True

    @property
    def rules(self) -> Rules:
        """How trades are managed now; hyperopt changes it."""
        return self.desk.settings.exits.management.rules()

    def _candle(self, trade: Trade, at: datetime) -> Candle:
        """Return what the last closed candle says, nothing for one before the entry."""
        found = self.desk.closed_row(trade.pair, at)
        if found is None:
            return Candle()
        table, row = found
        m = table.columns
        chandelier = float(m["chandelier_short" if trade.is_short else "chandelier_long"][row])
        # The candle the trade was opened on is part of its signal, not news.
        if int(table.time[row]) < int(trade.open_date_utc.timestamp() * 1000):
            return Candle(chandelier)
        news = ("near_reversal", "far_reversal", "divergence")
        return Candle(chandelier, *(float(m[name][row]) for name in news))

    @staticmethod
    def _standing(
        trade: Trade,
        signal: Signal,
        closed: tuple[float, float] | None = None,
        before: datetime | None = None,
    ) -> Standing:
        """Return how a trade stands; exits filled at or after ``before`` do not count.

        ``closed`` is what :meth:`_closed` says, where it matters.
        """
        exits = [
            o.ft_order_tag or ""
            for o in trade.orders
            if o.ft_order_side == trade.exit_side
            and not o.ft_is_open
            and (o.filled or 0) > 0
            and (before is None or (o.order_filled_utc or before) < before)
        ]
        best, close = closed or (trade.open_rate, trade.open_rate)
        return Standing(
            direction=-1.0 if trade.is_short else 1.0,
            entry=trade.open_rate,
            stop=trade.stop_loss,
            best=best,
            close=close,
            trailing=math.nan if signal.trailing_stop is None else signal.trailing_stop,
            rungs=sum(tag.startswith(LADDER_TAG) for tag in exits),
            halved=REVERSAL_TAG in exits,
        )

    def _closed(self, trade: Trade, signal: Signal, at: datetime) -> tuple[float, float]:
        """Return the best price and the last close of the candles closed since the entry.

        The candle under way does not count: on candles of an hour the host shows its extreme
        before it asks whether the stop was hit, so a stop moved by it would be hit by a price
        that came before.
        """
        found = self.desk.closed_row(trade.pair, at)
        filled = trade.date_entry_fill_utc
        if found is None or filled is None:
            return trade.open_rate, trade.open_rate
        table, last = found
        step, m = self.desk.step, table.columns
        opened = int(filled.timestamp() * 1000) // step * step
        waits = signal.entry_strategy != IMMEDIATE
        first = first_counted(int(np.searchsorted(table.time, opened)), waits)
        if first > last:
            return trade.open_rate, trade.open_rate
        candles = slice(first, last + 1)
        seen = m["low"][candles].min() if trade.is_short else m["high"][candles].max()
        best = better(-1.0 if trade.is_short else 1.0, trade.open_rate, float(seen))
        return best, float(m["close"][last])

    def _look(self, trade: Trade, signal: Signal, at: datetime) -> tuple[Standing, Candle, float]:
        """Return how a trade stands, what the last candle says, and the stop that belongs to it.

        The stop moves by closed candles and by rungs filled before the candle under way, so it
        is the same on candles of any length, in a backtest and live.
        """
        step = timedelta(milliseconds=self.desk.step)
        began = at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % step
        standing = self._standing(trade, signal, self._closed(trade, signal, at), began)
        candle = self._candle(trade, at)
        moved = stop_now(standing, candle, self.rules)
        # The stop of the signal replaces the wide one the host begins with: at the first fill,
        # or at the first look of a bot that was not there when the order filled.
        return standing, candle, better(standing.direction, moved, signal.stop_loss)

    def stop(self, trade: Trade, at: datetime, rate: float, *, after_fill: bool) -> float | None:
        """Return the stop price to put in force now, None to leave it where it is."""
        signal = self.desk.signal_of(trade)
        if signal is None or (after_fill and _taken_out(trade)):
            # After a part is taken out the stop stays: the host would keep it as a fraction of
            # that price and lay the fraction off from the entry, nearer than it was.
            return None
        standing, _, stop = self._look(trade, signal, at)
        if after_fill:
            return stop
        d = standing.direction
        passed = passes_stop(d, standing.stop, stop, standing.close)
        return stop if d * (stop - standing.stop) > 0 and not passed else None

    def target(self, trade: Trade) -> float | None:
        """Return the price at which all that is left goes, None while rungs come before it."""
        signal = self.desk.signal_of(trade)
        if signal is None:
            return None
        count = len(signal.ladder)
        if count > 1 and not at_last_rung(self._standing(trade, signal).rungs, count):
            return None
        return signal.ladder[-1]

    def adjust(
        self, trade: Trade, at: datetime, rate: float, least: float
    ) -> tuple[float, str] | None:
        """Return the stake to take out and the order's tag, None for nothing.

        A near reversal takes its part at the market; else the next rung of the ladder rests at
        its price until it fills, or is taken at ``rate`` where none can rest. Nothing while an
        exit may rest that the host does not know.
        """
        signal = self.desk.signal_of(trade)
        if signal is None or self.desk.unsettled:
            return None
        standing, rules = self._standing(trade, signal), self.rules
        candle, count = self._candle(trade, at), len(signal.ladder)
        part = part_now(standing, candle, count, trade.has_open_orders, rules)
        if part == NOTHING:
            return None
        if part == HALF:
            return -trade.stake_amount * rules.reversal_share, REVERSAL_TAG
        rung = standing.rungs
        if not self.levels_rest and standing.direction * (rate - signal.ladder[rung]) < 0:
            return None
        share = rung_share(np.array(signal.ladder_shares), rung)
        return -trade.stake_amount * share, f"{LADDER_TAG}{rung + 1}"

    def exit_price(self, trade: Trade, proposed: float, tag: str | None) -> float:
        """Return the price of an exit order: a rung's own where it rests, else the proposed."""
        signal = self.desk.signal_of(trade)
        if signal is None or not self.levels_rest or not (tag or "").startswith(LADDER_TAG):
            return proposed
        return signal.ladder[int((tag or "").removeprefix(LADDER_TAG)) - 1]

    def stale(self, order: Order, at: datetime) -> bool:
        """Whether an exit order has waited long enough; a rung of the ladder rests.

        Where it takes the place of the stop it is given one look: then the stop is back.
        """
        if not self.levels_rest:
            return True
        if (order.ft_order_tag or "").startswith(LADDER_TAG):
            return False
        patience = self.desk.settings.exits.management.exit_patience
        return (at - order.order_date_utc).total_seconds() / 60 >= patience

    def exit_reason(self, trade: Trade, at: datetime, rate: float) -> str | None:
        """Return why a trade must end at the market now, None to keep it."""
        overruled = self._overruled(trade, at)
        signal = self.desk.signal_of(trade)
        if overruled is not None or signal is None:
            return overruled
        standing, candle, stop = self._look(trade, signal, at)
        # The price now is news beside the last close.
        d, worse = standing.direction, better(-standing.direction, standing.close, rate)
        age = (at - trade.open_date_utc).total_seconds() / 3600
        passed = passes_stop(d, standing.stop, stop, worse)
        code = exit_now(standing, candle, age, passed, self.rules)
        return None if code == OPEN else REASONS[code]

    def _overruled(self, trade: Trade, at: datetime) -> str | None:
        """Return what the last closed candle says against a trade: a quorum, a playbook."""
        found = self.desk.closed_row(trade.pair, at)
        if found is None:
            return None
        table, row = found
        settings = self.desk.settings
        if settings.exits.reversal and table.entry[row] == (1 if trade.is_short else -1):
            return REASONS[OPPOSITE]
        enters = -1 if table.playbook is None else int(table.playbook[row])
        if enters >= 0 and settings.enabled_playbooks()[enters].supersedes:
            return SUPERSEDED
        return None


def anchor_stops(trades: Iterable[Trade]) -> None:
    """Keep the stop of every trade where it is when a part of the trade goes.

    The host keeps a stop as a fraction of the price at the look at which it was set, and lays
    that fraction off from the entry once an exit fills. A bot looks after the fill: where the
    price has gone on against the trade meanwhile, the stop would come nearer than it was. So
    the fraction is made that of the entry. A stop in profit is safe: the host only tightens.
    """
    for trade in trades:
        if trade.stop_loss and trade.open_rate and trade.stop_loss_pct is not None:
            share = abs(1.0 - trade.stop_loss / trade.open_rate)
            trade.stop_loss_pct = -share * (trade.leverage or 1.0)


def _taken_out(trade: Trade) -> bool:
    """Whether a part of the trade has been sold."""
    return any(o.ft_order_side == trade.exit_side and (o.filled or 0) > 0 for o in trade.orders)
