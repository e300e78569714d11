"""Market data endpoints of Binance, spot and USDT futures, as of the exchange's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quorum.candles import MINUTE_MS, TIMEFRAMES, Candles, timeframe_ms
from quorum.replay.binance import BAD_SYMBOL, day_ticker, futures_symbol, spot_symbol
from quorum.replay.datadir import TradingMode
from quorum.replay.live.exchange import Exchange
from quorum.replay.live.flow import TRADE_MS, aggregate_trade, trade_at
from quorum.replay.live.market import FUNDING_MS, Listing, Tape
from quorum.replay.live.orders import plain, refuse
from quorum.replay.server import Handler, Request

#: Numbers of Binance's errors.
BAD_INTERVAL = -1120
MANDATORY = -1102
#: Largest answers.
MAX_KLINES = 1500
MAX_ROWS = 1000
MAX_LEVELS = 20
#: Intervals of funding settlements, hours.
FUNDING_HOURS = 8


def public_routes(exchange: Exchange) -> dict[tuple[str, str], Handler]:
    """Return the market data endpoints."""
    routes: dict[tuple[str, str], Handler] = {}
    modes: tuple[tuple[str, TradingMode], ...] = (("/fapi/v1", "futures"), ("/api/v3", "spot"))
    for prefix, mode in modes:
        data = MarketData(exchange, mode)
        routes |= {
            ("GET", f"{prefix}/{name}"): handler
            for name, handler in {
                "ping": lambda _request: {},
                "time": data.time,
                "exchangeInfo": data.exchange_info,
                "klines": data.klines(lambda listing: listing.trades),
                "ticker/24hr": data.each(data.day),
                "ticker/price": data.each(data.last),
                "ticker/bookTicker": data.each(data.book_ticker),
                "depth": data.depth,
                "trades": data.trades,
                "aggTrades": data.aggregate_trades,
            }.items()
        }
    futures = MarketData(exchange, "futures")
    extra: dict[str, Handler] = {
        "markPriceKlines": futures.klines(lambda listing: listing.mark),
        "indexPriceKlines": futures.klines(lambda listing: listing.index),
        "premiumIndexKlines": futures.premium_klines,
        "premiumIndex": futures.each(futures.premium),
        "fundingRate": futures.funding_rates,
        "fundingInfo": lambda _request: [],
        "openInterest": futures.open_interest,
    }
    routes |= {("GET", f"/fapi/v1/{name}"): handler for name, handler in extra.items()}
    routes["GET", "/futures/data/openInterestHist"] = futures.open_interest_history
    return routes


class MarketData:
    """Handlers of one trading mode."""

    def __init__(self, exchange: Exchange, mode: TradingMode) -> None:
        self.exchange = exchange
        self.mode: TradingMode = mode

    def time(self, request: Request) -> object:
        """Answer what time it is."""
        return {"serverTime": self.exchange.told_time(request)}

    def exchange_info(self, request: Request) -> object:
        """Answer with the symbols and their rules."""
        describe = futures_symbol if self.mode == "futures" else spot_symbol
        listings = self.exchange.market.listings(self.mode).values()
        return {
            "timezone": "UTC",
            "serverTime": self.exchange.told_time(request),
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [describe(listing.rules) for listing in listings],
        }

    def listing(self, request: Request) -> Listing:
        """Return the symbol a request is about."""
        name = request.parameters.get("symbol") or request.parameters.get("pair")
        if not name:
            refuse(MANDATORY, "Mandatory parameter 'symbol' was not sent.")
        found = self.exchange.market.listings(self.mode).get(name)
        if found is None:
            refuse(BAD_SYMBOL, "Invalid symbol.")
        return found

    def each(self, describe: Callable[[Listing, int], dict[str, Any]]) -> Handler:
        """Return a handler that answers for one symbol, or for all."""

        def handler(request: Request) -> object:
            now = self.exchange.seen_time(request)
            if "symbol" in request.parameters:
                return describe(self.listing(request), now)
            listings = self.exchange.market.listings(self.mode).values()
            wanted = request.parameters.get("symbols")
            return [
                describe(listing, now)
                for listing in listings
                if wanted is None or f'"{listing.rules.symbol}"' in wanted
            ]

        return handler

    def klines(self, tape: Callable[[Listing], Tape]) -> Handler:
        """Return the handler of one kind of candles."""

        def handler(request: Request) -> object:
            listing = self.listing(request)
            now = self.exchange.seen_time(request)
            candles = _interval(tape(listing), request).seen(request.parameters["interval"], now)
            if candles is None:
                refuse(BAD_INTERVAL, "Invalid interval.")
            rows = _window(candles.time, request, MAX_KLINES, 500)
            return self.exchange.thinned(request, _klines(candles, rows))

        return handler

    def premium_klines(self, request: Request) -> object:
        """Answer with candles of the premium over the index price."""
        listing = self.listing(request)
        now = self.exchange.seen_time(request)
        recorded = listing.tape("premiumIndex")
        interval = request.parameters.get("interval", "")
        if recorded:
            return self.klines(lambda _listing: recorded)(request)
        futures = _interval(listing.trades, request).seen(interval, now)
        index = listing.index.seen(interval, now)
        if futures is None or index is None:
            refuse(BAD_INTERVAL, "Invalid interval.")
        _, mine, theirs = np.intersect1d(futures.time, index.time, return_indices=True)
        first = futures.open[mine] / index.open[theirs] - 1.0
        last = futures.close[mine] / index.close[theirs] - 1.0
        columns = np.maximum(first, last), np.minimum(first, last)
        premium = Candles(interval, futures.time[mine], first, *columns, last, np.zeros(len(mine)))
        rows = _window(premium.time, request, MAX_KLINES, 500)
        return self.exchange.thinned(request, _klines(premium, rows))

    def day(self, listing: Listing, now: int) -> dict[str, Any]:
        """Describe the last 24 hours of a symbol."""
        told = day_ticker(listing.ticker(now))
        book = self.book_ticker(listing, now)
        told["lastPrice"] = plain(self.exchange.quoted(self.mode, listing, now))
        if self.mode == "spot":
            told |= {name: book[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}
        return told

    def last(self, listing: Listing, now: int) -> dict[str, Any]:
        """Describe the last price of a symbol."""
        price = plain(self.exchange.quoted(self.mode, listing, now))
        return {"symbol": listing.rules.symbol, "price": price, "time": now}

    def book_ticker(self, listing: Listing, now: int) -> dict[str, Any]:
        """Describe the best bid and ask of a symbol."""
        bids, asks = self._levels(listing, now, 1)
        return {
            "symbol": listing.rules.symbol,
            "bidPrice": bids[0][0],
            "bidQty": bids[0][1],
            "askPrice": asks[0][0],
            "askQty": asks[0][1],
            "time": now,
        }

    def depth(self, request: Request) -> object:
        """Answer with the order book."""
        listing = self.listing(request)
        now = self.exchange.seen_time(request)
        wanted = _number(request, "limit", MAX_LEVELS)
        bids, asks = self._levels(listing, now, max(1, min(wanted, MAX_LEVELS)))
        return {"lastUpdateId": now, "E": now, "T": now, "bids": bids, "asks": asks}

    def _levels(self, listing: Listing, now: int, n: int) -> tuple[list[list[str]], ...]:
        """Return bids and asks around the price; the spread is a setting."""
        settings, tick = self.exchange.settings, listing.rules.tick_size
        price = self.exchange.quoted(self.mode, listing, now)
        quantity = plain(float(np.ceil(settings.depth / price)))
        bids = [round(price - tick * i, 10) for i in range(n)]
        asks = [round(price + tick * (settings.spread + i), 10) for i in range(n)]
        return (
            [[plain(p), quantity] for p in bids if p > 0],
            [[plain(p), quantity] for p in asks],
        )

    def trades(self, request: Request) -> object:
        """Answer with the last trades."""
        return [
            {
                "id": trade["a"],
                "price": trade["p"],
                "qty": trade["q"],
                "quoteQty": plain(float(trade["p"]) * float(trade["q"])),
                "time": trade["T"],
                "isBuyerMaker": trade["m"],
            }
            for trade in self._made_up_trades(request)
        ]

    def aggregate_trades(self, request: Request) -> object:
        """Answer with trades of a span, or from an id on, or the last ones."""
        return self._made_up_trades(request)

    def _made_up_trades(self, request: Request) -> list[dict[str, Any]]:
        """Return made-up trades on the path of the price."""
        listing = self.listing(request)
        tape, now = listing.trades, self.exchange.seen_time(request)
        limit = min(_number(request, "limit", 500), MAX_ROWS)
        first, last = tape.span[0] // TRADE_MS, min(now, tape.span[1]) // TRADE_MS
        if "fromId" in request.parameters:
            first = max(first, _number(request, "fromId", 0))
        elif "startTime" in request.parameters:
            first = max(first, -(-_number(request, "startTime", 0) // TRADE_MS))
        else:
            first = max(first, last - limit + 1)
        last = min(last, _number(request, "endTime", now) // TRADE_MS, first + limit - 1)
        return [aggregate_trade(trade_at(listing, n)) for n in range(first, last + 1)]

    def premium(self, listing: Listing, now: int) -> dict[str, Any]:
        """Describe mark price, index price and funding of a symbol."""
        times, rates = listing.funding
        row = int(np.searchsorted(times, now, side="right")) - 1
        mark = listing.mark.price(now)
        return {
            "symbol": listing.rules.symbol,
            "markPrice": plain(mark),
            "indexPrice": plain(listing.index.price(now)),
            "estimatedSettlePrice": plain(mark),
            # What is to be paid next is not known yet: the last one that was.
            "lastFundingRate": plain(float(rates[row]) if row >= 0 else 0.0),
            "interestRate": "0.00010000",
            "nextFundingTime": (now // FUNDING_MS + 1) * FUNDING_MS,
            "time": now,
        }

    def funding_rates(self, request: Request) -> object:
        """Answer with the funding settlements so far."""
        listing = self.listing(request)
        times, rates = listing.funding
        n = int(np.searchsorted(times, self.exchange.seen_time(request), side="right"))
        rows = _window(times[:n], request, MAX_ROWS, 100)
        return self.exchange.thinned(
            request,
            [
                {
                    "symbol": listing.rules.symbol,
                    "fundingTime": int(times[row]),
                    "fundingRate": plain(rates[row]),
                    "markPrice": plain(listing.funding_marks[row]),
                }
                for row in rows
            ],
        )

    def open_interest(self, request: Request) -> object:
        """Answer with the open interest now."""
        listing = self.listing(request)
        now = self.exchange.seen_time(request)
        times, amounts, _ = listing.open_interest
        row = int(np.searchsorted(times, now, side="right")) - 1
        amount = float(amounts[row]) if row >= 0 else 0.0
        return {"symbol": listing.rules.symbol, "openInterest": plain(amount), "time": now}

    def open_interest_history(self, request: Request) -> object:
        """Answer with the open interest so far."""
        listing = self.listing(request)
        period = request.parameters.get("period", "")
        if period not in TIMEFRAMES or timeframe_ms(period) < 5 * MINUTE_MS:
            refuse(-1130, "parameter 'period' is invalid.")
        times, amounts, values = listing.open_interest
        n = int(np.searchsorted(times, self.exchange.seen_time(request), side="right"))
        on_grid = np.flatnonzero(times[:n] % timeframe_ms(period) == 0)
        rows = on_grid[_window(times[on_grid], request, 500, 30)]
        return self.exchange.thinned(
            request,
            [
                {
                    "symbol": listing.rules.symbol,
                    "sumOpenInterest": plain(amounts[row]),
                    "sumOpenInterestValue": plain(values[row]),
                    "timestamp": int(times[row]),
                }
                for row in rows
                if np.isfinite(amounts[row]) and np.isfinite(values[row])
            ],
        )


def _interval(tape: Tape, request: Request) -> Tape:
    """Refuse an interval there are no candles of."""
    interval = request.parameters.get("interval", "")
    if interval not in TIMEFRAMES or tape.candles(interval) is None:
        refuse(BAD_INTERVAL, "Invalid interval.")
    return tape


def _number(request: Request, name: str, default: int) -> int:
    text = request.parameters.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        refuse(MANDATORY, f"Illegal parameter '{name}'.")


def _window(times: np.ndarray[Any, Any], request: Request, most: int, usual: int) -> range:
    """Return the rows a request asks for: from ``startTime`` on, else the last ones."""
    limit = max(1, min(_number(request, "limit", usual), most))
    end = int(np.searchsorted(times, _number(request, "endTime", 2**62), side="right"))
    if "startTime" in request.parameters:
        first = int(np.searchsorted(times, _number(request, "startTime", 0), side="left"))
        return range(first, min(end, first + limit))
    return range(max(0, end - limit), end)


def _klines(candles: Candles, rows: range) -> list[list[Any]]:
    """Describe candles as ``GET .../klines`` does."""
    pick = slice(rows.start, rows.stop)
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    texts = [[plain(value) for value in column[pick].tolist()] for column in columns]
    value = (candles.close[pick] * candles.volume[pick]).tolist()
    step = candles.step
    return [
        [time, o, h, lo, c, v, time + step - 1, f"{quote:.8f}", 0, "0", "0", "0"]
        for time, o, h, lo, c, v, quote in zip(
            candles.time[pick].tolist(), *texts, value, strict=True
        )
    ]
