"""Sentiment: the mood of the crowd, as indices, news and social media have it (spec H2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from quorum.records.columns import Column, names, number
from quorum.records.kind import RecordKind


class SentimentRecords(RecordKind):
    """Scores from -1 (fear, bad news) to +1 (greed, good news), with their weights.

    What to make of a score is the sentiment head's business. The source is a kind
    (``fear_greed``, ``news``, ``social``), alone or as the prefix of a name (``news:coindesk``).
    """

    name: ClassVar[str] = "sentiment"
    columns: ClassVar[Mapping[str, Column]] = {
        "source": names,
        "score": number(-1.0, 1.0),
        "weight": number(0.0),
    }
    #: The head ages each kind of source by itself; this is the oldest it may be told to use.
    max_age: ClassVar[float] = 2160.0
