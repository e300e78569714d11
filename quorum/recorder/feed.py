"""Feed: the streams of an exchange, through the host's exchange library, into a buffer.

Each pair and channel is watched by itself. Trades are checked by their numbers where they have
some: what is missing is told as a gap and asked for over REST; what comes twice is kept once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ccxt.base.errors import BaseError, NotSupported

from quorum.recorder.buffer import Buffer
from quorum.recorder.settings import RecorderSettings

logger = logging.getLogger(__name__)

LEVELS = 20
#: Trades asked for at once, and remembered by number, per pair.
BACKFILL, REMEMBERED = 1000, 5000
#: Seconds until a stream that failed is opened again, doubled up to the second number.
RETRY, LONGEST_RETRY = 1.0, 30.0
UNKNOWN = -1


class Feed:
    """Watches an exchange.

    Parameters
    ----------
    exchange : ccxt.pro exchange
    pairs : sequence of str
    buffer : Buffer
    settings : RecorderSettings
    """

    def __init__(
        self, exchange: Any, pairs: Sequence[str], buffer: Buffer, settings: RecorderSettings
    ) -> None:
        self.exchange = exchange
        self.pairs = tuple(pairs)
        self.buffer = buffer
        self.settings = settings
        #: Exchange time of the last row, and why the stream broke since, by channel and pair.
        self._last: dict[tuple[str, str], int] = {}
        self._broke: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        self._seen: dict[str, OrderedDict[str, None]] = {pair: OrderedDict() for pair in pairs}
        self._booked: dict[str, float] = {}
        self._told: set[tuple[str, str]] = set()

    def resume(self, pair: str, number: str, at: int) -> None:
        """Go on behind a trade that was recorded before."""
        if number.isdigit():
            self._numbers[pair] = int(number)
            self._last["trades", pair] = at
            self._broke["trades", pair] = "not running"

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop."""
        await self.exchange.load_markets()
        watches: dict[str, Callable[[str], Awaitable[None]]] = {
            "trades": self._watch_trades,
            "books": self._watch_book,
        }
        if self.exchange.has.get("watchLiquidations"):
            watches["liquidations"] = self._watch_liquidations
        if self.exchange.has.get("watchMarkPrice"):
            watches["marks"] = self._watch_mark
        tasks = [
            asyncio.create_task(self._keep(channel, pair, watch))
            for channel, watch in watches.items()
            for pair in self.pairs
        ]
        tasks += [
            asyncio.create_task(self._keep("interest", pair, self._poll)) for pair in self.pairs
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.exchange.close()

    async def _keep(self, channel: str, pair: str, watch: Callable[[str], Awaitable[None]]) -> None:
        """Watch again and again; what breaks is noted and opened anew."""
        wait = RETRY
        while True:
            try:
                await watch(pair)
                wait = RETRY
            except NotSupported as error:
                logger.warning("%s of %s are not recorded: %s", channel, pair, error)
                return
            except BaseError as error:
                reason = type(error).__name__
                self._broke.setdefault((channel, pair), reason)
                if (channel, reason) not in self._told:
                    self._told.add((channel, reason))
                    logger.warning("%s of %s broke off and go on: %s", channel, pair, error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY)

    # Channels -----------------------------------------------------------------------------

    async def _watch_trades(self, pair: str) -> None:
        trades = await self.exchange.watch_trades(pair, params={"name": "aggTrade"})
        for trade in trades:
            await self._trade(pair, trade)

    async def _trade(self, pair: str, trade: Mapping[str, Any]) -> None:
        number = _number(trade)
        last = self._numbers.get(pair)
        if number is not None:
            if last is not None and number > last + 1:
                await self._backfill(pair, last, number, trade)
            elif number == (last or 0) + 1:
                # The stream may have broken off, but nothing was missed.
                self._broke.pop(("trades", pair), None)
            self._numbers[pair] = max(number, last or number)
        else:
            self._after("trades", pair, int(trade["timestamp"]))
        self._put_trade(pair, trade, backfilled=False)

    async def _backfill(self, pair: str, last: int, number: int, trade: Mapping[str, Any]) -> None:
        """Tell that trades are missing between two numbers, and ask for them."""
        reason = self._broke.pop(("trades", pair), "sequence")
        began, ended = self._last.get(("trades", pair), 0), int(trade["timestamp"])
        gap = (pair, began, _now(), "trades", ended, reason, number - last - 1)
        self.buffer.put("gaps", gap)
        following = last + 1
        while following < number:
            try:
                found = await self._ask_for_trades(pair, following, began)
            except BaseError as error:
                logger.warning("%s: trades from %d on are lost: %s", pair, following, error)
                return
            missing = [t for t in found if following <= (_number(t) or 0) < number]
            if not missing:
                return
            for each in missing:
                self._put_trade(pair, each, backfilled=True)
            following = max(_number(t) or 0 for t in missing) + 1

    async def _ask_for_trades(self, pair: str, number: int, since: int) -> list[dict[str, Any]]:
        """Return trades from a number on; most exchanges know only a time to begin at."""
        known_by_number = self.exchange.id.startswith("binance")
        more = {"fromId": number} if known_by_number else {}
        begin = None if known_by_number else since
        found: list[dict[str, Any]] = await self.exchange.fetch_trades(pair, begin, BACKFILL, more)
        return found

    def _put_trade(self, pair: str, trade: Mapping[str, Any], *, backfilled: bool) -> None:
        seen, name = self._seen[pair], str(trade["id"])
        if name in seen:
            return
        seen[name] = None
        if len(seen) > REMEMBERED:
            seen.popitem(last=False)
        at = int(trade["timestamp"])
        self._last["trades", pair] = max(at, self._last.get(("trades", pair), 0))
        buys = trade["side"] == "buy"
        row = (pair, at, _now(), name, float(trade["price"]), float(trade["amount"]), buys)
        self.buffer.put("trades", (*row, backfilled))

    async def _watch_book(self, pair: str) -> None:
        book = await self.exchange.watch_order_book(pair, LEVELS)
        now = time.time()
        if now - self._booked.get(pair, 0.0) < self.settings.book_seconds:
            return
        self._booked[pair] = now
        received = _now()
        at = int(book.get("timestamp") or received)
        self._after("books", pair, at)
        sides = [book["bids"][:LEVELS], book["asks"][:LEVELS]]
        levels = [[float(level[i]) for level in side] for side in sides for i in (0, 1)]
        self.buffer.put("books", (pair, at, received, int(book.get("nonce") or at), *levels))

    async def _watch_liquidations(self, pair: str) -> None:
        for found in await self.exchange.watch_liquidations(pair):
            at = int(found["timestamp"])
            self._after("liquidations", pair, at)
            amount = float(found["contracts"]) * float(found["contractSize"] or 1.0)
            # The order that closes a long sells.
            of_longs = found["side"] == "sell"
            self.buffer.put(
                "liquidations", (pair, at, _now(), float(found["price"]), amount, of_longs)
            )

    async def _watch_mark(self, pair: str) -> None:
        found = await self.exchange.watch_mark_price(pair)
        received = _now()
        at = int(found.get("timestamp") or received)
        self._after("marks", pair, at)
        info = found.get("info") or {}
        mark, index = float(found["markPrice"]), float(found.get("indexPrice") or "nan")
        rate = float(info.get("r") or "nan")
        self.buffer.put("marks", (pair, at, received, mark, index, rate))

    async def _poll(self, pair: str) -> None:
        """Ask for what no stream tells."""
        found = await self.exchange.fetch_open_interest(pair)
        received = _now()
        at = int(found.get("timestamp") or received)
        amount = float(found.get("openInterestAmount") or "nan")
        value = float(found.get("openInterestValue") or "nan")
        self.buffer.put("interest", (pair, at, received, amount, value))
        if self.exchange.has.get("fetchLongShortRatioHistory"):
            await self._ratio(pair)
        await asyncio.sleep(self.settings.poll_seconds)

    async def _ratio(self, pair: str) -> None:
        try:
            ratios = await self.exchange.fetch_long_short_ratio_history(pair, "5m", None, 1)
        except BaseError as error:
            if ("ratios", pair) not in self._told:
                self._told.add(("ratios", pair))
                logger.warning("long/short ratios of %s are not recorded: %s", pair, error)
            return
        for ratio in ratios:
            row = (pair, int(ratio["timestamp"]), _now(), float(ratio["longShortRatio"]))
            self.buffer.put("ratios", row)

    def _after(self, channel: str, pair: str, at: int) -> None:
        """Tell of the gap before a row, if its stream had broken off."""
        reason = self._broke.pop((channel, pair), None)
        last = self._last.get((channel, pair))
        if reason is not None and last is not None:
            self.buffer.put("gaps", (pair, last, _now(), channel, at, reason, UNKNOWN))
        self._last[channel, pair] = at


def _number(trade: Mapping[str, Any]) -> int | None:
    text = str(trade.get("id") or "")
    return int(text) if text.isdigit() else None


def _now() -> int:
    # Not time_ns: on the local exchange's clock, time.time() is the exchange's.
    return int(time.time() * 1000)
