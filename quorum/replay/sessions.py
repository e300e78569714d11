"""Intraday seasonality: how busy each hour is, by the clocks of the trading centres."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import Field

from quorum.section import Section
from quorum.typing import Floats

#: Where and at which local hour a session is busiest; daylight saving follows from the place.
TOKYO = ("Asia/Tokyo", 9.5)
LONDON = ("Europe/London", 8.5)
NEW_YORK = ("America/New_York", 10.0)


class SessionSettings(Section):
    """Volatility of the hours of a day and of the weekend."""

    quiet: float = Field(0.75, gt=0, le=10, description="volatility outside all sessions")
    tokyo: float = Field(0.15, ge=0, le=10, description="height of the Tokyo session")
    london: float = Field(0.45, ge=0, le=10, description="height of the London session")
    new_york: float = Field(0.85, ge=0, le=10, description="height of the New York session")
    width: float = Field(1.8, gt=0, le=12, description="standard deviation of a session [h]")
    weekend: float = Field(0.70, gt=0, le=10, description="factor on Saturdays and Sundays (UTC)")


def session_curve(hours: pd.DatetimeIndex, settings: SessionSettings) -> Floats:
    """Return the volatility factor of each hour, with a mean square of one.

    Parameters
    ----------
    hours : DatetimeIndex of shape (n_hours,), UTC
    settings : SessionSettings

    Returns
    -------
    ndarray of shape (n_hours,)
    """
    curve = np.full(len(hours), settings.quiet)
    heights = (settings.tokyo, settings.london, settings.new_york)
    for (zone, busiest), height in zip((TOKYO, LONDON, NEW_YORK), heights, strict=True):
        local = hours.tz_convert(zone)
        middle = local.hour.to_numpy(dtype=np.float64) + local.minute.to_numpy() / 60.0 + 0.5
        away = np.abs(middle - busiest)
        away = np.minimum(away, 24.0 - away)
        curve += height * np.exp(-0.5 * np.square(away / settings.width))
    curve[hours.dayofweek.to_numpy() >= 5] *= settings.weekend
    scaled: Floats = curve / np.sqrt(np.mean(np.square(curve)))
    return scaled
