"""What a freqtrade backtest result says of itself, beside its trades."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quorum.errors import DataError
from quorum.report.page.run import Run, ordered
from quorum.report.trades import Results

#: What is needed of a result's strategy section.
NEEDED = (
    "backtest_start_ts",
    "backtest_end_ts",
    "timeframe",
    "stake_currency",
    "starting_balance",
    "pairlist",
)


def backtest_run(path: Path, results: Results) -> Run:
    """Make a run of a backtest result.

    Parameters
    ----------
    path : Path
        The result file, zip or (older hosts) plain JSON.
    results : Results
        Its trades, as read by the host.

    Raises
    ------
    DataError
        If the file is no result of Quorum, or lacks what this needs.
    """
    content, config = _read(path)
    strategies = content.get("strategy")
    if not isinstance(strategies, Mapping) or results.strategy not in strategies:
        found = ", ".join(strategies) if isinstance(strategies, Mapping) else "nothing"
        raise DataError(f"{path}: no result of {results.strategy}, it holds {found}")
    facts = strategies[results.strategy]
    missing = [name for name in NEEDED if facts.get(name) is None]
    if missing:
        raise DataError(
            f"{path}: the result lacks {', '.join(missing)}: was it written by another "
            "version of freqtrade?"
        )
    notes = []
    if config is None:
        notes.append("The result holds no configuration: the shipped settings are assumed.")
    if results.refused is None:
        notes.append(
            "No journal lies beside the result: confidence, votes, stops, risk multiples and "
            "refusals are not known."
        )
    section = (config or {}).get("quorum")
    return Run(
        name=path.name,
        kind="backtest",
        trades=ordered(results.trades),
        refused=results.refused,
        first=int(facts["backtest_start_ts"]),
        last=int(facts["backtest_end_ts"]),
        timeframe=str(facts["timeframe"]),
        currency=str(facts["stake_currency"]),
        capital=float(facts["starting_balance"]),
        pairs=tuple(facts["pairlist"]),
        futures=facts.get("trading_mode", "futures") == "futures",
        section=section if isinstance(section, Mapping) else {},
        notes=tuple(notes),
        funnel=results.funnel,
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the result and the configuration it was made with, None where it holds none."""
    try:
        if path.suffix != ".zip":
            return json.loads(path.read_text(encoding="utf-8")), None
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            content = json.loads(archive.read(f"{path.stem}.json"))
            config = f"{path.stem}_config.json"
            return content, json.loads(archive.read(config)) if config in names else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a backtest result ({error})") from error
