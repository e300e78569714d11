"""The live exchange behind its endpoints: clock, market, venues, faults, and who may trade."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Callable
from threading import Event, RLock
from typing import Any

from pydantic import Field

from quorum.replay.datadir import DataDirectory, TradingMode
from quorum.replay.live.account import FuturesAccount, SpotAccount
from quorum.replay.live.clock import Clock, SharedClock, real_sleep
from quorum.replay.live.faults import Faults
from quorum.replay.live.market import Listing, LiveMarket
from quorum.replay.live.orders import refuse
from quorum.replay.live.venue import Terms, Venue
from quorum.replay.server import Handler, HTTPError, Reply, Request
from quorum.replay.symbols import SymbolSettings

#: Numbers of Binance's errors.
TOO_MANY_REQUESTS = -1003
DISCONNECTED = -1001
BAD_TIMESTAMP = -1021
BAD_SIGNATURE = -1022
BAD_KEY = -2014
#: How far a request may come from the future [ms], and its usual life [ms].
FUTURE = 1000
RECV_WINDOW = 5000

_SIGNATURE = re.compile(r"(?:^|&)signature=([0-9a-fA-F]*)$")


class LiveSettings(SymbolSettings):
    """The live local exchange and its test account."""

    port: int = Field(0, ge=0, le=65535, description="port on 127.0.0.1, 0: any free one")
    key: str = Field("", description="API key of the test account, empty: a random one")
    secret: str = Field("", description="its secret, empty: a random one")
    asset: str = Field("USDT", description="what the account is paid in and margin is held in")
    wallet: float = Field(100_000.0, ge=0, le=1e12, description="what is paid in [asset]")
    slippage: float = Field(
        0.0, ge=0, le=0.1, description="slippage of orders that take [share of the price]"
    )
    spread: int = Field(
        0, ge=0, le=1000, description="ask above bid [ticks]; at 0 orders fill as on the candles"
    )
    depth: float = Field(1e8, gt=0, le=1e15, description="size of a level of the book [quote]")
    maintenance: float = Field(
        0.005, ge=0, le=0.5, description="maintenance margin [share of the position]"
    )
    seed: int = Field(0, ge=0, description="of the choice of requests that a fault befalls")


class Exchange:
    """State and rules of the exchange; endpoints ask it and nothing else.

    Parameters
    ----------
    directory : DataDirectory
    clock : Clock
    settings : LiveSettings
    shift : int, default=0
        Milliseconds added to every time on record, whole weeks.
    """

    def __init__(
        self,
        directory: DataDirectory,
        clock: Clock,
        settings: LiveSettings,
        shift: int = 0,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.market = LiveMarket(directory, settings, shift)
        self.faults = Faults(settings.seed)
        self.key = settings.key or secrets.token_hex(32)
        self.secret = settings.secret or secrets.token_hex(32)
        self.lock = RLock()
        self.closing = Event()
        #: Called once, when candles are asked for the first time.
        self.on_candles: Callable[[], None] | None = None
        #: Called with every request before it is carried out (False), and after, before its
        #: answer is sent (True): where drills pull the plug.
        self.on_request: Callable[[Request, bool], None] | None = None
        self._venues: dict[TradingMode, Venue] = {}

    def venue(self, mode: TradingMode) -> Venue:
        """Return the venue of a trading mode, its account paid in."""
        with self.lock:
            if mode not in self._venues:
                listings = self.market.listings(mode)
                maker, taker = self.settings.fees(mode)
                settings = self.settings
                account: FuturesAccount | SpotAccount
                if mode == "futures":
                    account = FuturesAccount(settings.asset, settings.wallet)
                else:
                    rules = {name: listing.rules for name, listing in listings.items()}
                    account = SpotAccount(rules, settings.asset, settings.wallet)
                terms = Terms(maker, taker, settings.slippage, settings.maintenance)
                self._venues[mode] = Venue(listings, account, terms, self.faults, self.lock)
            return self._venues[mode]

    def venues(self) -> dict[TradingMode, Venue]:
        """Return the venues that have been traded on."""
        return dict(self._venues)

    def told_time(self, request: Request) -> int:
        """Return the time the exchange claims it is."""
        now = self.clock.now()
        skew = self.faults.strike("clock_skew", now, request)
        if skew is None:
            return now
        return now + round(skew.seconds * 1000) * (-1 if skew.behind else 1)

    def seen_time(self, request: Request) -> int:
        """Return the time an answer shows, earlier than it is for a stale one."""
        now = self.clock.now()
        stale = self.faults.strike("stale", now, request)
        return now - round(stale.seconds * 1000) if stale else now

    def quoted(self, mode: TradingMode, listing: Listing, now: int) -> float:
        """Return the price shown for a symbol."""
        price = self.venue(mode).quote(listing.rules.symbol, now)
        if self.faults.spike(listing.rules.symbol, now) != 1.0:
            self.faults.count_spike()
        return price

    def thinned(self, request: Request, rows: list[Any]) -> list[Any]:
        """Return rows with some missing where a fault wants so: the same however often asked."""
        fault = self.faults.strike("missing", self.clock.now(), request)
        if fault is None:
            return rows
        name = f"{self.settings.seed} {request.path} {request.parameters.get('symbol')}"
        return [row for row in rows if _draw(name, row) >= fault.share]

    def guarded(self, handler: Handler) -> Handler:
        """Return a handler with the faults that befall whole requests."""

        def run(request: Request) -> object:
            if self.on_candles is not None and request.path.endswith("klines"):
                begin, self.on_candles = self.on_candles, None
                begin()
            now = self.clock.now()
            strike = self.faults.strike
            if latency := strike("latency", now, request):
                self.closing.wait(latency.seconds)
            if limit := strike("rate_limit", now, request):
                told = {"code": TOO_MANY_REQUESTS, "msg": "Too many requests."}
                return Reply(told, 429, {"Retry-After": f"{limit.seconds:.0f}"})
            if error := strike("server_error", now, request):
                if error.executed:
                    _carry_out(handler, request)
                told = {"code": DISCONNECTED, "msg": "Internal error; unable to process."}
                return Reply(told, error.status)
            if timeout := strike("timeout", now, request):
                if timeout.executed:
                    _carry_out(handler, request)
                self.closing.wait(timeout.seconds)
                return Reply(None, silent=True)
            if _places_order(request) and (rejected := strike("reject_order", now, request)):
                refuse(rejected.code, rejected.message)
            if self.on_request is not None:
                self.on_request(request, False)
            content = handler(request)
            if self.on_request is not None:
                self.on_request(request, True)
            if truncated := strike("truncated", now, request):
                return Reply(content, kept=0.5, breaks=truncated.breaks)
            return content

        return run

    def signed(self, handler: Callable[[Request, int], object], mode: TradingMode) -> Handler:
        """Return a handler for the account's owner: key, signature and time are checked.

        The venue has caught up when it runs, and nobody else acts meanwhile.
        """

        def run(request: Request) -> object:
            self._authenticate(request)
            with self.lock:
                now = self.clock.now()
                self.venue(mode).catch_up(now)
                return handler(request, now)

        return run

    def _authenticate(self, request: Request) -> None:
        key = request.headers.get("x-mbx-apikey", "")
        if not hmac.compare_digest(key.encode(), self.key.encode()):
            refuse(BAD_KEY, "API-key format invalid.", 401)
        payload = request.query + request.body
        match = _SIGNATURE.search(payload)
        given = match.group(1).lower() if match else ""
        signed = payload[: match.start()] if match else payload
        wanted = hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(given, wanted):
            refuse(BAD_SIGNATURE, "Signature for this request is not valid.")
        try:
            sent = int(request.parameters["timestamp"])
            window = int(float(request.parameters.get("recvWindow", RECV_WINDOW)))
        except (KeyError, ValueError):
            refuse(-1102, "Mandatory parameter 'timestamp' was not sent, or is malformed.")
        # The network is not faster than the clock is: its allowance grows with it.
        pace = max(1.0, self.clock.speed) if isinstance(self.clock, SharedClock) else 1.0
        late = self.told_time(request) - sent
        if not -FUTURE * pace < late <= window * pace:
            refuse(BAD_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")

    def close(self) -> None:
        """Let go of every request that is being kept waiting."""
        self.closing.set()
        real_sleep(0)


def _draw(name: str, row: Any) -> float:
    """Return a number in [0, 1) that is always the same for a row of a series."""
    time = row[0] if isinstance(row, list) else row.get("timestamp", row.get("fundingTime"))
    return zlib.crc32(f"{name} {time}".encode()) / 2**32


def _places_order(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith(("/order", "/algoOrder"))


def _carry_out(handler: Handler, request: Request) -> None:
    """Do what a request wants although its answer is lost; so is the news of a refusal."""
    try:
        handler(request)
    except HTTPError:
        return
