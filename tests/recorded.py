"""Records as a market gets them, from a file."""

from __future__ import annotations

from pathlib import Path

from markets import candle_frame

from quorum.market import Frames, Market, Published, Records, build_market
from quorum.records import RecordLoader


def market_with_records(pair: str, **paths: str | Path) -> Market:
    """Return a small market of a pair, joined with records files by kind."""
    loader = RecordLoader({kind: str(path) for kind, path in paths.items()}, Path())
    return loader.join(build_market(pair, "1h", Frames(candle_frame(10))))


def load_sentiment(path: str | Path, pair: str) -> Records:
    RecordLoader({"sentiment": str(path)}, Path())
    return market_with_records(pair, sentiment=path).records["sentiment"]


def load_derivatives(path: str | Path, pair: str) -> dict[str, Published]:
    RecordLoader({"derivatives": str(path)}, Path())
    return dict(market_with_records(pair, derivatives=path).published)


def sources_of(records: Records) -> list[str]:
    """Return the source of each record by name."""
    return [records.labels["source"][code] for code in records["source"]]
