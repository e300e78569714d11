"""Every fault of the exchange, survived: the bot alive, the books right, entries paused.

One bot on live orders meets one kind of fault after the other, each for hours in which it would
trade. A bot that the host itself ends is started again, as a service manager would, and told of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from live_exchange import Drill, ms

from drills.checks import asked_again, entered, forgotten, ledger, loosened, settled
from drills.ground import BUSY, PAIRS, Report
from quorum.guards import State

BEGIN = "2023-06-22 03:30"
THROTTLE = 300
HOUR = pd.Timedelta("1h")
#: Longest an ordeal waits for what its faults befall.
PATIENCE = pd.Timedelta("48h")
#: One record of the host's log at a level that tells of trouble, with the lines it is wrapped to.
TROUBLE = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:,]+ - (?P<name>\S+) - (?:WARNING|ERROR) - "
    r"(?P<text>\S.*(?:\n(?!\d{4}-\d\d-\d\d ).*)*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Ordeal:
    """Faults in force together for a while.

    Attributes
    ----------
    name : str
    faults : tuple of dict
        As ``quorum.replay.live.faults.Fault`` takes them.
    hours : float
    paused : bool
        Whether no entry may be made meanwhile, from the next candle on.
    anew : bool
        Whether the bot is started anew under the faults, and once more after them: the host
        asks for a candle only once.
    """

    name: str
    faults: tuple[Mapping[str, Any], ...]
    hours: float = 3.0
    paused: bool = False
    anew: bool = False


#: Seconds of real time are short: the market stands still meanwhile only for the bot.
ORDEALS: tuple[Ordeal, ...] = (
    Ordeal("latency", ({"kind": "latency", "seconds": 0.3, "rate": 0.2},)),
    Ordeal("rate_limit", ({"kind": "rate_limit", "seconds": 1, "rate": 0.1},)),
    Ordeal("server_error", ({"kind": "server_error", "rate": 0.15},)),
    Ordeal(
        "server_error, order carried out",
        (
            {
                "kind": "server_error",
                "path": "rder",
                "method": "POST",
                "executed": True,
                "rate": 0.7,
            },
        ),
        hours=6,
    ),
    Ordeal("timeout", ({"kind": "timeout", "seconds": 0.2, "rate": 0.1},)),
    Ordeal(
        "timeout, order carried out",
        (
            {
                "kind": "timeout",
                "path": "rder",
                "method": "POST",
                "executed": True,
                "rate": 0.7,
                "seconds": 0.2,
            },
        ),
        hours=6,
    ),
    Ordeal("truncated", ({"kind": "truncated", "rate": 0.1},)),
    Ordeal("truncated, poses as whole", ({"kind": "truncated", "rate": 0.05, "breaks": False},)),
    Ordeal("stale", ({"kind": "stale", "seconds": 7200, "path": "klines"},), paused=True),
    Ordeal(
        "missing", ({"kind": "missing", "share": 0.5, "path": "klines"},), paused=True, anew=True
    ),
    Ordeal("spike", ({"kind": "spike", "factor": 1.12},), hours=2, paused=True),
    Ordeal("clock_skew", ({"kind": "clock_skew", "seconds": 30, "behind": True},), hours=2),
    Ordeal("partial_fill", ({"kind": "partial_fill", "share": 0.4, "seconds": 900},), hours=6),
    Ordeal("reject_order", ({"kind": "reject_order", "rate": 0.6},), hours=4),
)


@dataclass
class Supervised:
    """A bot that is started again when it ends, as a service manager would.

    Attributes
    ----------
    drill : Drill
    deaths : list of str
        Last words, one per death.
    """

    drill: Drill
    deaths: list[str] = field(default_factory=list)

    def run_until(self, moment: pd.Timestamp) -> None:
        """Let time pass, and the bot be started again where it ends."""
        for _ in range(20):
            try:
                self.drill.run_until(moment, timeout=900)
                return
            except AssertionError:
                if self.drill.bot.alive:
                    raise
                self.deaths.append(last_words(self.drill.bot.log))
            self._start()
        raise AssertionError("the bot keeps ending")

    def start_anew(self) -> None:
        """End the bot and start it again."""
        self.drill.bot.stop()
        self._start()

    def _start(self) -> None:
        clock = self.drill.clock
        for _ in range(10):
            clock.set(stop=clock.now())
            try:
                self.drill.start_bot(timeout=120)
                return
            except AssertionError:
                self.deaths.append(last_words(self.drill.bot.log))
                self.drill.bot.kill()
        raise AssertionError("the bot does not start")


def last_words(log: str) -> str:
    """Return the last trouble a log tells of, on one line; the host may end without a reason."""
    troubles = list(TROUBLE.finditer(log))
    if not troubles:
        return "without a word"
    last = troubles[-1]
    return " ".join(f"{last['name']}: {last['text']}".split())[:160]


def endure(supervised: Supervised, ordeal: Ordeal, report: Report, *, stops: bool) -> None:
    """Let a bot go through faults, then time to recover, and check the books."""
    drill = supervised.drill
    before, guards, served = drill.trades(), ledger(drill), drill.served
    deaths = len(supervised.deaths)
    begin = drill.now
    for fault in ordeal.faults:
        drill.fault(**fault)
    if ordeal.anew:
        supervised.start_anew()
    until = begin + ordeal.hours * HOUR
    supervised.run_until(until)
    # Faults of orders wait for an order.
    kinds = {fault["kind"] for fault in ordeal.faults}
    while kinds - _served_since(drill, served).keys() and until < begin + PATIENCE:
        until += HOUR
        supervised.run_until(until)
    end = drill.now
    drill.clear_faults()
    if ordeal.anew:
        supervised.start_anew()
    if ordeal.paused:
        report.losses += [
            f"{ordeal.name}: entered {t['pair']} at {t['open_date']}"
            for t in drill.trades()
            if begin.ceil("1h") <= pd.Timestamp(t["open_date"], tz="UTC") < end
        ]
    supervised.run_until(end + pd.Timedelta("12min"))
    found = settled(drill, stops=stops)
    after = ledger(drill)
    found += loosened(before, drill.trades()) + forgotten(guards, after)
    if after is not None and after.state is State.HALTED:
        found.append(f"the guards have shut everything down ({after.reason})")
    report.losses += [f"{ordeal.name}: {text}" for text in found]
    new = _served_since(drill, served)
    report.faults.update(new)
    report.losses += [f"{ordeal.name}: {kind} was never served" for kind in kinds - new.keys()]
    died = supervised.deaths[deaths:]
    report.notes += [f"{ordeal.name}: the host ended and was started again: {d}" for d in died]


def _served_since(drill: Drill, before: Mapping[str, int]) -> dict[str, int]:
    """Return how many faults of each kind were served since, those of none left out."""
    return {k: n - before.get(k, 0) for k, n in drill.served.items() if n > before.get(k, 0)}


def run(
    folder: Path,
    datadir: Path,
    *,
    stops: bool,
    report: Report,
    ordeals: Sequence[Ordeal] = ORDEALS,
    begin: str = BEGIN,
    rest: float = 1.0,
    pairs: Sequence[str] = PAIRS,
) -> None:
    """Let one bot on live orders go through every ordeal."""
    config: dict[str, Any] = {**BUSY, "order_types": {"stoploss_on_exchange": stops}}
    with Drill(
        folder, datadir, begin, orders=True, pairs=pairs, throttle=THROTTLE, config=config
    ) as drill:
        drill.start_bot(timeout=300)
        drill.run_until(ms(begin) + int(3_600_000 * rest), timeout=600)
        supervised = Supervised(drill)
        for ordeal in ordeals:
            endure(supervised, ordeal, report, stops=stops)
        report.restarts += len(supervised.deaths)
        report.trades = sum(entered(trade) > 0 for trade in drill.trades())
        report.losses += asked_again((bot.log for bot in drill.bots), drill.trades())
