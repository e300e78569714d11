"""The live exchange as a service: started, stopped, and how stock freqtrade is led to it."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd

from quorum.candles import WEEK_MS
from quorum.errors import DataError
from quorum.replay.binance import not_served
from quorum.replay.datadir import DataDirectory, TradingMode
from quorum.replay.exchange import ExchangeServer
from quorum.replay.link import records_files
from quorum.replay.live.clock import Clock, SharedClock, WallClock
from quorum.replay.live.control import control_routes
from quorum.replay.live.exchange import Exchange, LiveSettings
from quorum.replay.live.holdings import holdings_routes
from quorum.replay.live.public import public_routes
from quorum.replay.live.streams import StreamServer
from quorum.replay.live.trading import order_routes
from quorum.replay.server import Handler, LocalServer

logger = logging.getLogger(__name__)


class LiveExchange(ExchangeServer):
    """A live market on 127.0.0.1 while the context is open.

    At speed 1 (without ``jump``) candles are shifted by whole weeks so that now is now, and a
    bot runs untouched. At any other speed the exchange's time is that of the candles, and a bot
    has to be started by :meth:`command`, which puts it on the exchange's clock.

    Parameters
    ----------
    directory : Path
        A freqtrade data directory.
    start : int
        Time of the candles at which the replay begins, milliseconds since the epoch.
    speed : float, default=1
        Seconds of the exchange per second; 0: the clock stands until it is moved.
    jump : bool, default=False
        The bot's sleeps are jumped over: as fast as the bot can, with full time for its work.
    settings : LiveSettings, optional

    Raises
    ------
    DataError
        If the directory cannot be used or the start lies outside its candles.
    """

    def __init__(
        self,
        directory: Path,
        start: int,
        speed: float = 1.0,
        *,
        jump: bool = False,
        settings: LiveSettings | None = None,
    ) -> None:
        self.live_settings = settings or LiveSettings()
        super().__init__(directory)
        self.directory = DataDirectory(directory)
        _check_start(self.directory, start)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.shared_clock: SharedClock | None = None
        clock: Clock = WallClock()
        shift = 0
        if speed == 1.0 and not jump:
            shift = (int(time.time() * 1000) - start) // WEEK_MS * WEEK_MS
        else:
            self._temporary = tempfile.TemporaryDirectory(prefix="quorum-live-")
            path = Path(self._temporary.name) / "clock"
            clock = self.shared_clock = SharedClock.create(path, start, speed, jump=jump)
        self.exchange = Exchange(self.directory, clock, self.live_settings, shift)
        routes: dict[tuple[str, str], Handler] = {
            route: self.exchange.guarded(handler)
            for part in (public_routes, order_routes, holdings_routes)
            for route, handler in part(self.exchange).items()
        }
        routes |= control_routes(self.exchange)
        self._server = LocalServer(routes, not_served, self.live_settings.port)
        self.streams = StreamServer(self.exchange)

    def start(self) -> Self:
        """Begin to serve."""
        super().start()
        self.streams.start()
        return self

    def stop(self) -> None:
        """Stop serving; the account is gone."""
        self.streams.stop()
        self.exchange.close()
        super().stop()
        if self.shared_clock is not None:
            self.shared_clock.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def hold_until_candles(self) -> None:
        """Let the clock stand until candles are asked for: a bot's start-up takes no time."""
        clock = self.shared_clock
        if clock is not None:
            clock.set(stop=clock.now())
            self.exchange.on_candles = lambda: clock.set(stop=0)

    def pairs(self, mode: TradingMode) -> tuple[str, ...]:
        """Return the pairs the exchange lists; raises ``DataError`` if there are none."""
        listings = self.exchange.market.listings(mode).values()
        if not listings:
            raise DataError(f"{self.directory.path}: no {mode} candles")
        return tuple(listing.rules.pair for listing in listings)

    def config_overlay(
        self,
        mode: TradingMode,
        pairs: Sequence[str] | None = None,
        *,
        orders: bool = False,
    ) -> dict[str, Any]:
        """Return what to merge into a freqtrade configuration to trade here.

        Parameters
        ----------
        mode : {"spot", "futures"}
        pairs : sequence of str, optional
            Whitelist; by default the configuration's own is left alone.
        orders : bool, default=False
            Place orders on the test account instead of simulating them in the bot.
        """
        overlay = super().config_overlay(mode, pairs)
        own = overlay["exchange"]["ccxt_config"]
        own["enableRateLimit"] = False
        own["urls"]["api"]["ws"] = self.streams.ccxt_urls()
        if orders:
            key, secret = self.exchange.key, self.exchange.secret
            overlay["dry_run"] = False
            overlay["exchange"] |= {"key": key, "secret": secret}
        return overlay

    def records_overlay(self, folder: Path) -> dict[str, str]:
        """Return the records files beside the candles, by kind, shifted like the candles.

        Parameters
        ----------
        folder : Path
            Where shifted ones are written.
        """
        named = records_files(self.directory.path.absolute())
        shift = self.exchange.market.shift
        if not shift:
            return named
        moved: dict[str, str] = {}
        for name, path in named.items():
            records = pd.read_feather(path)
            records["known_at"] = records["known_at"] + pd.Timedelta(milliseconds=shift)
            target = folder / Path(path).name
            records.to_feather(target)
            moved[name] = str(target)
        return moved

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a freqtrade command that trades here."""
        if self.shared_clock is None:
            return [sys.executable, "-m", "freqtrade", *arguments]
        launcher = "quorum.replay.live.accelerate"
        clock = str(self.shared_clock.path)
        return [sys.executable, "-m", launcher, clock, "freqtrade", *arguments]


def _check_start(directory: DataDirectory, start: int) -> None:
    """Refuse a start at which there are no candles."""
    spans = [series.span for series in directory.series if series.span is not None]
    if not spans:
        raise DataError(f"{directory.path}: all candle files are empty")
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    at = pd.Timestamp(start, unit="ms", tz="UTC")
    if not first <= at <= last:
        raise DataError(
            f"--from {at:%Y-%m-%d}: the candles in {directory.path} reach from {first:%Y-%m-%d} "
            f"to {last:%Y-%m-%d}"
        )
