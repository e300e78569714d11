"""The journal of a backtest: the signal of every trade, every refusal, and the funnel.

The host exports trades but not what a strategy stores with them. When the process of a
backtest ends, the journal is written next to the result file, under the same name with
``.quorum.json``; what passed which step, and what never did, is logged.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from freqtrade.data.btanalysis import get_latest_backtest_filename
from freqtrade.enums import RunMode

from quorum.bot.desk import Desk
from quorum.bot.host import is_futures
from quorum.funnel import Funnel, count, gather
from quorum.report.trades import STRATEGY

logger = logging.getLogger(__name__)

SUFFIX = ".quorum.json"


def journal_path(result: Path) -> Path:
    """Return where the journal of a result file lies."""
    return result.parent / (result.name.removesuffix(result.suffix) + SUFFIX)


def keep_journal(desk: Desk, config: dict[str, Any]) -> None:
    """Log the funnel when the process of a backtest ends; write its journal if it is exported."""
    if config.get("runmode") == RunMode.BACKTEST:
        atexit.register(_at_exit, desk, config, time.time())


def _at_exit(desk: Desk, config: dict[str, Any], started: float) -> None:
    if not desk.tables:
        return  # It ended before there was anything to decide.
    funnel = funnel_of(desk, config)
    logger.info("Quorum, what came how far: %s", funnel.line())
    for sentence in funnel.shares():
        logger.info("Quorum, %s", sentence)
    for sentence in funnel.silent:
        logger.warning("Quorum: %s", sentence)
    result = None if config.get("export", "trades") == "none" else _result(config)
    # An analysis command backtests without exporting: the latest result is somebody else's.
    if result is not None and result.stat().st_mtime >= started:
        write_journal(desk, journal_path(result), funnel, str(config.get("strategy") or STRATEGY))


def _result(config: dict[str, Any]) -> Path | None:
    """Return the latest result of a backtest, None without one."""
    folder = Path(
        config.get("exportdirectory") or Path(config["user_data_dir"]) / "backtest_results"
    )
    try:
        return folder / get_latest_backtest_filename(folder)
    except ValueError:
        return None


def funnel_of(desk: Desk, config: dict[str, Any]) -> Funnel:
    """Return what came how far in the tables of a desk, without the history they begin with."""
    first = int(config.get("startup_candle_count", 0))
    parts = [count(table, desk.settings, first) for table in desk.tables.values()]
    sides = ("long", "short") if is_futures(config) else ("long",)
    return gather(parts, desk.accepted, desk.refused, desk.settings.consensus, sides)


def write_journal(desk: Desk, path: Path, funnel: Funnel, strategy: str = STRATEGY) -> None:
    """Write the journal of a strategy's backtest, whole or not at all."""
    content = {
        "strategy": strategy,
        "funnel": funnel.model_dump(mode="json"),
        "accepted": desk.accepted.total(),
        "refused": dict(desk.refused.most_common()),
        "signals": [
            {"pair": pair, "opened": opened.isoformat(), **signal.model_dump(mode="json")}
            for (pair, opened), signal in desk.signals.items()
        ],
    }
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(path)
