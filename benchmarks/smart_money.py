"""The peer of the column benchmark: smartmoneyconcepts on the same candles.

It covers a part of what one of our nine heads reads. Its defaults are used and one session of
its eight; its swings look ahead, ours are confirmed, so the speeds compare and the columns do not.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from quorum.candles import Candles

PACKAGE = "smartmoneyconcepts"


def ohlc_frame(candles: Candles) -> pd.DataFrame:
    """Return candles as the package wants them: a frame on its dates."""
    return pd.DataFrame(
        {
            "open": candles.open,
            "high": candles.high,
            "low": candles.low,
            "close": candles.close,
            "volume": candles.volume,
        },
        index=pd.to_datetime(candles.time, unit="ms", utc=True),
    )


def run_once(candles: Candles) -> dict[str, float | str] | None:
    """Time each function of the package once.

    Returns
    -------
    dict of function to seconds or error message, or None
        None where the package is not installed.
    """
    # It prints an advertisement when imported.
    os.environ["SMC_CREDIT"] = "0"
    try:
        smc: Any = importlib.import_module(PACKAGE).smc
    except ImportError:
        return None
    ohlc = ohlc_frame(candles)
    # Most functions start from the swings; what they get is not timed twice.
    swings = smc.swing_highs_lows(ohlc)
    functions: dict[str, Callable[[], Any]] = {
        "swings": lambda: smc.swing_highs_lows(ohlc),
        "structure": lambda: smc.bos_choch(ohlc, swings),
        "order blocks": lambda: smc.ob(ohlc, swings),
        "fair value gaps": lambda: smc.fvg(ohlc),
        "liquidity": lambda: smc.liquidity(ohlc, swings),
        "retracements": lambda: smc.retracements(ohlc, swings),
        "one session": lambda: smc.sessions(ohlc, "London"),
    }
    return {name: _seconds(function) for name, function in functions.items()}


def package_version() -> str:
    """Return its version, empty where it is not installed as a distribution."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


def _seconds(function: Callable[[], Any]) -> float | str:
    """Time one call; what it raises becomes its result, so that the others still run."""
    start = time.perf_counter()
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return time.perf_counter() - start
