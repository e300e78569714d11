"""A working data directory made of a read-only recorded one and what lies beside it.

Recorded candles are linked, not copied. Series from outside the exchange's candles (a sibling
folder ``extras``) are converted to what the host and the heads read: open interest to candles,
the fear-and-greed index and futures metrics to records files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from quorum.records import RECORD_KINDS
from quorum.records.sources import (
    binance_metrics_records,
    fear_greed_records,
    open_interest_candles,
)
from quorum.replay.candle_files import FORMATS, write_candle_file
from quorum.replay.datadir import FUNDING_TIMEFRAME, DataDirectory
from quorum.replay.folder import publish

logger = logging.getLogger(__name__)

#: Raised whenever the same sources are converted to other files.
LINK_VERSION = 1
MANIFEST = "linked.json"
SENTIMENT = "sentiment.feather"
DERIVATIVES = "derivatives.feather"
FEAR_GREED = "fear_greed_index.csv"
_OPEN_INTEREST = "open_interest_1h_"
_METRICS = "binance_futures_metrics_5m_"


def records_files(datadir: Path) -> dict[str, str]:
    """Find the records files of a linked or synthetic data directory: path by kind of record."""
    paths = {kind.name: datadir / f"{kind.name}.feather" for kind in RECORD_KINDS}
    return {name: str(path) for name, path in paths.items() if path.is_file()}


def link_datadir(source: Path, target: Path, extras: Path | None = None) -> bool:
    """Make ``target`` a data directory with the candles of ``source`` and converted extras.

    Parameters
    ----------
    source : Path
        A freqtrade data directory; it is only read.
    target : Path
        Missing, empty, or made by this function before. Reused when nothing changed.
    extras : Path, optional
        Folder of other series, by default ``extras`` beside ``source`` where it exists:

        * ``open_interest_1h_<COIN>_USDT.feather`` becomes open-interest candles,
          in the format of ``source``,
        * ``fear_greed_index.csv`` becomes ``sentiment.feather``,
        * ``binance_futures_metrics_5m_<COIN>_USDT.feather`` become ``derivatives.feather``.

    Returns
    -------
    bool
        False if it was there already.

    Raises
    ------
    DataError
        If ``source`` holds no candles, an extra cannot be used, or ``target`` holds other files.
    """
    source = source.absolute()
    directory = DataDirectory(source)
    folder = extras if extras is not None else source.parent / "extras"
    converters = dict(_converters(directory, folder))
    inputs = sorted({path for paths, _convert in converters.values() for path in paths})
    manifest = {
        "version": LINK_VERSION,
        "candles": sorted(str(series.path) for series in directory.series),
        "extras": [[str(p), p.stat().st_mtime_ns, p.stat().st_size] for p in inputs],
    }

    def build(fresh: Path) -> None:
        for series in directory.series:
            link = fresh / series.path.relative_to(source)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(series.path)
        for name, (_paths, convert) in converters.items():
            (fresh / name).parent.mkdir(exist_ok=True)
            write_candle_file(convert(), fresh / name)

    made = publish(target, MANIFEST, manifest, build)
    logger.info("Data directory %s: %s", "linked" if made else "reused", target)
    return made


def _converters(
    directory: DataDirectory, extras: Path
) -> Iterator[tuple[str, tuple[list[Path], Callable[[], pd.DataFrame]]]]:
    """Yield file name, inputs and conversion of every extra that is of use."""
    for path in sorted(extras.glob(f"{_OPEN_INTEREST}*.feather")):
        base, quote = _base_and_quote(path, _OPEN_INTEREST)
        pair = f"{base}/{quote}:{quote}"
        # A series the exchange itself recorded is better than one from elsewhere.
        recorded = directory.find(pair, FUNDING_TIMEFRAME, "open_interest")
        if pair in directory.pairs("futures") and recorded is None:
            name = f"futures/{base}_{quote}_{quote}-{FUNDING_TIMEFRAME}-open_interest"
            yield (
                name + FORMATS[directory.file_format],
                ([path], _bound(open_interest_candles, path)),
            )
    fear_greed = extras / FEAR_GREED
    if fear_greed.is_file():
        yield SENTIMENT, ([fear_greed], _bound(fear_greed_records, fear_greed))
    metrics = sorted(extras.glob(f"{_METRICS}*.feather"))
    if metrics:
        yield DERIVATIVES, (metrics, _bound(_metrics, metrics))


def _bound(convert: Callable[[Any], pd.DataFrame], argument: Any) -> Callable[[], pd.DataFrame]:
    """Return the conversion of one argument, to be done later."""
    return lambda: convert(argument)


def _metrics(paths: list[Path]) -> pd.DataFrame:
    """Convert the futures metrics of all coins to one records file."""
    parts = [binance_metrics_records(path, _base_and_quote(path, _METRICS)[0]) for path in paths]
    return pd.concat(parts).sort_values("known_at", kind="stable", ignore_index=True)


def _base_and_quote(path: Path, prefix: str) -> tuple[str, str]:
    """Read base and quote currency from ``<prefix>BTC_USDT.feather``."""
    base, _, quote = path.stem.removeprefix(prefix).partition("_")
    return base, quote
