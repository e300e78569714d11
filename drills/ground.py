"""Where drills take place: a market, settings that trade often, and what a drill reports."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from quorum.replay.synthetic import SyntheticSettings, make_market

#: Five pairs, hourly candles only: inside them the exchange's price runs along its own path.
MARKET = SyntheticSettings(
    bases=("BTC", "ETH", "SOL", "BNB", "XRP"), start=date(2023, 1, 1), end=date(2023, 8, 1)
)
PAIRS = tuple(f"{base}/USDT:USDT" for base in MARKET.bases)

#: Many more entries than anyone should take: the drills are about orders, not about profit.
BUSY: dict[str, Any] = {
    "quorum": {
        "consensus": {
            "min_probability": 0.5,
            "min_confidence": 0.5,
            "quorum": 2,
            # No outcomes are kept for the bot, and by its own a backtest would refuse all of these.
            "confidence": "stated",
            "quorum_share": 0.1,
            "gate": 0.3,
            "medium": 0.3,
        },
        "exits": {"ladder": {"min_first": 0.5}},
        "guards": {
            "position": {
                "max_correlation": 1.0,
                "cooldown_pair": 0,
                "cooldown_direction": 0,
                "cooldown_any": 0,
            },
            "day": {"enabled": False},
            # Of real time, of which a drill has little.
            "system": {"error_window": 0.05},
        },
    }
}


@dataclass
class Report:
    """What came of one drill; ``losses`` are what must not be.

    Attributes
    ----------
    drill : str
    trades, kills, restarts : int
    faults : dict
        How often each kind of fault was served.
    losses : list of str
        Whatever was lost, doubled, unprotected, or otherwise wrong.
    notes : list of str
        Differences and deaths that are explained.
    seconds : float
        Wall time.
    """

    drill: str
    trades: int = 0
    kills: int = 0
    restarts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def record(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return asdict(self) | {"faults": dict(self.faults)}


@contextmanager
def reported(drill: str) -> Iterator[Report]:
    """Time a drill; a drill that breaks off has lost."""
    report, begun = Report(drill), time.monotonic()
    try:
        yield report
    except (AssertionError, OSError, RuntimeError, ValueError) as error:
        report.losses.append(f"broke off: {type(error).__name__}: {error}")
    report.seconds = round(time.monotonic() - begun, 1)


def market(folder: Path) -> Path:
    """Write the market of the drills, if it is not there yet, and return its folder."""
    target = folder / "market"
    if not target.is_dir():
        make_market(MARKET, target)
    return target
