"""The numbers a kernel reads out of a group of constants that also holds names and lists."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

Limits = TypeVar("Limits", bound=NamedTuple)


def limits_of(kind: type[Limits], constants: Any) -> Limits:
    """Fill a named tuple from the constants of the same names."""
    return kind(*(getattr(constants, name) for name in kind._fields))
