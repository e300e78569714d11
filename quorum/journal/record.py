"""What is journaled of one closed candle: its columns, and what they were computed from.

Bot and replay describe a candle by the same functions, so whatever differs between two
descriptions differs between the two runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quorum.candles import Candles
from quorum.consensus import Consensus, VoteTable
from quorum.market import Market
from quorum.settings import Settings
from quorum.signals import Measured, SignalTable
from quorum.typing import Ints

#: Rows of a series its digest covers at most: more than a bot's history.
DEPTH = 1600
#: Sections that decide columns and entries. Those of the guards and of the account do not, and
#: may name a database with its password.
SECTIONS = (
    "market",
    "heads",
    "weights",
    "consensus",
    "context",
    "exits",
    "sizing",
    "learning",
)
BASE = "base"
_PRICES = ("open", "high", "low", "close", "volume")
_VOTE = ("direction", "probability", "confidence", "reason", "available")
_CONSENSUS = ("direction", "agreeing", "available", "effective", "probability", "confidence")

#: What earlier signals did, and the band of the stated confidence; older journals have none.
MEASURED_COLUMNS = (
    "measured confidence",
    "measured win_rate",
    "measured expected_r",
    "signal stated_band",
)

#: A journaled number; None is NaN.
Value = float | int | None


def column_names(table: SignalTable) -> tuple[str, ...]:
    """Return the names of a candle's columns in the order of the pipeline."""
    return (
        *(f"candle {name}" for name in _PRICES),
        "tradable",
        *(f"vote {head} {part}" for head in table.votes.heads for part in _VOTE),
        *(f"market {name}" for name in _market_columns(table)),
        *(f"consensus {name}" for name in (*_CONSENSUS, "confluence")),
        "signal entry",
        "signal band",
        "model win_rate",
        "model expected_r",
        *MEASURED_COLUMNS,
    )


def _market_columns(table: SignalTable) -> list[str]:
    """Return the published columns; a bot's table holds the candles beside them."""
    return sorted(set(table.columns) - set(_PRICES))


def column_values(market: Market, table: SignalTable, row: int) -> list[Value]:
    """Return the values of one candle's columns, as :func:`column_names` names them."""
    v, c = table.votes, table.consensus
    votes = zip(*(getattr(v, part)[row].tolist() for part in _VOTE), strict=True)
    measured = table.measured
    values: list[Any] = [
        *(getattr(market.candles, name)[row].item() for name in _PRICES),
        int(market.tradable[row]),
        *(part for vote in votes for part in vote),
        *(table.columns[name][row].item() for name in _market_columns(table)),
        *(getattr(c, name)[row].item() for name in (*_CONSENSUS, "confluence")),
        int(table.entry[row]),
        int(table.band[row]),
        *(math.nan if a is None else a[row].item() for a in (table.win_rate, table.expected_r)),
        *(_measured(measured, row) if measured is not None else (math.nan,) * 3),
        int(table.plan_band[row]),
    ]
    return [_plain(value) for value in values]


def _measured(measured: Measured, row: int) -> tuple[float, ...]:
    found = (measured.confidence, measured.win_rate, measured.expected_r)
    return tuple(float(values[row]) for values in found)


def table_of(values: Mapping[str, Value], opened: int) -> SignalTable:
    """Return the signal table of one journaled candle: one row, read back from its columns.

    Parameters
    ----------
    values : mapping of column name to value
    opened : int
        Opening time of the candle, ms.
    """

    def column(name: str, kind: type = np.float64) -> NDArray[Any]:
        value = values[name]
        return np.array([math.nan if value is None else value], dtype=kind)

    heads = tuple(
        name.split()[1] for name in values if name.startswith("vote ") and name.endswith(" reason")
    )
    kinds = (np.int8, np.float64, np.float64, np.int64, np.bool_)
    votes: dict[str, NDArray[Any]] = {
        part: np.array([[column(f"vote {h} {part}", kind)[0] for h in heads]], dtype=kind)
        for part, kind in zip(_VOTE, kinds, strict=True)
    }
    counts = {"direction": np.int8, "agreeing": np.int64, "available": np.int64}
    consensus = {
        part: column(f"consensus {part}", counts.get(part, np.float64))
        for part in (*_CONSENSUS, "confluence")
    }
    market = [name for name in values if name.startswith("market ")]
    prices = [name for name in values if name.startswith("candle ")]
    return SignalTable(
        time=np.array([opened], dtype=np.int64),
        entry=column("signal entry", np.int8),
        band=column("signal band", np.int8),
        consensus=Consensus(**consensus),
        votes=VoteTable(heads=heads, **votes),
        columns={name.split(" ", 1)[1]: column(name) for name in (*prices, *market)},
        tradable=column("tradable", np.bool_),
        win_rate=column("model win_rate"),
        expected_r=column("model expected_r"),
        measured=_read_measured(values),
    )


def _read_measured(values: Mapping[str, Value]) -> Measured | None:
    """Return what earlier signals did, None in a journal of before."""
    if not all(name in values for name in MEASURED_COLUMNS):
        return None
    confidence, win_rate, expected_r = (
        np.array([math.nan if values[name] is None else values[name]], dtype=np.float64)
        for name in MEASURED_COLUMNS[:3]
    )
    band = np.array([values[MEASURED_COLUMNS[3]]], dtype=np.int8)
    return Measured(confidence, win_rate, expected_r, band)


def _plain(value: Any) -> Value:
    """Return a value as JSON can hold it: NaN is None, infinity the largest number."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else math.copysign(1.7976931348623157e308, value)
    return value  # type: ignore[no-any-return]


class Input(NamedTuple):
    """One series as it was known at the close of a candle.

    Attributes
    ----------
    rows : int
        Values known by then.
    first, newest : int
        Opening time of the first and last candle, or when those values became known, ms; 0 for
        none.
    digest : int
        Checksum of the last ``min(rows, DEPTH)`` rows.
    """

    rows: int
    first: int
    newest: int
    digest: int


@dataclass(frozen=True)
class Known:
    """A series cut off at the close of a candle: times and values, oldest first."""

    time: Ints
    values: tuple[NDArray[Any], ...]

    def describe(self, depth: int = DEPTH) -> Input:
        """Return rows, first and newest time, and the digest of the last ``depth`` rows."""
        rows = len(self.time)
        if rows == 0:
            return Input(0, 0, 0, 0)
        digest = 0
        for array in (self.time, *self.values):
            last = np.ascontiguousarray(array[-min(rows, depth) :])
            digest = zlib.crc32(last.data, digest)
        return Input(rows, int(self.time[0]), int(self.time[-1]), digest)


def _candles(candles: Candles, rows: int) -> Known:
    values = tuple(getattr(candles, name)[:rows] for name in _PRICES)
    return Known(candles.time[:rows], values)


def _closed(candles: Candles, end: int) -> Known:
    return _candles(candles, int(np.searchsorted(candles.close_time, end, side="right")))


def inputs_known(market: Market, row: int) -> Iterator[tuple[str, Known, object]]:
    """Yield role, what was known of it at the close of ``row``, and the object it comes from.

    The object stays the same until the series has a new row: it tells what is described already.
    """
    end = int(market.close_time[row])
    yield BASE, _candles(market.candles, row + 1), market.candles
    for timeframe, series in market.higher.items():
        yield timeframe, _candles(series.candles, int(series.row[row]) + 1), series.candles
    for name, published in market.published.items():
        known = published.until(end)
        yield name, Known(known.known_at, (known.value,)), published
    for base, candles in market.context.items():
        yield f"context {base}", _closed(candles, end), candles
    for base, candles in market.universe.items():
        yield f"universe {base}", _closed(candles, end), candles
    for kind, records in market.records.items():
        cut = records.until(end)
        numbers = (v for name, v in cut.columns.items() if name not in cut.labels)
        yield kind, Known(cut.known_at, tuple(numbers)), records


def settings_record(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide columns, as far as they are not the defaults."""
    return settings.model_dump(mode="json", include=set(SECTIONS), exclude_defaults=True)


def settings_digest(settings: Settings) -> str:
    """Return a digest of all settings that decide columns, defaults included."""
    content = settings.model_dump(mode="json", include=set(SECTIONS))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def flat(tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return a tree of settings by dotted path."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{path}{name}."))
        else:
            found[f"{path}{name}"] = value
    return found
