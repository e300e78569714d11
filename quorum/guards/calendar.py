"""Where days and weeks begin in a time zone with daylight saving."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


class Calendar:
    """Local days and weeks (from Monday); a day that changes the clock has 23 or 25 hours.

    Parameters
    ----------
    timezone : str
        Name in the time zone database, for example ``"Europe/Prague"``.
    """

    def __init__(self, timezone: str) -> None:
        self.zone = ZoneInfo(timezone)
        self._day = self._week = (0.0, 0.0)

    def _midnight(self, day: datetime) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()

    def day_start(self, now: float) -> float:
        """Return when the local day of ``now`` began, seconds since the epoch."""
        if not self._day[0] <= now < self._day[1]:
            local = datetime.fromtimestamp(now, tz=self.zone)
            self._day = (self._midnight(local), self._midnight(local + timedelta(days=1)))
        return self._day[0]

    def week_start(self, now: float) -> float:
        """Return when the local week of ``now`` began, seconds since the epoch."""
        if not self._week[0] <= now < self._week[1]:
            local = datetime.fromtimestamp(now, tz=self.zone)
            monday = local - timedelta(days=local.weekday())
            self._week = (self._midnight(monday), self._midnight(monday + timedelta(days=7)))
        return self._week[0]
