"""Binance's REST endpoints, answered from a market source; the routing table is at the top."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from quorum.replay.datadir import TradingMode
from quorum.replay.server import Handler, HTTPError, Request, Routes
from quorum.replay.source import MarketSource
from quorum.replay.symbols import SymbolRules, Ticker

logger = logging.getLogger(__name__)

#: What ccxt takes for a contract without expiry.
PERPETUAL_DELIVERY = 4133404800000
#: Codes of Binance's errors.
BAD_SYMBOL = -1121
NOT_SERVED = -5000


def binance_routes(source: MarketSource) -> Routes:
    """Return the endpoints that are served."""
    endpoints = Endpoints(source)
    routes: dict[tuple[str, str], Handler] = {}
    modes: tuple[tuple[str, TradingMode], ...] = (("/fapi/v1", "futures"), ("/api/v3", "spot"))
    for prefix, mode in modes:
        routes["GET", f"{prefix}/ping"] = endpoints.ping
        routes["GET", f"{prefix}/time"] = endpoints.time
        routes["GET", f"{prefix}/exchangeInfo"] = endpoints.exchange_info(mode)
        routes["GET", f"{prefix}/ticker/24hr"] = endpoints.tickers(mode, day_ticker)
        routes["GET", f"{prefix}/ticker/bookTicker"] = endpoints.tickers(mode, book_ticker)
    return routes


class Endpoints:
    """Handlers of the endpoints, for either trading mode."""

    def __init__(self, source: MarketSource) -> None:
        self.source = source

    def ping(self, _request: Request) -> object:
        """Answer that the exchange is there."""
        return {}

    def time(self, _request: Request) -> object:
        """Answer what time it is."""
        return {"serverTime": self.source.now()}

    def exchange_info(self, mode: TradingMode) -> Handler:
        """Return the handler that lists the symbols."""
        describe = futures_symbol if mode == "futures" else spot_symbol

        def handler(_request: Request) -> object:
            return {
                "timezone": "UTC",
                "serverTime": self.source.now(),
                "rateLimits": [],
                "exchangeFilters": [],
                "symbols": [describe(rules) for rules in self.source.symbols(mode)],
            }

        return handler

    def tickers(self, mode: TradingMode, describe: Callable[[Ticker], dict[str, Any]]) -> Handler:
        """Return the handler that answers for one symbol, several, or all."""

        def handler(request: Request) -> object:
            found = {t.rules.symbol: describe(t) for t in self.source.tickers(mode)}
            wanted = _wanted(request)
            unknown = set(wanted or ()) - set(found)
            if unknown:
                raise HTTPError(400, {"code": BAD_SYMBOL, "msg": "Invalid symbol."})
            if "symbol" in request.parameters:
                return found[request.parameters["symbol"]]
            return [found[name] for name in (found if wanted is None else wanted)]

        return handler


def _wanted(request: Request) -> list[str] | None:
    """Return the symbols a request names, None for all."""
    if "symbol" in request.parameters:
        return [request.parameters["symbol"]]
    if "symbols" not in request.parameters:
        return None
    try:
        names = json.loads(request.parameters["symbols"])
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise HTTPError(400, {"code": BAD_SYMBOL, "msg": "Invalid symbols."})
    return names


def day_ticker(ticker: Ticker) -> dict[str, Any]:
    """Describe the last 24 hours as ``GET .../ticker/24hr`` does."""
    change = ticker.last - ticker.open
    return {
        "symbol": ticker.rules.symbol,
        "priceChange": f"{change:.10f}",
        "priceChangePercent": f"{100.0 * change / ticker.open:.3f}",
        "weightedAvgPrice": _plain(ticker.quote_volume / ticker.volume if ticker.volume else 0.0),
        "lastPrice": _plain(ticker.last),
        "openPrice": _plain(ticker.open),
        "highPrice": _plain(ticker.high),
        "lowPrice": _plain(ticker.low),
        "volume": _plain(ticker.volume),
        "quoteVolume": _plain(ticker.quote_volume),
        "openTime": ticker.opened,
        "closeTime": ticker.closed,
    }


def book_ticker(ticker: Ticker) -> dict[str, Any]:
    """Describe the best bid and ask: candles know of no spread, so it is one tick."""
    return {
        "symbol": ticker.rules.symbol,
        "bidPrice": _plain(ticker.last),
        "bidQty": _plain(ticker.rules.step_size),
        "askPrice": _plain(round(ticker.last + ticker.rules.tick_size, 10)),
        "askQty": _plain(ticker.rules.step_size),
        "time": ticker.closed,
    }


def not_served(request: Request) -> object:
    """Refuse an endpoint the local exchange does not have."""
    logger.warning("%s %s: not served by the local exchange", request.method, request.path)
    raise HTTPError(
        404,
        {
            "code": NOT_SERVED,
            "msg": f"Path {request.path}, Method {request.method} is not served by the local "
            "exchange",
        },
    )


def futures_symbol(rules: SymbolRules) -> dict[str, Any]:
    """Describe a perpetual contract as ``GET /fapi/v1/exchangeInfo`` does."""
    return {
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY,
        "onboardDate": rules.listed,
        "status": "TRADING",
        "baseAsset": rules.base,
        "quoteAsset": rules.quote,
        "marginAsset": rules.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            *_price_and_amount(rules),
            {"filterType": "MIN_NOTIONAL", "notional": _plain(rules.min_notional)},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def spot_symbol(rules: SymbolRules) -> dict[str, Any]:
    """Describe a spot symbol as ``GET /api/v3/exchangeInfo`` does."""
    return {
        "symbol": rules.symbol,
        "status": "TRADING",
        "baseAsset": rules.base,
        "quoteAsset": rules.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [
            *_price_and_amount(rules),
            {
                "filterType": "NOTIONAL",
                "minNotional": _plain(rules.min_notional),
                "maxNotional": "9000000",
            },
        ],
    }


def _price_and_amount(rules: SymbolRules) -> list[dict[str, str]]:
    """Return the filters that both kinds of symbol have; sizes are not bounded from above."""
    tick, step = _plain(rules.tick_size), _plain(rules.step_size)
    amount = {"minQty": step, "maxQty": "10000000000", "stepSize": step}
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "0", "tickSize": tick},
        {"filterType": "LOT_SIZE", **amount},
        {"filterType": "MARKET_LOT_SIZE", **amount},
    ]


def _plain(value: float) -> str:
    """Write a number as exchanges do: decimals, no exponent."""
    return f"{Decimal(repr(value)).normalize():f}"
