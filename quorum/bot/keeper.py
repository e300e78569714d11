"""Keeper: what an open trade does next, as the host's callbacks ask for it (spec P3, P4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from freqtrade.persistence import Order, Trade

from quorum.bot.desk import Desk
from quorum.context.zones import IMMEDIATE
from quorum.entry import Signal
from quorum.exits.management import (
    LADDER_TAG,
    REVERSAL_TAG,
    STOP_PASSED,
    Candle,
    ManagementSettings,
    Standing,
    exit_now,
    passes_stop,
    rung_share,
    stop_now,
    takes_half,
)


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
    def settings(self) -> ManagementSettings:
        """How trades are managed now; hyperopt changes it."""
        return self.desk.settings.exits.management

    def _candle(self, trade: Trade, at: datetime) -> Candle:
        """Return what the last closed candle says, nothing for one before the entry."""
        found = self.desk.closed_row(trade.pair, at)
        if found is None:
            return Candle()
        table, row = found
        m = table.columns
        chandelier = m["chandelier_short" if trade.is_short else "chandelier_long"]
        # The candle the trade was opened on is part of its signal, not news.
        if int(table.time[row]) < int(trade.open_date_utc.timestamp() * 1000):
            return Candle(float(chandelier[row]))
        return Candle(
            float(chandelier[row]),
            int(m["near_reversal"][row]),
            int(m["far_reversal"][row]),
            int(m["divergence"][row]),
        )

    @staticmethod
    def _standing(
        trade: Trade,
        rate: float | None = None,
        best: float | None = None,
        before: datetime | None = None,
    ) -> Standing:
        """Return how a trade stands; exits filled at or after ``before`` do not count."""
        exits = [
            o.ft_order_tag or ""
            for o in trade.orders
            if o.ft_order_side == trade.exit_side
            and not o.ft_is_open
            and (o.filled or 0) > 0
            and (before is None or (o.order_filled_utc or before) < before)
        ]
        return Standing(
            direction=-1 if trade.is_short else 1,
            entry=trade.open_rate,
            stop=trade.stop_loss,
            best=best or trade.open_rate,
            rate=rate or trade.open_rate,
            rungs=sum(tag.startswith(LADDER_TAG) for tag in exits),
            halved=REVERSAL_TAG in exits,
        )

    def _closed(self, trade: Trade, signal: Signal, at: datetime) -> tuple[float, float]:
        """Return the best price and the last close of the candles closed since the entry.

        The candle under way does not count: on candles of an hour the host shows its extreme
        before it asks whether the stop was hit, so a stop moved by it would be hit by a price
        that came before. A candle within which a waiting order filled does not count either.
        """
        found = self.desk.closed_row(trade.pair, at)
        filled = trade.date_entry_fill_utc
        if found is None or filled is None:
            return trade.open_rate, trade.open_rate
        table, last = found
        step = self.desk.step
        opened = int(filled.timestamp() * 1000) // step * step
        if signal.entry_strategy != IMMEDIATE:
            opened += step
        first = int(np.searchsorted(table.time, opened))
        if first > last:
            return trade.open_rate, trade.open_rate
        m = table.columns
        if trade.is_short:
            best = min(trade.open_rate, float(m["low"][first : last + 1].min()))
        else:
            best = max(trade.open_rate, float(m["high"][first : last + 1].max()))
        return best, float(m["close"][last])

    def _wanted(self, trade: Trade, signal: Signal, at: datetime) -> tuple[float, float]:
        """Return the stop that belongs to a trade now, and the last close it knows of.

        It moves by closed candles and by rungs filled before the candle under way, so it is
        the same on candles of any length, in a backtest and live.
        """
        best, close = self._closed(trade, signal, at)
        step = timedelta(milliseconds=self.desk.step)
        began = at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % step
        standing = self._standing(trade, close, best, began)
        candle = self._candle(trade, at)
        moved = stop_now(standing, candle, self.settings, signal.trailing_stop)
        # The stop of the signal replaces the wide one the host begins with: at the first fill,
        # or at the first look of a bot that was not there when the order filled.
        d = standing.direction
        return max(moved * d, signal.stop_loss * d) * d, close

    def stop(self, trade: Trade, at: datetime, *, after_fill: bool) -> float | None:
        """Return the stop price to put in force now, None to leave it where it is."""
        signal = self.desk.signal_of(trade)
        if signal is None or (after_fill and _taken_out(trade)):
            # After a part is taken out the stop stays: the host would keep it as a fraction of
            # that price and lay the fraction off from the entry, nearer than it was.
            return None
        stop, close = self._wanted(trade, signal, at)
        if after_fill:
            return stop
        d = -1 if trade.is_short else 1
        passed = passes_stop(d, trade.stop_loss, stop, close)
        return stop if d * (stop - trade.stop_loss) > 0 and not passed else None

    def target(self, trade: Trade) -> float | None:
        """Return the price at which all that is left goes, None while rungs come before it."""
        signal = self.desk.signal_of(trade)
        if signal is None:
            return None
        last = len(signal.ladder) - 1
        if last > 0 and self._standing(trade).rungs < last:
            return None
        return signal.ladder[last]

    def take_out(self, trade: Trade, at: datetime, rate: float) -> tuple[float, str] | None:
        """Return the stake to take out and the order's tag, None for nothing.

        A near reversal takes its part at the market; else the next rung of the ladder rests at
        its price until it fills, or is taken at ``rate`` where none can rest. Nothing while an
        exit may rest that the host does not know.
        """
        signal = self.desk.signal_of(trade)
        if signal is None or self.desk.unsettled:
            return None
        standing = self._standing(trade)
        if takes_half(standing, self._candle(trade, at), self.settings):
            return -trade.stake_amount * self.settings.reversal_share, REVERSAL_TAG
        rung = standing.rungs
        if trade.has_open_orders or rung >= len(signal.ladder) - 1:
            return None
        if not self.levels_rest and standing.direction * (rate - signal.ladder[rung]) < 0:
            return None
        share = rung_share(signal.ladder_shares, rung)
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
        return (at - order.order_date_utc).total_seconds() / 60 >= self.settings.exit_patience

    def exit_reason(self, trade: Trade, at: datetime, rate: float) -> str | None:
        """Return why a trade must end at the market now, None to keep it."""
        signal = self.desk.signal_of(trade)
        if signal is None:
            return None
        age = (at - trade.open_date_utc).total_seconds() / 3600
        standing = self._standing(trade, rate)
        reason = exit_now(standing, self._candle(trade, at), age, self.settings)
        if reason is not None:
            return reason
        stop, close = self._wanted(trade, signal, at)
        d = standing.direction
        worse = min(d * close, d * rate) * d
        return STOP_PASSED if passes_stop(d, trade.stop_loss, stop, worse) else None


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
