"""Signal rows: what the meta-model knows of a consensus signal (spec M4 d).

Everything is told from the signal's side, so that a long and its mirror image look the same:
what speaks for the trade is positive, what speaks against it negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.signals import SignalTable
from quorum.typing import Floats, Ints

#: Published columns whose sign means a side of the market.
SIDED = ("alignment_side", "crowd", "premium", "phase_leader")
#: Published columns that mean the same for both sides.
UNSIDED = (
    "alignment",
    "phase_alt",
    "phase_breadth",
    "regime_adx",
    "regime_high_volatility",
    "regime_low_volatility",
)
#: Regimes that speak for a long, with their mirror images.
MIRRORED_REGIMES = (
    ("strong_bull", "strong_bear"),
    ("weak_bull", "weak_bear"),
    ("bull_range", "bear_range"),
)


def signal_columns(heads: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the meta-model's columns, in order."""
    return (
        *(f"vote_{name}" for name in heads),
        *(f"confidence_{name}" for name in heads),
        "probability",
        "confidence",
        "agreeing",
        "available",
        "confluence",
        *SIDED,
        *UNSIDED,
        *(f"{side}_{name}" for name, _ in MIRRORED_REGIMES for side in ("for", "against")),
        "room",
        "adverse_liquidation",
        "adverse_liquidation_mass",
        "target_liquidation",
        "target_liquidation_mass",
        "atr_pct",
        "hour_sin",
        "hour_cos",
        "side",
    )


def signal_rows(table: SignalTable, rows: Ints) -> NDArray[np.float32]:
    """Return the meta-model's inputs at some rows of a signal table.

    Parameters
    ----------
    table : SignalTable
    rows : ndarray of shape (n_signals,), int64
        Rows with a consensus.

    Returns
    -------
    ndarray of shape (n_signals, n_columns), float32
        Columns as named by :func:`signal_columns`; NaN where unknown.
    """
    side = table.consensus.direction[rows].astype(np.float64)
    columns = [
        *_votes(table, rows, side),
        *_consensus(table, rows, side),
        *_context(table, rows, side),
        *_clock(table, rows),
        side,
    ]
    return np.column_stack(columns).astype(np.float32)


def _votes(table: SignalTable, rows: Ints, side: Floats) -> list[Floats]:
    """Return each head's vote for (+) or against (-) the signal, and its confidence."""
    v = table.votes
    known = np.where(v.available[rows], 1.0, np.nan)
    votes = v.direction[rows] * v.probability[rows] * side[:, None] * known
    return [*votes.T, *(v.confidence[rows] * known).T]


def _consensus(table: SignalTable, rows: Ints, side: Floats) -> list[Floats]:
    c = table.consensus
    return [
        c.probability[rows],
        c.confidence[rows],
        c.agreeing[rows].astype(np.float64),
        c.available[rows].astype(np.float64),
        (c.confluence[rows] - 50.0) * side,
    ]


def _context(table: SignalTable, rows: Ints, side: Floats) -> list[Floats]:
    unknown = np.full(len(rows), np.nan)
    long = side > 0

    def column(name: str) -> Floats:
        values = table.columns.get(name)
        return unknown if values is None else values[rows]

    def facing(with_side: str, against: str) -> tuple[Floats, Floats]:
        a, b = column(with_side), column(against)
        return np.where(long, a, b), np.where(long, b, a)

    regimes = [
        values
        for bull, bear in MIRRORED_REGIMES
        for values in facing(f"regime_{bull}", f"regime_{bear}")
    ]
    adverse, target = facing("liquidation_below", "liquidation_above")
    adverse_mass, target_mass = facing("liquidation_below_mass", "liquidation_above_mass")
    position = column("zone_position")
    return [
        *(column(name) * side for name in SIDED),
        *(column(name) for name in UNSIDED),
        *regimes,
        np.where(long, 1.0 - position, position),
        adverse,
        adverse_mass,
        target,
        target_mass,
        100.0 * column("atr") / column("close"),
    ]


def _clock(table: SignalTable, rows: Ints) -> list[Floats]:
    """Return the hour of the day (UTC) on a circle."""
    angle = 2.0 * np.pi * (table.time[rows] % DAY_MS) / DAY_MS
    return [np.sin(angle), np.cos(angle)]
