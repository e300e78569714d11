"""A local exchange: candles on disk behind Binance's REST interface.

Stock freqtrade talks to it through ccxt when :meth:`ExchangeServer.config_overlay` is merged into
its configuration; no patch, no key, no network. Backtesting, hyperopt and the analysis commands
ask for the symbols only; leverage tiers come with the host.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field

from quorum.errors import DataError
from quorum.replay.datadir import TradingMode
from quorum.replay.server import HTTPError, LocalServer, Request, Routes
from quorum.replay.source import MarketSource, RecordedSource
from quorum.replay.symbols import SymbolRules, SymbolSettings

logger = logging.getLogger(__name__)

#: ccxt's names of Binance's interfaces and their paths: none may reach the real exchange.
PATHS: dict[str, str] = {
    "public": "/api/v3",
    "private": "/api/v3",
    "v1": "/api/v1",
    "sapi": "/sapi/v1",
    "sapiV2": "/sapi/v2",
    "sapiV3": "/sapi/v3",
    "sapiV4": "/sapi/v4",
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPublicV3": "/fapi/v3",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPrivateV3": "/fapi/v3",
    "fapiData": "/futures/data",
    "dapiPublic": "/dapi/v1",
    "dapiPrivate": "/dapi/v1",
    "dapiPrivateV2": "/dapi/v2",
    "dapiData": "/dapi/futures/data",
    "eapiPublic": "/eapi/v1",
    "eapiPrivate": "/eapi/v1",
    "papi": "/papi/v1",
    "papiV2": "/papi/v2",
}
#: What ccxt takes for a contract without expiry.
PERPETUAL_DELIVERY = 4133404800000


class ExchangeSettings(SymbolSettings):
    """The local exchange."""

    port: int = Field(0, ge=0, le=65535, description="port on 127.0.0.1, 0: any free one")


class ExchangeServer:
    """Serves a market on 127.0.0.1 while the context is open.

    Parameters
    ----------
    source : Path or MarketSource
        A freqtrade data directory, or another source of market data.
    settings : ExchangeSettings, optional

    Raises
    ------
    DataError
        If the directory is missing, holds no candles, or the port is in use.

    Examples
    --------
    >>> with ExchangeServer(Path("user_data/data/binance")) as exchange:  # doctest: +SKIP
    ...     overlay = exchange.config_overlay("futures")
    """

    def __init__(
        self, source: Path | MarketSource, settings: ExchangeSettings | None = None
    ) -> None:
        self.settings = settings or ExchangeSettings()
        if isinstance(source, Path):
            source = RecordedSource(source, self.settings)
        self.source = source
        self._server = LocalServer(binance_routes(source), not_served, self.settings.port)

    @property
    def port(self) -> int:
        """The port it listens on; 0 while stopped."""
        return self._server.port

    @property
    def url(self) -> str:
        """For example ``"http://127.0.0.1:8123"``."""
        return self._server.url

    def start(self) -> Self:
        """Begin to serve."""
        self._server.start()
        logger.info("Local exchange serves at %s", self.url)
        return self

    def stop(self) -> None:
        """Stop serving; nothing is left behind."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def pairs(self, mode: TradingMode) -> tuple[str, ...]:
        """Return the pairs the exchange lists.

        Raises
        ------
        DataError
            If it lists none, or a candle file cannot be read.
        """
        pairs = tuple(rules.pair for rules in self.source.symbols(mode))
        if not pairs:
            raise DataError(f"the market has no {mode} candles")
        return pairs

    def config_overlay(
        self, mode: TradingMode, pairs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return what to merge into a freqtrade configuration to trade here.

        Reads the symbols, so that a candle file that cannot be read is named before the host
        starts.

        Parameters
        ----------
        mode : {"spot", "futures"}
        pairs : sequence of str, optional
            Whitelist; by default the configuration's own is left alone.
        """
        listed = self.pairs(mode)
        unknown = sorted(set(pairs or ()) - set(listed))
        if unknown:
            raise DataError(f"no {mode} candles of {', '.join(unknown)} in the market")
        maker, taker = self.settings.fees(mode)
        trading = {"trading": {"maker": maker, "taker": taker}}
        exchange: dict[str, Any] = {
            "name": "binance",
            "key": "",
            "secret": "",
            "enable_ws": False,
            "ccxt_config": {
                "urls": {"api": {name: self.url + path for name, path in PATHS.items()}},
                "options": {
                    "fetchCurrencies": False,
                    "fetchMarkets": {"types": ["linear" if mode == "futures" else "spot"]},
                },
                "fees": {"linear": trading} if mode == "futures" else trading,
            },
        }
        if pairs is not None:
            exchange["pair_whitelist"] = list(pairs)
        return {
            "dry_run": True,
            "trading_mode": mode,
            "margin_mode": "isolated" if mode == "futures" else "",
            "dataformat_ohlcv": "feather",
            "exchange": exchange,
        }


def binance_routes(source: MarketSource) -> Routes:
    """Return the endpoints that are served, as Binance names them."""

    def ping(_request: Request) -> object:
        return {}

    def time(_request: Request) -> object:
        return {"serverTime": source.now()}

    def futures_info(_request: Request) -> object:
        return _exchange_info(source, [futures_symbol(s) for s in source.symbols("futures")])

    def spot_info(_request: Request) -> object:
        return _exchange_info(source, [spot_symbol(s) for s in source.symbols("spot")])

    return {
        ("GET", "/fapi/v1/ping"): ping,
        ("GET", "/fapi/v1/time"): time,
        ("GET", "/fapi/v1/exchangeInfo"): futures_info,
        ("GET", "/api/v3/ping"): ping,
        ("GET", "/api/v3/time"): time,
        ("GET", "/api/v3/exchangeInfo"): spot_info,
    }


def not_served(request: Request) -> object:
    """Refuse an endpoint the local exchange does not have."""
    logger.warning("%s %s: not served by the local exchange", request.method, request.path)
    raise HTTPError(
        404,
        {
            "code": -5000,
            "msg": f"Path {request.path}, Method {request.method} is not served by the local "
            "exchange",
        },
    )


def _exchange_info(source: MarketSource, symbols: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the envelope of the list of symbols."""
    return {
        "timezone": "UTC",
        "serverTime": source.now(),
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": symbols,
    }


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
