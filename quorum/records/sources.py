"""From what providers publish to records files and to the host's open-interest candles.

Each converter returns a frame to be written beside others; several are put together with
``pd.concat(...).sort_values("known_at", kind="stable")`` and ``to_feather`` or ``to_csv``.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quorum.candles import MINUTE_MS
from quorum.errors import DataError
from quorum.records.columns import numbers, read_frame, refuse, times

#: The fear-and-greed index runs from 0 (fear) to 100 (greed).
INDEX_MIDDLE = 50.0
#: Period of Binance's futures metrics; a row is taken as known one period after its stamp.
METRICS_PERIOD = pd.Timedelta(milliseconds=5 * MINUTE_MS)
#: Providers' kinds of headlines that are not edited news.
SOCIAL_KINDS = frozenset({"media", "social", "twitter", "reddit", "youtube"})


def fear_greed_records(path: str | Path) -> pd.DataFrame:
    """Convert a fear-and-greed CSV (``date, value`` 0-100) to sentiment records.

    The value of a day is published at 00:00 UTC of that day: that is its ``known_at``. The
    score is linear, ``(value - 50) / 50``: the mood of the crowd as the index states it.

    Returns
    -------
    DataFrame with columns known_at, source, score, weight
    """
    path = Path(path)
    frame = read_frame(path, ("date", "value"))
    value = numbers(path, frame["value"], 0.0, 2 * INDEX_MIDDLE)
    return pd.DataFrame(
        {
            "known_at": times(path, frame["date"], strict=True).dt.floor("D"),
            "source": "fear_greed",
            "score": (value - INDEX_MIDDLE) / INDEX_MIDDLE,
            "weight": 1.0,
        }
    )


def open_interest_candles(path: str | Path) -> pd.DataFrame:
    """Convert a series ``date, open_interest`` (coins) to the host's open-interest candles.

    Returns
    -------
    DataFrame with columns date, open_interest_amount, open_interest_value
        The value in quote currency is not in the source and stays NaN.
    """
    path = Path(path)
    frame = read_frame(path, ("date", "open_interest"))
    return pd.DataFrame(
        {
            "date": times(path, frame["date"], strict=True),
            "open_interest_amount": numbers(path, frame["open_interest"], 0.0),
            "open_interest_value": np.nan,
        }
    )


def binance_metrics_records(path: str | Path, pair: str) -> pd.DataFrame:
    """Convert Binance's futures metrics (5m) to derivatives records.

    ``long_short_ratio`` is the ratio of all accounts (``count_long_short_ratio``);
    ``taker_buy_share`` is ``r / (1 + r)`` of ``sum_taker_long_short_vol_ratio``. Values that the
    exchange left out are left out. Stamps fit the end of the period best; a record is
    nevertheless known only one period later, so that it cannot be early.

    Returns
    -------
    DataFrame with columns known_at, pair, kind, value
    """
    path = Path(path)
    ratios = {
        "long_short_ratio": "count_long_short_ratio",
        "taker_buy_share": "sum_taker_long_short_vol_ratio",
    }
    frame = read_frame(path, ("date", *ratios.values()))
    known_at = times(path, frame["date"], strict=True) + METRICS_PERIOD
    parts = []
    for kind, column in ratios.items():
        given = frame[column].notna()
        if not given.any():
            continue
        refuse(
            path,
            frame[column],
            given.to_numpy(dtype=np.bool_)
            & ~(pd.to_numeric(frame[column], errors="coerce") >= 0).to_numpy(dtype=np.bool_),
            "is not a ratio of at least 0",
        )
        ratio = numbers(path, frame[column][given], 0.0)
        value = ratio / (1.0 + ratio) if kind == "taker_buy_share" else ratio
        parts.append(
            pd.DataFrame({"known_at": known_at[given], "pair": pair, "kind": kind, "value": value})
        )
    if not parts:
        raise DataError(f"{path}: columns {', '.join(ratios.values())} hold no value")
    together = pd.concat(parts, ignore_index=True)
    return together.sort_values("known_at", kind="stable", ignore_index=True)


def news_records(path: str | Path, *, fetched_at: datetime) -> pd.DataFrame:
    """Convert headlines with votes, as news services return them, to sentiment records.

    Expects a list of objects with ``source``, ``published_at``, ``votes`` (``positive``,
    ``negative``) and optionally ``kind`` and ``currencies``. The readers' votes alone make the
    score, ``(positive - negative) / (positive + negative)``, and the weight,
    ``log2(1 + votes)``; a headline without votes says nothing and gives no record (its wording
    is not interpreted). A headline about several currencies gives a record for each, one about
    none a record for the whole market.

    Parameters
    ----------
    path : str or Path
    fetched_at : datetime with a time zone
        When the service was asked. Votes come in after publication, so this, and not
        ``published_at``, is when the score was known.

    Returns
    -------
    DataFrame with columns known_at, source, score, weight, pair
        Empty if no headline has votes.
    """
    path = Path(path)
    if fetched_at.tzinfo is None:
        raise DataError(f"{path}: fetched_at {fetched_at} has no time zone")
    rows: list[tuple[str, float, float, str]] = []
    for number, item in enumerate(_headlines(path), start=1):
        if _published(path, number, item) > fetched_at:
            raise DataError(
                f"{path}: column published_at, row {number}: {item['published_at']!r} "
                f"is after fetched_at {fetched_at}"
            )
        positive, negative = (_votes(path, number, item, side) for side in ("positive", "negative"))
        votes = positive + negative
        if not votes:
            continue
        kind = "social" if str(item.get("kind", "news")) in SOCIAL_KINDS else "news"
        score = (positive - negative) / votes
        about = dict.fromkeys(str(currency) for currency in item.get("currencies") or [""])
        source, weight = f"{kind}:{item['source']}", math.log2(1 + votes)
        rows.extend((source, score, weight, currency) for currency in about)
    frame = pd.DataFrame(rows, columns=["source", "score", "weight", "pair"])
    frame.insert(0, "known_at", pd.Timestamp(fetched_at).tz_convert("UTC"))
    return frame


def _headlines(path: Path) -> list[dict[str, Any]]:
    """Read the list of headlines and check that each has what is needed."""
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not isinstance(items, list) or not items:
        raise DataError(f"{path}: not a list of headlines, or an empty one")
    for number, item in enumerate(items, start=1):
        for key in ("source", "published_at", "votes"):
            if not isinstance(item, dict) or not item.get(key):
                raise DataError(f"{path}: column {key}, row {number}: missing")
    return items


def _published(path: Path, number: int, item: dict[str, Any]) -> pd.Timestamp:
    when = pd.to_datetime(str(item["published_at"]), utc=True, format="ISO8601", errors="coerce")
    if pd.isna(when):
        raise DataError(
            f"{path}: column published_at, row {number}: {item['published_at']!r} is not a date"
        )
    return when


def _votes(path: Path, number: int, item: dict[str, Any], side: str) -> int:
    votes = item["votes"].get(side) if isinstance(item["votes"], dict) else None
    if not isinstance(votes, int) or isinstance(votes, bool) or votes < 0:
        raise DataError(
            f"{path}: column votes.{side}, row {number}: {votes!r} is not a number of votes"
        )
    return votes
