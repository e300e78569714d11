"""Calls to the exchange that failed, heard from the host's exchange object itself.

The host tells strategies of errors in no way but its log, whose words may change. So the methods
that call the exchange are wrapped on the object: what one of them raises, after the host's own
retries, is passed on to those who listen and raised as before.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from freqtrade.exceptions import FreqtradeException, RetryableOrderError, TemporaryError

#: Told the method and what it raised.
Hear = Callable[[str, Exception], None]
#: Methods that place, change or ask for one order.
ORDER_METHODS = (
    "create_order",
    "create_stoploss",
    "cancel_order",
    "cancel_order_with_result",
    "cancel_stoploss_order",
    "cancel_stoploss_order_with_result",
    "fetch_order",
    "fetch_stoploss_order",
)
#: Set on an error that has been counted: methods call each other.
COUNTED = "_counted_by_quorum"


def listen(exchange: Any, hear: Hear) -> None:
    """Have every failed call of an exchange object told, until the object is gone."""
    for name in _calls(exchange):
        method = getattr(exchange, name)
        wrapper = _heard_later if inspect.iscoroutinefunction(method) else _heard
        setattr(exchange, name, wrapper(name, method, hear))


def _calls(exchange: Any) -> Iterator[str]:
    """Yield the methods that call the exchange: those for orders and those the host retries."""
    for name in dir(type(exchange)):
        function = inspect.getattr_static(type(exchange), name)
        retried = hasattr(function, "__wrapped__") or "retrier_async" in getattr(
            function, "__qualname__", ""
        )
        if inspect.isfunction(function) and (retried or name in ORDER_METHODS):
            yield name


def _heard(name: str, method: Callable[..., Any], hear: Hear) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except FreqtradeException as error:
            hear(name, error)
            raise

    return call


def _heard_later(name: str, method: Callable[..., Any], hear: Hear) -> Callable[..., Any]:
    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except FreqtradeException as error:
            hear(name, error)
            raise

    return call


class ErrorTally:
    """Counts the calls to the exchange that failed for good.

    Parameters
    ----------
    window : float
        Minutes an error counts.
    """

    def __init__(self, window: float) -> None:
        self.window = 60 * window
        self._times: deque[float] = deque(maxlen=1000)

    def hear(self, method: str, error: Exception) -> None:
        """Count a call that the exchange did not answer; an order it refuses is an answer."""
        if isinstance(error, TemporaryError | RetryableOrderError):
            self.add(error)

    def add(self, error: Exception) -> None:
        """Count an error, once."""
        if not hasattr(error, COUNTED):
            setattr(error, COUNTED, True)
            self._times.append(time.monotonic())

    def count(self) -> int:
        """Return the errors within the window."""
        oldest = time.monotonic() - self.window
        while self._times and self._times[0] < oldest:
            self._times.popleft()
        return len(self._times)


class OrderTrouble:
    """Notes that an order could not be placed, withdrawn or asked for."""

    def __init__(self) -> None:
        self.seen = False

    def hear(self, method: str, error: Exception) -> None:
        """Note a failed call for an order."""
        if method in ORDER_METHODS:
            self.seen = True
