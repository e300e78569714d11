"""Session: a feed and a writer side by side, from the first row to a clean end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ccxt.pro

from quorum.errors import DataError
from quorum.recorder.bars import BarWriter
from quorum.recorder.buffer import Buffer
from quorum.recorder.channels import DAY_MS, TRADES
from quorum.recorder.feed import Feed
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.postgres import PostgresSink
from quorum.recorder.settings import RecorderSettings
from quorum.recorder.sink import Sink, SinkError
from quorum.recorder.writing import Writer

logger = logging.getLogger(__name__)

#: Seconds between two lines that tell how it goes.
TELL = 60.0


def open_exchange(config: Mapping[str, Any], *, futures: bool) -> Any:
    """Return the streams of the exchange a configuration names; no key is used.

    Raises
    ------
    DataError
        If the exchange library has no streams of it.
    """
    name = str(config["exchange"]["name"])
    kind = getattr(ccxt.pro, name, None)
    if kind is None:
        raise DataError(f"exchange.name = {name!r}: the exchange library has no streams of it")
    own = dict(config["exchange"].get("ccxt_config") or {})
    options = {"defaultType": "swap" if futures else "spot", **own.pop("options", {})}
    return kind({**own, "options": options})


def open_sinks(settings: RecorderSettings, root: Path) -> list[Sink]:
    """Return where rows go.

    Raises
    ------
    QuorumError
        If a sink cannot be used, or there is none.
    """
    sinks: list[Sink] = []
    if settings.folder is not None:
        sinks.append(ParquetSink(root / settings.folder, settings.keep_days))
    if settings.database is not None:
        sinks.append(PostgresSink(settings.database, settings.keep_days))
    if not sinks:
        raise DataError("neither --folder nor --database: nowhere to write to")
    return sinks


async def record(
    exchange: Any,
    pairs: Sequence[str],
    sinks: Sequence[Sink],
    settings: RecorderSettings,
    stop: asyncio.Event,
) -> int:
    """Record until told to stop; return how many rows were written.

    Raises
    ------
    SinkError
        If rows can no longer be kept; the exchange's streams are closed.
    """
    buffer = Buffer()
    feed, bars = Feed(exchange, pairs, buffer, settings), None
    await asyncio.to_thread(_resume, feed, sinks[0])
    if isinstance(sinks[0], ParquetSink):
        bars = BarWriter(sinks[0].folder)
        await asyncio.to_thread(bars.resume, sinks[0], pairs, _now())
    writer = Writer(buffer, sinks, _now, bars)
    writing = asyncio.create_task(writer.run(stop))
    writing.add_done_callback(lambda _: stop.set())
    telling = asyncio.create_task(_tell(writer))
    try:
        await feed.run(stop)
    finally:
        stop.set()
        telling.cancel()
        await writing
        writer.flush()
        for sink in sinks:
            sink.close()
    return writer.written


def _resume(feed: Feed, sink: Sink) -> None:
    """Let trades go on behind the last that were recorded: what is missing is asked for."""
    now = _now()
    for pair in feed.pairs:
        try:
            known = sink.read(TRADES, pair, now - DAY_MS, now)
        except SinkError as error:
            logger.warning("It is not known where recording ended: %s", error)
            return
        if len(known):
            last = known.slice(len(known) - 1).to_pylist()[0]
            feed.resume(pair, str(last["id"]), int(last["exchange_at"]))


async def _tell(writer: Writer) -> None:
    before = 0
    while True:
        await asyncio.sleep(TELL)
        rate = (writer.written - before) / TELL
        before = writer.written
        logger.info("%.1f rows/s, %d wait to be written", rate, writer.waiting)


def _now() -> int:
    return int(time.time() * 1000)
