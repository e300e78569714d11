"""Faults: a part that failed is reported once with its traceback, and the rest goes on."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

_reported: set[tuple[str, str, str]] = set()


def report_fault(part: str, pair: str, error: Exception) -> None:
    """Log that ``part`` failed on ``pair`` and abstains; the same fault only once."""
    fault = (part, pair, repr(error))
    if fault not in _reported:
        _reported.add(fault)
        logger.error("The %s failed on %s and abstains", part, pair, exc_info=error)
