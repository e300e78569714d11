"""What is known of models: prices and the end of what they have read. As of November 2026.

Prices change and models come; ``advisors.prices`` and ``advisors.cut_offs`` of the settings go
before this table. A price that is not known counts as the dearest that is, so that a budget
holds; a cut-off that is not known is none, and then nothing may be asked about the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from quorum.advisors.providers import Usage
from quorum.errors import DataError

#: How model ids begin whose answers are simulated.
SIMULATED = "simulated:"


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: float
    output: float
    cached: float


class Model(NamedTuple):
    """One model.

    Attributes
    ----------
    price : Price
    cut_off : str or None
        Month after which it has read nothing, like ``"2026-01"``; None where it is not told.
    """

    price: Price
    cut_off: str | None


MODELS: dict[str, Model] = {
    "gpt-5.6-terra": Model(Price(2.50, 15.00, 0.25), None),
    "gpt-5.4-mini": Model(Price(0.75, 4.50, 0.075), None),
    "gpt-5-mini": Model(Price(0.25, 2.00, 0.025), "2024-05"),
    "claude-sonnet-5": Model(Price(2.00, 10.00, 0.20), "2026-01"),
    "claude-haiku-4-5": Model(Price(1.00, 5.00, 0.10), "2025-02"),
    "gemini-3.8-flash": Model(Price(0.75, 3.75, 0.075), None),
    "gemini-3-flash-preview": Model(Price(0.50, 3.00, 0.05), "2025-01"),
    "gemini-2.5-flash": Model(Price(0.30, 2.50, 0.03), "2025-01"),
}
#: What a call of a model that is not known is counted as.
DEAREST = Price(
    max(m.price.input for m in MODELS.values()),
    max(m.price.output for m in MODELS.values()),
    max(m.price.cached for m in MODELS.values()),
)


def _known(model: str) -> Model | None:
    """Return the entry of a model, also of one whose id carries a date."""
    found = [name for name in MODELS if model == name or model.startswith(f"{name}-20")]
    return MODELS[max(found, key=len)] if found else None


def price_of(model: str, own: Mapping[str, tuple[float, float]]) -> tuple[Price, bool]:
    """Return a model's price, and whether it is known; simulated answers cost nothing.

    Parameters
    ----------
    model : str
    own : mapping of model to (input, output)
        Prices of the settings, US dollars per million tokens.
    """
    if model.startswith(SIMULATED):
        return Price(0.0, 0.0, 0.0), True
    if model in own:
        into, out = own[model]
        return Price(into, out, into), True
    known = _known(model)
    return (known.price, True) if known else (DEAREST, False)


def cost_of(usage: Usage, price: Price) -> float:
    """Return what a call costs [US dollars]."""
    fresh = max(usage.input - usage.cached, 0)
    tokens = fresh * price.input + usage.cached * price.cached + usage.output * price.output
    return tokens / 1e6


def cut_off_of(model: str, own: Mapping[str, str]) -> int | None:
    """Return the end of what a model has read, milliseconds since the epoch, None if unknown.

    The end of the month is meant: a model may have read its last day.
    """
    known = _known(model)
    month = own.get(model) or (known.cut_off if known else None)
    return None if month is None else month_end(month)


def month_end(month: str) -> int:
    """Return the end of a month like ``"2026-01"``, milliseconds since the epoch.

    Raises
    ------
    DataError
    """
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise DataError(f"{month!r} is no month like 2026-01") from None
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(after.timestamp() * 1000)
