"""Drills: stock freqtrade in a process of its own against the live local exchange.

::

    with Drill(folder, datadir, start="2023-06-01", jump=True) as drill:
        bot = drill.start_bot()
        drill.run_until("2023-06-03 12:00")     # the clock stops there, exactly
        drill.fault(kind="server_error", rate=0.2, path="/order", executed=True)
        bot.kill()                               # kill -9
        drill.start_bot()                        # same database, same account
        drill.run_until("2023-06-04")
        drill.trades(), drill.account(), drill.served
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pandas as pd

from quorum.replay.datadir import TradingMode
from quorum.replay.live.exchange import LiveSettings
from quorum.replay.live.service import LiveExchange

ROOT = Path(__file__).parent.parent
#: A time: text (UTC), milliseconds since the epoch, or a Timestamp.
Moment = str | int | pd.Timestamp


def ms(moment: Moment) -> int:
    """Return a time as milliseconds since the epoch; text is UTC."""
    if isinstance(moment, int):
        return moment
    stamp = pd.Timestamp(moment)
    return int((stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp).timestamp() * 1000)


class Bot:
    """One freqtrade process."""

    def __init__(self, call: Sequence[str], log: Path, folder: Path) -> None:
        self.log_file = log
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                call, stdout=stream, stderr=stream, cwd=folder, env=environment
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self.process.kill()
        self.process.wait(30)

    def stop(self, timeout: float = 30.0) -> int:
        """End it as a service manager would (SIGTERM), and return its status."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait(30)


class Drill:
    """An exchange, its clock, its faults, and the bots that trade on it.

    Parameters
    ----------
    folder : Path
        Where databases, configuration and logs go.
    datadir : Path
        Candles.
    start : str, int or Timestamp
        When the replay begins.
    speed : float, default=1
        Exchange seconds per second while the bot works.
    jump : bool, default=True
        Jump over the bot's sleeps.
    mode : {"futures", "spot"}
    orders : bool, default=False
        Live orders on the test account instead of a dry run.
    pairs : sequence of str, optional
        By default all there are.
    throttle : float, default=60
        Exchange seconds between two rounds of the bot.
    config : mapping, optional
        Laid over the shipped configuration, section by section.
    settings : LiveSettings, optional
    strategy_path : Path, optional
        By default the repository's.
    """

    def __init__(
        self,
        folder: Path,
        datadir: Path,
        start: Moment,
        *,
        speed: float = 1.0,
        jump: bool = True,
        mode: TradingMode = "futures",
        orders: bool = False,
        pairs: Sequence[str] | None = None,
        throttle: float = 60.0,
        config: Mapping[str, Any] | None = None,
        settings: LiveSettings | None = None,
        strategy_path: Path = ROOT / "strategies",
    ) -> None:
        self.folder = folder
        self.datadir = datadir
        self.mode = mode
        self.orders = orders
        self.exchange = LiveExchange(datadir, ms(start), speed, jump=jump, settings=settings)
        self.pairs = list(pairs or self.exchange.pairs(mode))
        self.throttle = throttle
        self.changes = dict(config or {})
        self.strategy_path = strategy_path
        self.bots: list[Bot] = []
        #: The clock stands until a bot runs: start-up takes none of the market's time.
        assert self.exchange.shared_clock is not None
        self.clock = self.exchange.shared_clock
        self._speed = speed
        self.clock.set(stop=ms(start))

    def __enter__(self) -> Self:
        (self.folder / "user_data").mkdir(parents=True, exist_ok=True)
        self.exchange.start()
        return self

    def __exit__(self, *_: object) -> None:
        for bot in self.bots:
            if bot.alive:
                bot.kill()
        self.exchange.stop()

    # The bot

    @property
    def bot(self) -> Bot:
        """The bot started last."""
        return self.bots[-1]

    @property
    def database(self) -> Path:
        return self.folder / "trades.sqlite"

    def write_config(self) -> Path:
        """Write what is laid over the shipped configuration."""
        overlay = self.exchange.config_overlay(self.mode, self.pairs, orders=self.orders)
        overlay |= {
            "db_url": f"sqlite:///{self.database}",
            "user_data_dir": str(self.folder / "user_data"),
            "internals": {"process_throttle_secs": self.throttle},
            "initial_state": "running",
            "quorum": {"market": {"records": self.exchange.records_overlay(self.folder)}},
        }
        path = self.folder / "drill.json"
        path.write_text(json.dumps(_merged(overlay, self.changes), indent=1), encoding="utf-8")
        return path

    def start_bot(self, *options: str, wait: bool = True, timeout: float = 60.0) -> Bot:
        """Start a freqtrade process; the clock waits for it until it runs."""
        call = self.exchange.command(
            "trade",
            *("--config", str(ROOT / "config.json")),
            *("--config", str(self.write_config())),
            *("--strategy-path", str(self.strategy_path)),
            *options,
        )
        bot = Bot(call, self.folder / f"bot-{len(self.bots)}.log", self.folder)
        self.bots.append(bot)
        if wait:
            self.wait_for_log("Changing state to: RUNNING", bot, timeout)
        return bot

    def wait_for_log(self, text: str, bot: Bot | None = None, timeout: float = 60.0) -> None:
        """Wait until a bot has logged a text."""
        bot = bot or self.bot
        deadline = time.monotonic() + timeout
        while text not in bot.log:
            assert bot.alive, f"the bot ended:\n{bot.log[-4000:]}"
            assert time.monotonic() < deadline, f"no {text!r} in time:\n{bot.log[-4000:]}"
            time.sleep(0.05)

    # The clock

    @property
    def now(self) -> pd.Timestamp:
        return pd.Timestamp(self.clock.now(), unit="ms", tz="UTC")

    def run_until(self, moment: Moment, timeout: float = 120.0) -> None:
        """Let time pass until a moment, at which the clock stops."""
        target = ms(moment)
        self.clock.set(stop=target)
        deadline = time.monotonic() + timeout
        while self.clock.now() < target:
            assert not self.bots or self.bot.alive, f"the bot ended:\n{self.bot.log[-4000:]}"
            assert time.monotonic() < deadline, f"only at {self.now} in time"
            time.sleep(0.01)

    def release(self) -> None:
        """Let the clock run without a stop."""
        self.clock.set(stop=0)

    def jump_to(self, moment: Moment) -> None:
        """Move the clock, bot or no bot; it stops there."""
        self.clock.set(stop=ms(moment))
        self.clock.advance_to(ms(moment))

    # Faults

    def fault(self, **description: Any) -> int:
        """Put a fault in force (see ``quorum.replay.live.faults.Fault``); return its number."""
        for edge in ("start", "end"):
            if edge in description:
                description[edge] = ms(description[edge])
        return self.exchange.exchange.faults.add(description)

    def clear_faults(self, number: int | None = None) -> None:
        self.exchange.exchange.faults.clear(number)

    @property
    def served(self) -> dict[str, int]:
        """How many faults of each kind were served."""
        return dict(self.exchange.exchange.faults.served)

    # What came of it

    def account(self) -> dict[str, Any]:
        """Return every order, fill, position and balance of the test account."""
        exchange = self.exchange.exchange
        with exchange.lock:
            venue = exchange.venue(self.mode)
            venue.catch_up(exchange.clock.now())
            return {
                **venue.account.record(),
                "orders": [order.record() for order in venue.orders.values()],
                "executions": [vars(execution) for execution in venue.executions],
            }

    def trades(self) -> list[dict[str, Any]]:
        """Return the trades of the bot's database, with their orders and custom data."""
        if not self.database.is_file():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows = {
                name: [dict(row) for row in connection.execute(f"select * from {name}")]
                for name in ("trades", "orders", "trade_custom_data")
            }
        for trade in rows["trades"]:
            key = trade["id"]
            trade["orders"] = [o for o in rows["orders"] if o["ft_trade_id"] == key]
            trade["custom"] = {
                d["cd_key"]: json.loads(d["cd_value"]) if d["cd_type"] != "str" else d["cd_value"]
                for d in rows["trade_custom_data"]
                if d["ft_trade_id"] == key
            }
        return rows["trades"]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(old, value) if both else value
    return merged
