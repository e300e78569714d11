"""The journal of a backtest: the signal of every trade and every refusal, beside its result.

The host exports trades but not what a strategy stores with them. When the process of a
backtest ends, the journal is written next to the result file, under the same name with
``.quorum.json``.
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
from quorum.report.trades import STRATEGY

logger = logging.getLogger(__name__)

SUFFIX = ".quorum.json"


def journal_path(result: Path) -> Path:
    """Return where the journal of a result file lies."""
    return result.parent / (result.name.removesuffix(result.suffix) + SUFFIX)


def keep_journal(desk: Desk, config: dict[str, Any]) -> None:
    """Write the journal of this backtest when the process ends, if a result was exported."""
    if config.get("runmode") != RunMode.BACKTEST or config.get("export", "trades") == "none":
        return
    started = time.time()
    folder = Path(
        config.get("exportdirectory") or Path(config["user_data_dir"]) / "backtest_results"
    )
    atexit.register(_at_exit, desk, folder, started, str(config.get("strategy") or STRATEGY))


def _at_exit(desk: Desk, folder: Path, started: float, strategy: str) -> None:
    if desk.accepted.total() + desk.refused.total() == 0 or not folder.is_dir():
        return
    try:
        result = folder / get_latest_backtest_filename(folder)
    except ValueError:
        return  # No result was exported at all.
    # An analysis command backtests without exporting: the latest result is somebody else's.
    if result.stat().st_mtime >= started:
        write_journal(desk, journal_path(result), strategy)
    if desk.refused:
        reasons = ", ".join(f"{reason} {count}" for reason, count in desk.refused.most_common())
        logger.info("Quorum accepted %d entries and refused: %s", desk.accepted.total(), reasons)


def write_journal(desk: Desk, path: Path, strategy: str = STRATEGY) -> None:
    """Write the journal of a strategy's backtest, whole or not at all."""
    content = {
        "strategy": strategy,
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
