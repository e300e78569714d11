"""Spans of time as options give them: two days, either of which may be left open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import pandas as pd

from quorum.errors import DataError


def read_days(timerange: str | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Read a time range of two days, either of which may be left open."""
    start, dash, end = (timerange or "-").partition("-")
    try:
        days = [
            pd.Timestamp(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)) if text else None
            for text in (start, end)
        ]
    except ValueError:
        days = []
    if not dash or not days:
        raise DataError(f"--timerange {timerange!r}: give two days like 20230101-20250430")
    return days[0], days[1]


@dataclass(frozen=True)
class Span:
    """Opening times of the first and the last candle, milliseconds since the epoch."""

    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, first: pd.Timestamp | None, last: pd.Timestamp | None) -> Self:
        """Return the span of two days."""
        return cls(*(None if day is None else int(day.timestamp() * 1000) for day in (first, last)))


def read_timerange(text: str | None) -> Span:
    """Read a time range of two days, either of which may be left open."""
    return Span.of(*read_days(text))
