"""Faults: a part that failed is reported once with its traceback, and the rest goes on."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

_reported: set[tuple[str, str, str, str]] = set()


def report_fault(part: str, pair: str, error: Exception) -> None:
    """Log that ``part`` failed on ``pair`` and abstains; the same fault only once.

    Faults are the same if they arise at the same place: their messages may hold values that
    change with every candle.
    """
    fault = (part, pair, type(error).__name__, _place(error))
    if fault not in _reported:
        _reported.add(fault)
        logger.error("The %s failed on %s and abstains", part, pair, exc_info=error)


def _place(error: Exception) -> str:
    """Return the line of code that raised ``error``, empty if it was never raised."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
