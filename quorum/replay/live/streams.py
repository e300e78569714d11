"""Market streams of the local exchange: Binance's websockets, with the faults they have.

``<symbol>@aggTrade``, ``@depth@100ms`` and ``@500ms``, ``@forceOrder``, ``@markPrice@1s``,
subscribed to by message. Books are sent as differences with Binance's update ids, to be joined to
a snapshot from ``GET /fapi/v1/depth``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from quorum.errors import DataError
from quorum.replay.live.exchange import Exchange
from quorum.replay.live.faults import Kind
from quorum.replay.live.flow import TRADE_MS, aggregate_trade, liquidation_at, trade_at
from quorum.replay.live.market import Listing
from quorum.replay.live.orders import plain
from quorum.replay.live.public import MAX_LEVELS, MarketData
from quorum.replay.server import HOST, Request, Service

logger = logging.getLogger(__name__)

#: Real seconds between two looks at the exchange's clock.
PACE = 0.05
MARK_MS = 1000
#: In the path of the spot market's streams: by it the host's exchange library tells them apart.
SPOT = "/stream"
Events = Iterator[dict[str, Any]]


@dataclass
class _Stream:
    """One subscription of one connection, and how far it has been served."""

    name: str
    listing: Listing
    data: MarketData
    events: Callable[[_Stream, int], Events]
    every: int
    told: int
    update: int = 0


class StreamServer(Service):
    """Serves the streams while its context is open.

    Parameters
    ----------
    exchange : Exchange
    port : int, default=0
        0 takes a free one.
    """

    def __init__(self, exchange: Exchange, port: int = 0) -> None:
        self.exchange = exchange
        self._wanted = port
        self._server: Server | None = None
        self._thread: Thread | None = None
        self._open: set[ServerConnection] = set()

    @property
    def port(self) -> int:
        """The port it listens on; 0 while stopped."""
        return int(self._server.socket.getsockname()[1]) if self._server else 0

    def ccxt_urls(self) -> dict[str, str]:
        """Return the addresses of the streams, as the host's exchange library names them."""
        url = f"ws://{HOST}:{self.port}/ws"
        return {"linear": url, "spot": f"{url}{SPOT}", "margin": f"{url}{SPOT}"}

    def start(self) -> Self:
        """Begin to serve; raises ``DataError`` if the port is in use."""
        if self._server is None:
            try:
                self._server = serve(self._serve, HOST, self._wanted, compression=None)
            except OSError as error:
                raise DataError(f"port {self._wanted} on {HOST} cannot be used: {error}") from error
            self._thread = Thread(target=self._server.serve_forever, name="streams", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self.disconnect()
            self._thread.join()
            self._server = self._thread = None

    def disconnect(self) -> None:
        """Close every connection, as the exchange does after 24 hours."""
        for connection in list(self._open):
            connection.close(1001, "disconnected after 24 hours")

    # One connection -----------------------------------------------------------------------

    def _serve(self, connection: ServerConnection) -> None:
        streams: dict[str, _Stream] = {}
        path = "" if connection.request is None else connection.request.path
        data = MarketData(self.exchange, "spot" if SPOT in path else "futures")
        self._open.add(connection)
        try:
            while True:
                with suppress(TimeoutError):
                    message = json.loads(connection.recv(timeout=PACE))
                    self._hear(connection, message, streams, data)
                self._send(connection, streams)
        except ConnectionClosed:
            logger.debug("a client of the streams has gone")
        finally:
            self._open.discard(connection)

    def _hear(
        self,
        connection: ServerConnection,
        message: dict[str, Any],
        streams: dict[str, _Stream],
        data: MarketData,
    ) -> None:
        names = message.get("params", [])
        for name in names:
            if message.get("method") == "UNSUBSCRIBE":
                streams.pop(name, None)
            elif name not in streams:
                streams[name] = self._stream(name, data)
        connection.send(json.dumps({"result": None, "id": message.get("id")}))

    def _stream(self, name: str, data: MarketData) -> _Stream:
        symbol, _, kind = name.partition("@")
        listing = self.exchange.market.listings(data.mode).get(symbol.upper())
        events = {
            "aggTrade": (_trades, TRADE_MS),
            "forceOrder": (_liquidations, TRADE_MS),
            "depth@100ms": (self._depth, 100),
            "depth@500ms": (self._depth, 500),
            "markPrice@1s": (self._marks, MARK_MS),
        }.get(kind)
        now = self.exchange.clock.now()
        if listing is None or events is None:
            raise DataError(f"stream {name!r}: not served")
        return _Stream(name, listing, data, *events, told=now // events[1], update=now)

    def _send(self, connection: ServerConnection, streams: dict[str, _Stream]) -> None:
        now = self.exchange.clock.now()
        held: list[str] = []
        for stream in streams.values():
            due = now // stream.every
            for event in stream.events(stream, due) if due > stream.told else ():
                text = json.dumps(event | {"E": now})
                if self._befalls("stream_closed", stream, now):
                    connection.close(1001, "closed by a fault")
                    return
                if self._befalls("stream_lost", stream, now):
                    continue
                if self._befalls("stream_swapped", stream, now):
                    held.append(text)
                    continue
                connection.send(text)
                if self._befalls("stream_twice", stream, now):
                    connection.send(text)
                for late in held:
                    connection.send(late)
                held.clear()
            stream.told = max(stream.told, due)
        for late in held:
            connection.send(late)

    def _befalls(self, kind: Kind, stream: _Stream, now: int) -> bool:
        symbol = {"symbol": stream.listing.rules.symbol}
        request = Request("GET", f"/ws/{stream.name}", symbol)
        return self.exchange.faults.strike(kind, now, request) is not None

    # What is told -------------------------------------------------------------------------

    def _depth(self, stream: _Stream, due: int) -> Events:
        """Tell the book as it is, and that nothing is left of where the price has been since.

        So a snapshot of any moment between two events becomes the book of the second.
        """
        before, now = stream.update, due * stream.every
        listing, tick = stream.listing, stream.listing.rules.tick_size
        bids, asks = stream.data._levels(listing, now, MAX_LEVELS)
        path = [listing.price(before), listing.price(now)]
        path += [corner.price for corner in listing.trades.corners(before, now)]
        width = MAX_LEVELS + self.exchange.settings.spread
        low, high = round(min(path) / tick) - width, round(max(path) / tick) + width
        passed = [plain(round(number * tick, 10)) for number in range(low, high + 1)]
        changed = {
            side: [*([p, "0"] for p in passed if p not in fresh), *fresh.items()]
            for side, fresh in (("b", dict(bids)), ("a", dict(asks)))
        }
        stream.update = now
        ids = {"U": before + 1, "u": now, "pu": before}
        yield {"e": "depthUpdate", "T": now, "s": listing.rules.symbol, **ids, **changed}

    def _marks(self, stream: _Stream, due: int) -> Events:
        told = stream.data.premium(stream.listing, due * stream.every)
        yield {
            "e": "markPriceUpdate",
            "s": told["symbol"],
            "p": told["markPrice"],
            "i": told["indexPrice"],
            "P": told["estimatedSettlePrice"],
            "r": told["lastFundingRate"],
            "T": told["nextFundingTime"],
        }


def _trades(stream: _Stream, due: int) -> Events:
    for number in range(stream.told + 1, due + 1):
        trade = aggregate_trade(trade_at(stream.listing, number))
        yield {"e": "aggTrade", "s": stream.listing.rules.symbol, **trade}


def _liquidations(stream: _Stream, due: int) -> Events:
    for number in range(stream.told + 1, due + 1):
        order = liquidation_at(stream.listing, number)
        if order is not None:
            yield {"e": "forceOrder", "o": order}
