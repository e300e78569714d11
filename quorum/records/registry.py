"""Every kind of record: one file, and one line here."""

from __future__ import annotations

from quorum.records.derivatives import DerivativesRecords
from quorum.records.flow import FlowRecords
from quorum.records.kind import RecordKind
from quorum.records.sentiment import SentimentRecords

RECORD_KINDS: tuple[RecordKind, ...] = (
    SentimentRecords(),
    DerivativesRecords(),
    FlowRecords(),
)
