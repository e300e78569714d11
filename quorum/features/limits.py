"""Settings in the form kernels take: compiled code reads named tuples, not pydantic sections."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import TypeVar

from quorum.section import Section

Limits = TypeVar("Limits")


def limits_of(kind: Callable[..., Limits], settings: Section) -> Limits:
    """Fill a named tuple from the settings of the same names.

    >>> from typing import NamedTuple
    >>> from quorum.features.swings import SwingSettings
    >>> class Sides(NamedTuple):
    ...     left: int
    ...     right: int
    >>> limits_of(Sides, SwingSettings(left=3))
    Sides(left=3, right=5)
    """
    return kind(*(getattr(settings, name) for name in _fields(kind)))


# A signature takes as long to read as a pattern to find, and a bot asks at every candle.
@cache
def _fields(kind: Callable[..., object]) -> tuple[str, ...]:
    return tuple(signature(kind).parameters)
