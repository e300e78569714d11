"""What the host tells of errors in its log, and strategies in no other way."""

from __future__ import annotations

import logging
import time
from collections import deque

#: Where the host reports a call to the exchange that has failed for good.
ERROR_LOGGERS = ("freqtrade.exchange.common", "freqtrade.worker")
ERROR_SIGNS = ("Giving up", "retrying in")
#: Where, and how, the host tells of an order that failed.
TROUBLE_LOGGERS = ("freqtrade.freqtradebot", "freqtrade.worker")
TROUBLE_SIGNS = ("Unable to", "retrying in")


class ErrorTally(logging.Handler):
    """Counts the exchange errors the host logs; it tells strategies of them in no other way."""

    def __init__(self, window: float) -> None:
        super().__init__(logging.WARNING)
        self.window = 60 * window
        self._times: deque[float] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record that tells of an exchange error."""
        if any(sign in record.getMessage() for sign in ERROR_SIGNS):
            self.add()

    def add(self) -> None:
        """Count one error."""
        self._times.append(time.monotonic())

    def count(self) -> int:
        """Return the errors within the window."""
        oldest = time.monotonic() - self.window
        while self._times and self._times[0] < oldest:
            self._times.popleft()
        return len(self._times)

    def listen(self) -> None:
        """Begin to count, in place of an earlier tally of this process."""
        for name in ERROR_LOGGERS:
            source = logging.getLogger(name)
            for handler in [h for h in source.handlers if isinstance(h, ErrorTally)]:
                source.removeHandler(handler)
            source.addHandler(self)


class OrderTrouble(logging.Handler):
    """Notes that the host has logged a failed order."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record that tells of a failed order."""
        if any(sign in record.getMessage() for sign in TROUBLE_SIGNS):
            self.seen = True

    def listen(self) -> None:
        """Begin to note, in place of an earlier one of this process."""
        for name in TROUBLE_LOGGERS:
            source = logging.getLogger(name)
            for handler in [h for h in source.handlers if isinstance(h, OrderTrouble)]:
                source.removeHandler(handler)
            source.addHandler(self)
