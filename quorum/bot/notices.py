"""Notices: the essentials of the trade card through the host's own channels.

Telegram, Discord, webhook and websocket get them as the host's strategy messages
(``dp.send_msg``), where ``allow_custom_messages`` is on: see ``overlays/``. Outside dry-run and
live trading nothing is said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import RunMode
from freqtrade.persistence import Order, Trade

from quorum.bot.desk import Desk
from quorum.bot.models import BotModels
from quorum.entry import Signal
from quorum.exits.management import LADDER_TAG
from quorum.playbooks import playbook_of

logger = logging.getLogger(__name__)

#: What Discord takes in one field; the other channels take more [characters].
LONGEST = 1000
#: Telegram refuses a message in which one of its marks is left open.
_MARKS = str.maketrans({"_": " ", "*": "", "`": "'", "[": "(", "]": ")"})
_SIDE = {1: "long", -1: "short", 0: "flat"}


def plain(text: str) -> str:
    """Return a text that every channel shows as it is, cut where it is too long for one."""
    text = text.translate(_MARKS)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def say(dp: DataProvider, text: str) -> None:
    """Send a text through every channel of the bot; silent in a simulation."""
    dp.send_msg(plain(text), always_send=True)


class Notices:
    """Tells of entries, rungs, exits and models.

    Parameters
    ----------
    dp : DataProvider
        The strategy's.
    desk : Desk
        Knows the signal of a trade.
    """

    def __init__(self, dp: DataProvider, desk: Desk) -> None:
        self._dp = dp
        self._desk = desk
        self._silent = dp.runmode not in (RunMode.DRY_RUN, RunMode.LIVE)
        self._chain: str | None = None

    def filled(self, trade: Trade, order: Order) -> None:
        """Tell of an order that has filled; call this after the desk has stored the signal."""
        if self._silent or not order.safe_filled:
            return
        if playbook_of(trade.enter_tag) is not None:
            text = playbook_line(trade, order)
            logger.info("Filled: %s", text)
            say(self._dp, text)
            return
        signal = self._desk.signal_of(trade)
        if order.ft_order_side == trade.entry_side:
            say(self._dp, "\n".join(entry_lines(trade, signal)))
        else:
            say(self._dp, "\n".join(exit_lines(trade, order, signal)))

    def learned(self, models: BotModels | None) -> None:
        """Tell once of each chain of models that a running bot takes up."""
        if self._silent or models is None:
            return
        used = models.in_use()
        if used is not None:
            self.models(*used)

    def models(self, chain: str, cut_off: datetime, details: str = "") -> None:
        """Tell once that another chain of models votes from now on."""
        if self._silent or chain == self._chain:
            return
        self._chain = chain
        more = f" {details}" if details else ""
        say(self._dp, f"Quorum models: chain {chain}, trained until {cut_off:%Y-%m-%d}.{more}")


def playbook_line(trade: Trade, order: Order) -> str:
    """Return what a fill of a playbook's trade was, why, and what is held after it."""
    why = (order.ft_order_tag or trade.exit_reason or "found at the exchange").replace("_", " ")
    sign = "+" if order.ft_order_side == trade.entry_side else "-"
    left = f"{trade.amount:g} held" if trade.is_open else f"closed, {trade.close_profit_abs:+.2f}"
    return (
        f"{trade.pair} #{trade.id} {why}: {sign}{order.safe_filled:g} at {order.safe_price:g}, {left}"
    )


def entry_lines(trade: Trade, signal: Signal | None) -> Iterator[str]:
    """Yield what is worth knowing of a trade just opened."""
    side = "short" if trade.is_short else "long"
    value = trade.amount * trade.open_rate
    yield (
        f"{trade.pair} {side} #{trade.id} at {trade.open_rate:g}, "
        f"{value:.2f} {trade.stake_currency}"
    )
    if signal is None:
        yield "no signal is stored with this trade"
        return
    yield (
        f"{signal.confidence_band.replace('_', ' ')} band: {signal.agreeing_heads} of "
        f"{signal.total_heads} heads, confidence {signal.consensus_confidence:.2f}, "
        f"{signal.position_size_pct:.2f} % of capital"
    )
    yield (
        f"{signal.signal_quality} quality, probability {signal.consensus_probability:.2f}, "
        f"confluence {signal.confluence_score:.0f}"
    )
    yield (
        f"zone {words(signal.entry_zone_status)}, {words(signal.entry_strategy)} entry, "
        f"regime {words(signal.regime)}, liquidation risk {flag(signal.liquidation_risk_detected)}, "
        f"extreme leverage {flag(signal.extreme_leverage_detected)}"
    )
    yield (
        f"promised: {signal.promise}; "
        f"at risk {signal.risk_amount:.2f} for {signal.reward_amount:.2f}"
    )
    risk = abs(signal.entry_price - signal.stop_loss)
    yield (
        f"stop {signal.stop_loss:g} ({signal.stop_kind.replace('_', ' ')}, "
        f"{risk / signal.entry_price:.2%} away)"
    )
    rungs = zip(signal.ladder, signal.ladder_shares, strict=True)
    yield "targets " + ", ".join(
        f"{price:g} {share:.0%} ({abs(price - signal.entry_price) / risk:.1f} R)"
        for price, share in rungs
    )
    yield from _votes(signal)
    if "hybrid_reasoning" in signal.context:
        yield str(signal.context["hybrid_reasoning"])
    if signal.reasons:
        yield f"size: {', '.join(signal.reasons)}"
    if signal.warnings:
        yield f"beware: {'; '.join(signal.warnings)}"


def words(code: str | None) -> str:
    """Return a code in words."""
    return "not known" if code is None else code.replace("_", " ")


def flag(known: bool | None) -> str:
    """Return yes, no, or that it is not known."""
    return "not known" if known is None else "yes" if known else "no"


def _votes(signal: Signal) -> Iterator[str]:
    """Yield the heads for and against, the reasons of those that count most first."""
    for word, wanted in (("for", signal.direction), ("against", -signal.direction)):
        heads = [(name, v) for name, v in signal.votes.items() if v.direction == wanted]
        heads.sort(key=lambda item: -item[1].confidence)
        if heads:
            told = "; ".join(f"{name} {v.probability:.2f} {v.reason}".rstrip() for name, v in heads)
            yield f"{word}: {told}"


def exit_lines(trade: Trade, order: Order, signal: Signal | None) -> Iterator[str]:
    """Yield what is worth knowing of an exit order that has filled."""
    tag = order.ft_order_tag or trade.exit_reason or "exit"
    side = "short" if trade.is_short else "long"
    name = f"{trade.pair} {side} #{trade.id}"
    money = trade.stake_currency
    if trade.is_open:
        part = tag.replace("_", " ")
        if tag.startswith(LADDER_TAG) and signal is not None:
            part = f"target {tag.removeprefix(LADDER_TAG)} of {len(signal.ladder)}"
        yield f"{name}: {part} at {order.safe_price:g}, {order.safe_filled:g} out"
        yield f"{trade.amount:g} left, realised {trade.realized_profit:+.2f} {money}"
        return
    profit = trade.close_profit_abs or 0.0
    known = signal is not None and signal.risk_amount > 0
    multiple = f", {profit / signal.risk_amount:+.2f} R" if signal is not None and known else ""
    yield f"{name} closed at {order.safe_price:g}: {(trade.exit_reason or tag).replace('_', ' ')}"
    closed = trade.close_date_utc or order.order_filled_utc or order.order_date_utc
    hours = (closed - trade.open_date_utc).total_seconds() / 3600
    yield (
        f"{profit:+.2f} {money} ({trade.close_profit or 0.0:+.2%}{multiple}) after {hours:.1f} h"
    )
    if signal is not None:
        yield f"opened on {signal.tag}, promised {signal.expected_win_rate:.0%} wins"
