"""``quorum replay --live``: candles replayed against a clock, with a test account."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quorum.cli.app import console
from quorum.cli.ending import run_child
from quorum.errors import DataError
from quorum.replay.datadir import TradingMode
from quorum.replay.live.exchange import LiveSettings
from quorum.replay.live.service import LiveExchange

#: Time on the exchange's clock between two rounds of an accelerated bot.
ROUND_SECONDS = 300
#: Name of the configuration that leads a bot to the live exchange.
OVERLAY = "live-exchange.json"
#: Marks a folder as that of a replay.
MARK = ".quorum-replay"
#: What a kept replay leaves, and the next one removes: it would lie in its future.
LEFT = ("trades.*sqlite*", "quorum_outcomes/*", "quorum_journal/*/*", OVERLAY)


@dataclass(frozen=True)
class LiveOptions:
    """How the live replay goes.

    Attributes
    ----------
    start : str
        Day (``20240301``) or moment (``2024-03-01T12:00``) of the candles, UTC.
    speed : float
        Seconds of the exchange per second.
    jump : bool
        Jump over the bot's sleeps.
    orders : bool
        Place orders on the test account instead of a dry run.
    keep : Path or None
        Where trades, journal and configuration are kept; by default nowhere.
    """

    start: str
    speed: float = 1.0
    jump: bool = False
    orders: bool = False
    keep: Path | None = None

    @property
    def start_ms(self) -> int:
        """The start, milliseconds since the epoch; raises ``DataError`` if it cannot be read."""
        text = self.start
        try:
            day = f"{text[:4]}-{text[4:6]}-{text[6:]}" if text.isdigit() else text
            moment = datetime.fromisoformat(day)
        except ValueError:
            raise DataError(f"--from {text!r}: give a day like 20240301") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)


def serve_live(
    arguments: Sequence[str],
    configs: Sequence[Path],
    datadir: Path,
    mode: TradingMode,
    port: int,
    options: LiveOptions,
) -> int:
    """Serve the live exchange, for one freqtrade command or until interrupted.

    Returns
    -------
    int
        Status of the command.
    """
    with (
        tempfile.TemporaryDirectory(prefix="quorum-replay-") as temporary,
        LiveExchange(
            datadir,
            options.start_ms,
            options.speed,
            jump=options.jump,
            settings=LiveSettings(port=port),
        ) as exchange,
    ):
        folder = Path(temporary) if options.keep is None else emptied(options.keep)
        overlay = write_live_overlay(
            folder, exchange, mode, orders=options.orders, kept=options.keep is not None
        )
        layers: list[str] = []
        for layer in (*configs, overlay):
            layers += ["--config", str(layer)]
        if arguments:
            command, *rest = arguments
            exchange.hold_until_candles()
            return run_child(exchange.command(command, *rest, *layers))
        now = datetime.fromtimestamp(exchange.exchange.clock.now() / 1000, UTC)
        console.print(
            f"serving {datadir} at {exchange.url}, {now:%Y-%m-%d %H:%M} on its clock, "
            f"until interrupted (Ctrl-C)\n"
            f"{' '.join(exchange.command('trade', *layers))}\n"
            f"faults and clock: {exchange.url}/quorum/faults, {exchange.url}/quorum/clock",
            soft_wrap=True,
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("stopped")
        return 0


def emptied(folder: Path) -> Path:
    """Return a folder without what an earlier replay left there.

    Raises
    ------
    DataError
        If it holds something, and not of a replay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARK).is_file():
        raise DataError(f"--keep {folder}: holds something else than a replay; name another folder")
    (folder / MARK).touch()
    for pattern in LEFT:
        for path in folder.glob(pattern):
            path.unlink()
    return folder


def write_live_overlay(
    folder: Path, exchange: LiveExchange, mode: TradingMode, *, orders: bool, kept: bool = False
) -> Path:
    """Write the configuration that leads a bot to the live exchange.

    Its trades are in ``folder``: those of another replay would lie in this one's future. With
    ``kept`` everything else that the bot writes is there too.
    """
    overlay: dict[str, Any] = exchange.config_overlay(mode, orders=orders)
    overlay["initial_state"] = "running"
    if exchange.shared_clock is not None:
        # Rounds are what a replay spends its time on.
        overlay["internals"] = {"process_throttle_secs": ROUND_SECONDS}
    overlay["db_url"] = f"sqlite:///{folder / 'trades.sqlite'}"
    if kept:
        overlay["user_data_dir"] = str(folder)
    records = exchange.records_overlay(folder)
    if records:
        overlay["quorum"] = {"market": {"records": records}}
    path = folder / OVERLAY
    # It holds the test account's key.
    path.touch(mode=0o600)
    path.write_text(json.dumps(overlay, indent=1), encoding="utf-8")
    return path
