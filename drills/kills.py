"""``kill -9`` at random moments, with restart: nothing lost, doubled or unprotected.

The plug is pulled by the exchange: at a request of the bot, before or after it was carried out
but always before its answer, which is where a crash hurts most; or between two looks while
orders rest. Moments are drawn from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
from live_exchange import Bot, Drill

from drills.checks import (
    asked_again,
    entered,
    forgotten,
    ledger,
    loosened,
    settled,
)
from drills.ground import BUSY, PAIRS, Report
from quorum.guards import State
from quorum.replay.server import Request

BEGIN = "2023-06-22 03:30"
THROTTLE = 300
#: Longest wait for the moment to come, after which the bot is killed where it stands.
PATIENCE = pd.Timedelta("10h")

#: Moments at which the exchange pulls the plug; the number is their weight in the draw.
LIVE_MOMENTS = {
    "before an order": 2,
    "order placed, not answered": 4,
    "order cancelled, not answered": 2,
    "right after a fill": 3,
    "at a request": 4,
    "while orders rest": 3,
    "while starting": 2,
}
DRY_MOMENTS = {"at a request": 6, "while orders rest": 3, "while starting": 2}


class Plug:
    """Kills a bot at a moment of its traffic with the exchange.

    Parameters
    ----------
    drill : Drill
    dice : Random
    """

    def __init__(self, drill: Drill, dice: random.Random) -> None:
        self.drill = drill
        self.dice = dice
        self.pulled = Event()
        self._moment = ""
        self._left = 0
        self._fills = 0
        self._bot: Bot | None = None
        drill.exchange.exchange.on_request = self._watch

    def arm(self, moment: str, bot: Bot | None) -> None:
        """Pull at the next such moment; with no bot, at the one that starts next."""
        self.pulled.clear()
        self._bot = bot
        self._fills = self._executions()
        self._left = self.dice.randrange(1, 25 if moment == "while starting" else 60)
        self._moment = moment

    def disarm(self) -> None:
        """Let the bot live."""
        self._moment = ""

    def _executions(self) -> int:
        return len(self.drill.exchange.exchange.venue(self.drill.mode).executions)

    def _watch(self, request: Request, done: bool) -> None:
        if self._moment and self._is_now(request, done):
            self._moment = ""
            clock = self.drill.clock
            clock.set(stop=clock.now())
            bot = self._bot or self.drill.bot
            bot.process.kill()
            self.pulled.set()

    def _is_now(self, request: Request, done: bool) -> bool:
        places = request.method == "POST" and request.path.endswith(("/order", "/algoOrder"))
        cancels = request.method == "DELETE"
        moment = self._moment
        if moment == "before an order":
            return places and not done
        if moment == "order placed, not answered":
            return places and done
        if moment == "order cancelled, not answered":
            return cancels and done
        if moment == "closing by the guards":
            held = ledger(self.drill) if places and done else None
            return held is not None and held.state is State.HALTED
        if moment == "right after a fill":
            return done and self._executions() > self._fills
        if done and not request.path.endswith("/ping"):
            self._left -= 1
        return self._left <= 0


def kill(drill: Drill, plug: Plug, moment: str, patience: pd.Timedelta = PATIENCE) -> str:
    """Kill the bot at a moment; return what was done in the end."""
    bot = drill.bot
    if moment == "while orders rest":
        drill.run_until(drill.now + pd.Timedelta(minutes=plug.dice.uniform(20, 240)), 900)
    else:
        plug.arm(moment, bot)
        drill.clock.set(stop=int((drill.now + patience).timestamp() * 1000))
        until = int((drill.now + patience).timestamp() * 1000)
        while not plug.pulled.wait(0.02) and drill.clock.now() < until:
            if not bot.alive and not plug.pulled.is_set():
                raise AssertionError(f"the bot ended by itself:\n{bot.log[-3000:]}")
        if not plug.pulled.is_set():
            plug.disarm()
            moment = f"{moment} (did not come)"
    drill.clock.set(stop=drill.clock.now())
    bot.kill()
    return moment


def restart(drill: Drill, plug: Plug, *, die: bool) -> int:
    """Start a bot again, killed once more while it starts if wanted; return the starts."""
    starts = 1
    if die:
        plug.arm("while starting", None)
        bot = drill.start_bot(wait=False)
        plug.pulled.wait(120)
        plug.disarm()
        bot.kill()
        starts += 1
    drill.start_bot(timeout=300)
    return starts


def drawn(moments: Mapping[str, int], count: int, dice: random.Random) -> list[str]:
    """Return moments in random order, every kind once before any is drawn again."""
    first = list(moments)
    dice.shuffle(first)
    rest = dice.choices(list(moments), list(moments.values()), k=max(0, count - len(first)))
    return (first + rest)[:count]


def run_closing(folder: Path, datadir: Path, *, stops: bool, seed: int, report: Report) -> None:
    """Kill a bot while its guards close every position, and again once they have.

    The drawdown that ends all trading is set so low that it comes within hours.
    """
    busy = deepcopy(BUSY)
    busy["quorum"]["guards"]["system"]["max_drawdown"] = 0.02
    config = {**busy, "order_types": {"stoploss_on_exchange": stops}}
    with Drill(
        folder, datadir, BEGIN, orders=True, pairs=PAIRS, throttle=THROTTLE, config=config
    ) as drill:
        plug = Plug(drill, random.Random(seed))
        drill.start_bot(timeout=300)
        for moment in ("closing by the guards", "while orders rest"):
            said = kill(drill, plug, moment, pd.Timedelta("48h"))
            guards = ledger(drill)
            if guards is None or guards.state is not State.HALTED:
                report.losses.append(f"{said}: the guards are not halted")
            report.restarts += restart(drill, plug, die=False)
            report.kills += 1
            halted = drill.now
            found = settled(drill, stops=stops) + forgotten(guards, ledger(drill))
            drill.run_until(drill.now + pd.Timedelta("2h"), timeout=600)
            found += [f"{name} is still held" for name in drill.account()["positions"]]
            found += [
                f"entered {trade['pair']} although halted"
                for trade in drill.trades()
                if pd.Timestamp(trade["open_date"], tz="UTC") > halted
            ]
            report.losses += [f"kill {said}: {text}" for text in found]
        report.trades = sum(entered(trade) > 0 for trade in drill.trades())


def run(
    folder: Path,
    datadir: Path,
    *,
    orders: bool,
    stops: bool,
    count: int,
    seed: int,
    report: Report,
    begin: str = BEGIN,
) -> None:
    """Kill a bot ``count`` times and check the books after every restart.

    Parameters
    ----------
    orders : bool
        Live orders, else a dry run.
    stops : bool
        Stops rest on the exchange.
    """
    dice = random.Random(seed)
    config: dict[str, Any] = {**BUSY, "order_types": {"stoploss_on_exchange": stops}}
    with Drill(
        folder, datadir, begin, orders=orders, pairs=PAIRS, throttle=THROTTLE, config=config
    ) as drill:
        plug = Plug(drill, dice)
        drill.start_bot(timeout=300)
        drill.run_until(drill.now + pd.Timedelta("2h"), timeout=600)
        for moment in drawn(LIVE_MOMENTS if orders else DRY_MOMENTS, count, dice):
            starting = moment == "while starting"
            said = kill(drill, plug, "while orders rest" if starting else moment)
            before, guards = drill.trades(), ledger(drill)
            starts = restart(drill, plug, die=starting)
            report.kills += 1
            report.restarts += starts
            found = settled(drill, stops=orders and stops)
            after = drill.trades()
            found += loosened(before, after) + forgotten(guards, ledger(drill))
            at = f"kill {report.kills} ({'while starting' if starting else said}, {drill.now})"
            report.losses += [f"{at}: {text}" for text in found]
        drill.run_until(drill.now + pd.Timedelta("3h"), timeout=600)
        report.losses += settled(drill, stops=orders and stops)
        report.losses += asked_again((bot.log for bot in drill.bots), drill.trades())
        report.trades = sum(entered(trade) > 0 for trade in drill.trades())
