"""The candles beside a bot, read by one who only looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quorum.bot.host import data_format, is_futures, load_candles
from quorum.bot.source import Series
from quorum.candles import Candles, cleaned_candles


def candles_on_disk(config: dict[str, Any], pair: str, timeframe: str) -> Candles | None:
    """Return the candles of a pair in the data directory, None without any."""
    folder = config.get("datadir")
    if folder is None:
        exchange = (config.get("exchange") or {}).get("name")
        folder = Path(config.get("user_data_dir") or "user_data") / "data" / str(exchange)
    if not Path(folder).is_dir():
        return None
    kind = "futures" if is_futures(config) else "spot"
    frame = load_candles(Path(folder), Series(pair, timeframe, kind), data_format(config))
    return None if frame.empty else cleaned_candles(frame, timeframe, name=pair)
