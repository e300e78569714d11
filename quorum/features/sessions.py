"""Sessions: the New York clock, daylight saving included.

A candle belongs to a zone by the time it *traded in*, its span from open to close: it is in the
zone when the two overlap by at least ``overlap`` of the shorter one. For base timeframes up to 1h
that is exact: the candles traded inside the zone, whose decisions (at their closes) fall in
(start, end]. A 4h candle is in London or New York if it covers most of it, and in a silver
bullet hour if it covers that hour; so every zone has its candle in winter and in summer, although
the 4h grid is fixed to UTC. The sines and cosines read the clock at the close, the moment of
decision.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from quorum.candles import DAY_MS
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market
from quorum.typing import Bools, Floats, Ints

ZONE = "America/New_York"
DAY_HOURS = DAY_MS // HOUR_MS
#: 1970-01-01 was a Thursday; days of the week count from Monday.
EPOCH_WEEKDAY = 3
#: Half a minute in hours, far below any candle.
TOLERANCE = 0.5 / 60.0


Hours = tuple[float, float]


class SessionConstants(NamedTuple):
    """Sessions and kill zones, New York time."""

    asian: Hours = (20.0, 24.0)  # Asian range [h, New York]
    london: Hours = (2.0, 5.0)  # London kill zone [h, New York]
    new_york: Hours = (8.0, 11.0)  # New York kill zone [h, New York]
    # silver bullet hours [h, New York]
    silver_bullets: tuple[Hours, ...] = ((10.0, 11.0), (14.0, 15.0))
    overlap: float = 0.5  # overlap of candle and zone, of the shorter one [fraction]
    weekends: bool = True  # whether Saturdays and Sundays have kill zones


def _offset_ms(zone: ZoneInfo, at: int) -> int:
    """UTC offset in force at ``at`` (milliseconds since the epoch)."""
    offset = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset is not None else 0


@lru_cache(maxsize=256)
def _transitions(zone_name: str, year: int) -> tuple[tuple[int, int], ...]:
    """Clock changes of one UTC year as (moment, offset from then on), the first at its start."""
    zone = ZoneInfo(zone_name)
    start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) * 1000 for y in (year, year + 1))
    offset = _offset_ms(zone, start)
    changes = [(start, offset)]
    for day in range(start, end, DAY_MS):
        if _offset_ms(zone, day + DAY_MS) != offset:
            hours = range(day, day + DAY_MS + 1, HOUR_MS)
            moment = next(h for h in hours if _offset_ms(zone, h) != offset)
            offset = _offset_ms(zone, moment)
            changes.append((moment, offset))
    return tuple(changes)


def local_time(at: Ints, zone_name: str = ZONE) -> Ints:
    """Convert moments to wall-clock time, both in milliseconds since the epoch.

    Offsets come from the zone's table of clock changes, one look-up per year, so the cost per
    candle is that of a sorted search.
    """
    if len(at) == 0:
        return at
    years = np.array([at[0], at[-1]]).astype("datetime64[ms]").astype("datetime64[Y]")
    first, last = (int(y) + 1970 for y in years.astype(np.int64))
    changes = [c for year in range(first, last + 1) for c in _transitions(zone_name, year)]
    moments, offsets = np.array(changes, dtype=np.int64).T
    local: Ints = at + offsets[np.searchsorted(moments, at, side="right") - 1]
    return local


def _overlap(opened: Floats, closed: Floats, hours: Hours) -> Floats:
    """Hours of each candle's span that fall in the zone; spans may begin on the day before."""
    total = np.zeros(len(opened))
    for day in (-DAY_HOURS, 0):
        start, end = hours[0] + day, hours[1] + day
        total += np.maximum(np.minimum(closed, end) - np.maximum(opened, start), 0.0)
    return total


def _in_zone(opened: Floats, closed: Floats, step: float, hours: Hours, share: float) -> Bools:
    """Whether each candle traded in the zone; see the module docstring."""
    shorter = min(step, hours[1] - hours[0])
    if shorter <= 0:
        return np.zeros(len(opened), dtype=np.bool_)
    # Hours of a 5m candle are no exact floats: half a minute of tolerance.
    return _overlap(opened, closed, hours) >= share * shorter - TOLERANCE


def _distance(opened: Floats, closed: Floats, zones: tuple[Hours, ...]) -> Floats:
    """Hours between each candle's span and the nearest zone, 0 where they meet."""
    nearest = np.full(len(opened), np.inf)
    for hours in zones:
        for day in (-DAY_HOURS, 0, DAY_HOURS):
            apart = np.maximum(hours[0] + day - closed, opened - (hours[1] + day))
            nearest = np.minimum(nearest, np.maximum(apart, 0.0))
    return nearest


def add_sessions(market: Market, out: Features, constants: SessionConstants) -> None:
    """Add the New York clock and its zones (spec H5). Lag 0.

    Columns: ``asian_session``, ``london_kill_zone``, ``ny_kill_zone``, ``silver_bullet`` (0 or
    1), ``kill_zone_distance`` (to the nearest of the three kinds, h, 0 inside), ``hour_sin``,
    ``hour_cos``, ``weekday_sin``, ``weekday_cos`` (New York clock at the close).
    """
    local = local_time(market.close_time)
    step = market.candles.step / HOUR_MS
    # The span counts from the day in which it closes; a close at midnight is 24:00, not 00:00.
    closed = ((local - 1) % DAY_MS + 1) / HOUR_MS
    opened = closed - step
    day = (local - 1) // DAY_MS
    business = (day + EPOCH_WEEKDAY) % 7 < 5
    counted = business | constants.weekends
    zones = {
        "asian_session": (constants.asian,),
        "london_kill_zone": (constants.london,),
        "ny_kill_zone": (constants.new_york,),
        "silver_bullet": constants.silver_bullets,
    }
    inside = np.zeros(len(market), dtype=np.bool_)
    for name, spans in zones.items():
        flag = np.zeros(len(market), dtype=np.bool_)
        for hours in spans:
            flag |= _in_zone(opened, closed, step, hours, constants.overlap)
        if name != "asian_session":
            flag &= counted
            inside |= flag
        out.add(name, flag.astype(np.float64))
    kill_zones = (constants.london, constants.new_york, *constants.silver_bullets)
    distance = _distance(opened, closed, kill_zones)
    out.add("kill_zone_distance", np.where(inside, 0.0, distance))
    hour = 2.0 * np.pi * (local % DAY_MS) / DAY_MS
    weekday = 2.0 * np.pi * ((local / DAY_MS + EPOCH_WEEKDAY) % 7) / 7.0
    for name, angle in (("hour", hour), ("weekday", weekday)):
        out.add(f"{name}_sin", np.sin(angle))
        out.add(f"{name}_cos", np.cos(angle))
