"""Records: time-stamped values from outside the exchange's candles.

A record is seen from its ``known_at`` on (UTC; a time without a zone is UTC), never before. Each
*kind* of record is one file here and one line in :data:`RECORD_KINDS`: what columns it has, how old
it may be, and how it joins a pair. ``market.records`` of the settings names for each kind where its
records are: a CSV or feather file sorted by ``known_at``, or ``state`` for the state store.

``pair`` may be a pair or a base currency (``BTC``); empty, or without that column, a record is
about the whole market. What is read is checked as a whole before any of it is used.
"""

from __future__ import annotations

from quorum.records.kind import RecordKind
from quorum.records.loading import STATE, RecordLoader
from quorum.records.registry import RECORD_KINDS

__all__ = ["RECORD_KINDS", "STATE", "RecordKind", "RecordLoader"]
