"""Windows of a walk-forward: tune on one span, judge on the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from quorum.errors import DataError


@dataclass(frozen=True)
class Window:
    """One step of the walk: parameters are chosen on ``train`` and judged on what follows it.

    Attributes
    ----------
    index : int
    train_start, judge_start, judge_end : datetime
        The training span ends where the judged one starts.
    """

    index: int
    train_start: datetime
    judge_start: datetime
    judge_end: datetime

    @property
    def train(self) -> str:
        """The training span as the host writes a time range."""
        return timerange(self.train_start, self.judge_start)

    @property
    def judge(self) -> str:
        """The judged span as the host writes a time range."""
        return timerange(self.judge_start, self.judge_end)


def timerange(start: datetime, end: datetime) -> str:
    """Write a span as the host reads it, for example ``"20230101-20230401"``."""
    return f"{start:%Y%m%d}-{end:%Y%m%d}"


def read_timerange(text: str) -> tuple[datetime, datetime]:
    """Read a time range of two days.

    Raises
    ------
    DataError
        If it is none, or ends before it starts.
    """
    first, _, last = text.partition("-")
    try:
        start, end = (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) for day in (first, last))
    except ValueError as error:
        raise DataError(f"timerange {text!r}: give two days like 20230101-20250401") from error
    if end <= start:
        raise DataError(f"timerange {text!r}: ends before it starts")
    return start, end


def walk_forward(
    start: datetime, end: datetime, train_months: int, judge_months: int
) -> tuple[Window, ...]:
    """Cut a span into windows; judged spans follow each other without gap or overlap.

    A rest at the end shorter than ``judge_months`` is left out.

    Raises
    ------
    DataError
        If the span is too short for one window.
    """
    windows: list[Window] = []
    while True:
        # All from the first day: months added one after the other lose days in short ones.
        passed = judge_months * len(windows)
        months = (passed, passed + train_months, passed + train_months + judge_months)
        first, middle, last = (
            (pd.Timestamp(start) + pd.DateOffset(months=n)).to_pydatetime() for n in months
        )
        if last > end:
            break
        windows.append(Window(len(windows), first, middle, last))
    if not windows:
        raise DataError(
            f"timerange {timerange(start, end)}: too short to tune on {train_months} months and "
            f"judge on the next {judge_months}"
        )
    return tuple(windows)
