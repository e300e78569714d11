"""A local exchange: candles on disk behind Binance's REST interface.

Stock freqtrade talks to it through ccxt when :meth:`ExchangeServer.config_overlay` is merged into
its configuration; no patch, no key, no network. Backtesting, hyperopt and the analysis commands
ask for the symbols only, listing pairs for tickers too; leverage tiers come with the host.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from quorum.errors import DataError
from quorum.replay.binance import binance_routes, not_served
from quorum.replay.datadir import TradingMode
from quorum.replay.server import LocalServer, Service
from quorum.replay.source import MarketSource, RecordedSource
from quorum.replay.symbols import SymbolSettings

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


class ExchangeSettings(SymbolSettings):
    """The local exchange."""

    port: int = Field(0, ge=0, le=65535, description="port on 127.0.0.1, 0: any free one")


class ExchangeServer(Service):
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
            "dataformat_ohlcv": self.source.file_format,
            "exchange": exchange,
        }
