"""Where a trade is wrong: the protective stop (spec P1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numba import njit
from pydantic import Field

from quorum.features.level_search import LEVELS
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

#: What a stop stands behind.
STRUCTURE, ATR = "structure", "atr"
#: What is known of a level: where its zone lies, the zone's far end as seen from the price, 0-1.
PRICE, EDGE, STRENGTH = range(3)


class StopSettings(Section):
    """How far away the stop stands, and behind what."""

    method: Literal["structure", "atr"] = Field(
        "structure", description="what the stop is placed by; structure falls back on atr"
    )
    min_strength: ClassVar[float] = 0.6  # a level must be stronger than this to carry a stop [0-1]
    margin: float = Field(
        0.2, ge=0, le=10, description="how far beyond the level's zone the stop stands [%]"
    )
    min_atr: float = Field(
        0.5,
        ge=0,
        le=10,
        description="a level that would put the stop nearer is passed over [multiples of ATR 14]",
    )
    atr_multiple: float = Field(
        1.5, gt=0, le=20, description="distance of the stop without a level [multiples of ATR 14]"
    )
    max_risk: float = Field(
        5.0, gt=0, le=50, description="largest distance of the stop [% of the entry price]"
    )


class Stops(NamedTuple):
    """Stop prices, and whether each stands behind structure or by ATR; shape (n_entries,)."""

    price: Floats
    structural: Bools


def levels_of(columns: Mapping[str, Floats], rows: Ints, side: str) -> Floats:
    """Return the levels of one side (``"support"``, ``"resistance"``) that rows know.

    Returns
    -------
    ndarray of shape (n_rows, LEVELS, 3), float64
        Price, edge and strength; all NaN where one of them is missing.
    """
    levels = np.full((len(rows), LEVELS, 3), np.nan)
    for i in range(LEVELS):
        for k, what in enumerate(("", "_edge", "_strength")):
            column = columns.get(f"{side}{what}_{i + 1}")
            if column is not None:
                levels[:, i, k] = column[rows]
    levels[~np.isfinite(levels).all(axis=2)] = np.nan
    return levels


def place_stops(
    entry: Floats,
    atr: Floats,
    direction: Floats,
    levels: Floats,
    settings: StopSettings,
    factor: Floats,
) -> Stops:
    """Return where entries are stopped (spec P1).

    1. Of the levels on the losing side of the entry, nearest first, those stronger than
       ``min_strength`` count.
    2. The stop stands ``margin`` beyond the far edge of the level's zone.
    3. A level right at the price would put it within the noise (``min_atr``): the next one is
       tried.
    4. A stop wider than max risk is not taken; it would have to stand in front of its level.
    5. Without a level, or by the method ``"atr"``, it stands ``atr_multiple`` ATR against the
       trade, never wider than max risk.
    6. Its distance is multiplied by ``factor``. One under one (tighter stops in a risky market
       phase) may bring it in front of its level; one over one never makes it wider than max risk.

    Parameters
    ----------
    entry, atr, direction, factor : ndarray of shape (n_entries,), float64
        Direction +1 long, -1 short.
    levels : ndarray of shape (n_entries, n_levels, 3), float64
        Supports of longs, resistances of shorts, in any order; NaN where unknown.
    settings : StopSettings

    Raises
    ------
    ValueError
        If an entry, ATR or factor is not a positive number.
    """
    for i in np.flatnonzero(~(_positive(entry) & _positive(atr))):
        raise ValueError(f"stop: entry {entry[i]} and ATR {atr[i]} must be positive")
    for i in np.flatnonzero(~_positive(factor)):
        raise ValueError(f"stop: factor {factor[i]} must be positive")
    structural = np.full(len(entry), settings.method == STRUCTURE)
    price = np.empty(len(entry))
    s = settings
    limits = (s.min_strength, s.margin, s.min_atr, s.atr_multiple, s.max_risk)
    _place(entry, atr, direction, levels, factor, limits, price, structural)
    return Stops(price, structural)


def _positive(values: Floats) -> Bools:
    positive: Bools = np.isfinite(values) & (values > 0)
    return positive


@njit(cache=True)
def _place(
    entry: Floats,
    atr: Floats,
    direction: Floats,
    levels: Floats,
    factor: Floats,
    limits: tuple[float, float, float, float, float],
    price: Floats,
    structural: Bools,
) -> None:
    """Write the stops; ``structural`` says which may stand behind structure, then which do."""
    min_strength, margin, min_atr, atr_multiple, max_risk = limits
    for i in range(len(entry)):
        d, widest = direction[i], max_risk / 100 * entry[i]
        stop = np.nan
        if structural[i]:
            nearest = min_atr * atr[i]
            stop = _behind(entry[i], d, levels[i], min_strength, margin, nearest, widest)
        structural[i] = np.isfinite(stop)
        if not structural[i]:
            stop = entry[i] - d * min(atr_multiple * atr[i], widest)
        if factor[i] != 1.0:
            stop = entry[i] - d * min(factor[i] * abs(entry[i] - stop), widest)
        price[i] = stop


@njit(cache=True)
def _behind(
    entry: float,
    d: float,
    levels: Floats,
    min_strength: float,
    margin: float,
    nearest: float,
    widest: float,
) -> float:
    """Return the stop beyond the nearest level that carries one, NaN for none."""
    tried = levels[:, STRENGTH] <= min_strength
    for _ in range(len(levels)):
        at, away = -1, np.inf
        for j in range(len(levels)):
            if not tried[j] and 0 < d * (entry - levels[j, PRICE]) < away:
                at, away = j, d * (entry - levels[j, PRICE])
        if at < 0:
            break
        tried[at] = True
        stop = levels[at, EDGE] * (1 - d * margin / 100)
        distance = d * (entry - stop)
        if distance > widest:
            break
        if distance > 0 and distance >= nearest:
            return float(stop)
    return np.nan
