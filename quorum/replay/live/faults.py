"""Faults of an exchange, on demand: by time, by rate, by count, by path."""

from __future__ import annotations

import random
from collections import Counter
from threading import Lock
from typing import Any, Literal

from pydantic import Field

from quorum.replay.server import Request
from quorum.section import Section

Kind = Literal[
    "latency",
    "rate_limit",
    "server_error",
    "timeout",
    "truncated",
    "stale",
    "missing",
    "spike",
    "clock_skew",
    "partial_fill",
    "reject_order",
    "stream_lost",
    "stream_twice",
    "stream_swapped",
    "stream_closed",
]


class Fault(Section):
    """One fault to serve; what is left out does not restrict it."""

    kind: Kind = Field(description="what goes wrong")
    path: str = Field("", description="part of the path of the requests it befalls")
    method: Literal["", "GET", "POST", "PUT", "DELETE"] = Field("", description="their method")
    symbol: str = Field("", description="their symbol, as the exchange writes it")
    rate: float = Field(1.0, ge=0, le=1, description="share of the requests it befalls")
    start: int = Field(0, ge=0, description="from when on [ms since the epoch, exchange's clock]")
    end: int = Field(2**62, ge=0, description="until when [ms since the epoch, exchange's clock]")
    count: int = Field(2**31, ge=1, description="how often at most")
    executed: bool = Field(
        False, description="whether the request is carried out although its answer is lost"
    )
    seconds: float = Field(
        5.0,
        ge=0,
        le=86400 * 30,
        description="length [s]: real for latency, timeout and Retry-After; of the exchange's "
        "clock for stale, clock_skew (may not be negative) and the rest of a partial fill",
    )
    status: int = Field(503, ge=500, le=599, description="HTTP status of a server error")
    code: int = Field(-2010, le=0, description="Binance's code of a rejected order")
    message: str = Field("Order rejected by fault injection.", description="its message")
    share: float = Field(
        0.5, gt=0, lt=1, description="share filled of a partial fill, or of candles missing"
    )
    factor: float = Field(1.1, gt=0, le=1000, description="price during a spike [market price]")
    breaks: bool = Field(
        True,
        description="truncated: the connection breaks off; else half of the answer poses as all",
    )
    behind: bool = Field(False, description="clock_skew: the exchange's clock is behind")


class Faults:
    """The faults in force, and how often each kind was served.

    Parameters
    ----------
    seed : int, default=0
        Of the random choice of requests.
    """

    def __init__(self, seed: int = 0) -> None:
        self._active: dict[int, Fault] = {}
        self._uses: Counter[int] = Counter()
        self.served: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._next = 1
        self._lock = Lock()

    def add(self, description: dict[str, Any]) -> int:
        """Put a fault in force and return its number; raises ``DataError`` if it is wrong."""
        fault = Fault.given("fault", **description)
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._active[number] = fault
            return number

    def clear(self, number: int | None = None) -> None:
        """Take one fault out of force, or all."""
        with self._lock:
            if number is None:
                self._active.clear()
            else:
                self._active.pop(number, None)

    def active(self) -> dict[int, dict[str, Any]]:
        """Return what is in force, by number."""
        with self._lock:
            return {
                number: {**fault.model_dump(exclude_defaults=True), "used": self._uses[number]}
                for number, fault in self._active.items()
            }

    def strike(self, kind: Kind, now: int, request: Request) -> Fault | None:
        """Return the fault of a kind that befalls a request, counted as served; or None."""
        symbol = request.parameters.get("symbol", request.parameters.get("pair", ""))
        with self._lock:
            for number, fault in self._active.items():
                if (
                    fault.kind == kind
                    and fault.start <= now < fault.end
                    and fault.path in request.path
                    and fault.method in ("", request.method)
                    and fault.symbol in ("", symbol)
                    and self._uses[number] < fault.count
                    and self._random.random() < fault.rate
                ):
                    self._uses[number] += 1
                    self.served[kind] += 1
                    return fault
        return None

    def spike(self, symbol: str, now: int) -> float:
        """Return what the market price is multiplied with at a time."""
        factor = 1.0
        for fault in self._spikes(symbol):
            if fault.start <= now < fault.end:
                factor *= fault.factor
        return factor

    def spike_edges(self, symbol: str, start: int, end: int) -> list[int]:
        """Return the times in (start, end] at which a spike begins or is over."""
        edges = {edge for fault in self._spikes(symbol) for edge in (fault.start, fault.end)}
        return sorted(edge for edge in edges if start < edge <= end)

    def count_spike(self) -> None:
        """Count an answer with a spiked price."""
        with self._lock:
            self.served["spike"] += 1

    def _spikes(self, symbol: str) -> list[Fault]:
        with self._lock:
            return [
                fault
                for fault in self._active.values()
                if fault.kind == "spike" and fault.symbol in ("", symbol)
            ]
