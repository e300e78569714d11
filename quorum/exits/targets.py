"""Where a trade has paid: the R:R target (spec P2)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quorum.consensus import Band
from quorum.section import Section
from quorum.typing import Floats

#: Ratios are quotients of prices: 2 R may come out as 1.9999999999.
GRACE = 1e-9


class TargetSettings(Section):
    """How far away the target stands."""

    risk_reward: tuple[float, float, float] = Field(
        (3.0, 2.5, 2.0), description="R:R of the very high, high and medium band [R]"
    )
    swing_margin: float = Field(
        0.5, ge=0, le=10, description="how far before a nearer swing the target stands [%]"
    )
    min_risk_reward: ClassVar[float] = 1.5  # smallest R:R [R]
    max_risk_reward: ClassVar[float] = 5.0  # largest R:R [R]

    def ratios(self, band: NDArray[np.integer[Any]]) -> Floats:
        """Return the R:R of confidence bands."""
        very_high, high, medium = self.risk_reward
        by_band = {Band.VERY_HIGH: very_high, Band.HIGH: high}
        ratios: Floats = np.array([by_band.get(band, medium) for band in Band])[band]
        return ratios


def target_prices(
    entry: Floats,
    stop: Floats,
    band: NDArray[np.integer[Any]],
    swing: Floats,
    settings: TargetSettings,
    levels: Floats | None = None,
    least: float = 0.0,
) -> Floats:
    """Return the target prices of entries (spec P2, P3).

    1. The band's multiple of the stop distance.
    2. If a confirmed swing lies nearer, stand a margin before it.
    3. A swing that pays under ``least`` is passed for the next level that pays it; where none is
       known, the band's multiple stands.
    4. Keep the resulting ratio within its limits.

    Parameters
    ----------
    entry, stop : ndarray of shape (n_entries,), float64
        Prices; their order tells the direction.
    band : ndarray of shape (n_entries,), integer
        Values of ``Band``.
    swing : ndarray of shape (n_entries,), float64
        Nearest confirmed swing beyond the entry in the trade's direction, NaN for none.
    settings : TargetSettings
    levels : ndarray of shape (n_entries, n_levels), float64, optional
        Prices of resistances of longs, supports of shorts, in any order; NaN where unknown.
    least : float, default 0
        What a swing must pay to be stood before [R].

    Raises
    ------
    ValueError
        If a stop is at its entry.
    """
    risk = np.abs(entry - stop)
    for i in np.flatnonzero(risk == 0):
        raise ValueError(f"target: stop {stop[i]} is at the entry")
    d = np.where(stop < entry, 1.0, -1.0)

    def reach(prices: Floats) -> Floats:
        """Return what a margin before prices pays [R]; nothing is nearer than an unknown one."""
        side, at = d[:, None], entry[:, None]
        paid = side * (prices * (1 - side * settings.swing_margin / 100) - at) / risk[:, None]
        return np.where(side * (prices - at) > 0, paid, np.inf)

    nearer = reach(swing[:, None])[:, 0]
    if levels is not None:
        paid = reach(levels)
        following = np.where(paid >= least - GRACE, paid, np.inf).min(axis=1, initial=np.inf)
        nearer = np.where(nearer < least - GRACE, following, nearer)
    ratio = np.minimum(settings.ratios(band), nearer)
    ratio = np.clip(ratio, settings.min_risk_reward, settings.max_risk_reward)
    target: Floats = entry + d * ratio * risk
    return target
