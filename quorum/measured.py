"""What earlier signals did, collected over all pairs, and what it makes of new ones (spec C12)."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from quorum.candles import DAY_MS
from quorum.confidence import (
    Measures,
    Outcomes,
    joined,
    spread_weight,
)
from quorum.consensus import GRACE, Band, ConsensusSettings, bands
from quorum.errors import DataError
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import Measured, SignalTable
from quorum.simulation import Venue, funding_paid, simulate

#: Candles after which neither votes nor levels depend on where the history began.
SETTLED = 700
#: Parts of the settings that signals and their outcomes follow from.
DECIDING = ("market", "heads", "weights", "consensus", "context", "exits")
#: Settings of the consensus that outcomes do not follow from.
READING = ("confidence", "measured", "gate")
_PAIR = "pair"


def outcomes_of(table: SignalTable, market: Market, settings: Settings) -> Outcomes:
    """Return the signals of one pair whose simulated trades have ended, and how.

    Parameters
    ----------
    table : SignalTable
        With the confidence as stated; every quorum counts, whatever the gate.
    market : Market
        Of the same candles, row for row.
    settings : Settings
    """
    candidates = table.tradable & (table.consensus.direction != 0) & (table.plan_band > 0)
    rows = np.flatnonzero(candidates[SETTLED:]) + SETTLED
    time, direction = market.close_time[rows], table.consensus.direction[rows]
    costs = settings.learning.labels
    venue = Venue(fee=costs.fee, slippage=costs.slippage, funding=funding_paid(market))
    found = simulate(table, market.candles, settings, rows=rows, directions=direction, venue=venue)
    whole = Outcomes(
        time,
        market.close_time[found.known_row],
        direction,
        table.consensus.confidence[rows],
        spread_weight(time, direction),
        found.r,
    )
    # What is refused, never filled or still open says nothing of signals that are traded.
    return whole.take((found.veto == 0) & np.isfinite(found.r) & (found.known_row >= 0))


class OutcomePool:
    """The outcomes of all pairs.

    Parameters
    ----------
    path : Path, optional
        File they are kept in; read now if it is there.
    keep : bool, default False
        Whether what is added is written to the file.

    Raises
    ------
    DataError
        If the file cannot be read.
    """

    def __init__(self, path: Path | None = None, *, keep: bool = False) -> None:
        self.path, self._keep = path, keep
        self.parts = _read(path) if path is not None and path.is_file() else {}
        self._measures: Measures | None = None
        self._days: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    def stale(self, market: Market) -> bool:
        """Whether a pair has not been looked at on the day of its last candle."""
        if len(market) == 0:
            return False
        return self._days.get(market.pair) != int(market.close_time[-1] // DAY_MS)

    def observe(self, table: SignalTable, market: Market, settings: Settings) -> None:
        """Add what became of a pair's signals, see :func:`outcomes_of`; once a day is enough.

        A history that begins later leaves the older outcomes of the pair as they are.
        """
        self._days[market.pair] = int(market.close_time[-1] // DAY_MS)
        new = outcomes_of(table, market, settings)
        begins = market.close_time[min(SETTLED, len(market) - 1)]
        old = self.parts.get(market.pair)
        kept = [] if old is None else [old.take(old.time < begins)]
        self.parts[market.pair] = joined([*kept, new])
        self._measures = None
        if self._keep:
            self.save()

    def judge(self, table: SignalTable, step: int, settings: ConsensusSettings) -> SignalTable:
        """Return the table with what signals like each of its own did.

        Where enough is known, it takes the place of the stated confidence in gate and band, and
        of the promise; the plan of the exits stays with the stated band, whose outcomes these are.

        Parameters
        ----------
        table : SignalTable
            As stated.
        step : int
            Length of a candle, milliseconds.
        settings : ConsensusSettings
        """
        if self._measures is None:
            self._measures = Measures(joined(list(self.parts.values())))
        c = table.consensus
        rows = np.flatnonzero((c.direction != 0) & table.tradable)
        n = len(table.time)
        win_rate, expectancy, confidence = (np.full(n, np.nan) for _ in range(3))
        found = self._measures.at(table.time[rows] + step, c.direction[rows], c.confidence[rows])
        win_rate[rows], expectancy[rows] = found
        edges = (settings.medium, settings.high, settings.very_high)
        confidence[rows] = np.round(settings.measured.confidence(expectancy[rows], edges), 9)
        loses = expectancy <= settings.measured.bands[0]
        if settings.measured.losing == "smallest":
            confidence[loses] = settings.medium
        else:
            confidence[loses] = np.minimum(confidence[loses], settings.medium - 1e-6)
        in_force = np.where(np.isfinite(confidence), confidence, c.confidence)
        band = bands(in_force, settings)
        passes = table.tradable & (band > Band.INSUFFICIENT)
        passes &= in_force >= settings.gate - GRACE
        return replace(
            table,
            entry=np.where(passes, c.direction, 0).astype(np.int8),
            band=band,
            measured=Measured(confidence, win_rate, expectancy, table.band),
        )

    def save(self) -> None:
        """Write the file, whole or not at all."""
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.concat(
            [
                pd.DataFrame({_PAIR: pair, **{f.name: getattr(p, f.name) for f in fields(p)}})
                for pair, p in sorted(self.parts.items())
            ],
            ignore_index=True,
        )
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        frame.to_feather(fresh)
        fresh.replace(self.path)


def _read(path: Path) -> dict[str, Outcomes]:
    """Read a file of outcomes by pair."""
    try:
        frame = pd.read_feather(path)
        names = [f.name for f in fields(Outcomes)]
        return {
            str(pair): Outcomes(*(part[name].to_numpy() for name in names))
            for pair, part in frame.groupby(_PAIR)
        }
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: the outcomes of earlier signals cannot be read ({error}); delete the file, "
            "quorum measure writes it again"
        ) from error


def outcome_file(folder: Path, settings: Settings, timeframe: str) -> Path:
    """Return the file that keeps the outcomes of signals under these settings."""
    deciding = settings.model_dump(mode="json", include=set(DECIDING))
    deciding["consensus"] = {k: v for k, v in deciding["consensus"].items() if k not in READING}
    text = json.dumps(deciding, sort_keys=True).encode()
    return folder / f"{timeframe}-{hashlib.sha256(text).hexdigest()[:12]}.feather"
