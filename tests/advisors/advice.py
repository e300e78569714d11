"""Records of advisors, made by hand."""

from __future__ import annotations

from typing import Any

from quorum.advisors.questions import QUESTIONS
from quorum.advisors.record import ANSWERED, Record, question_id

HOUR = 3_600_000
PAIR = "SOL/USDT:USDT"


def record(
    kind: str = "timeframes",
    *,
    candle: int = HOUR,
    asked_at: int | None = None,
    known_at: int | None = None,
    provider: str = "openai",
    model: str = "m-1",
    role: str = "technician",
    pair: str = PAIR,
    numbers: dict[str, list[float | None]] | None = None,
    **changes: Any,
) -> Record:
    """Return a record that was asked and answered at once, when its candle had closed."""
    asked = candle if asked_at is None else asked_at
    system, user = f"you are {role}", f"{kind} of {pair} at {candle}"
    key = question_id(kind, 1, provider, model, {}, system, user)
    if numbers is None:
        numbers = {pair: [1.0] * 4 + [0.8] * 4}
    values: dict[str, Any] = {
        "version": QUESTIONS[kind].version,
        "status": ANSWERED,
        "raw": "{}",
        "tokens_in": 100,
        "tokens_out": 50,
    }
    return Record(
        id=key,
        question=key,
        kind=kind,
        provider=provider,
        model=model,
        model_asked=model,
        role=role,
        pair=pair,
        candle=candle,
        asked_at=asked,
        known_at=asked if known_at is None else known_at,
        numbers=numbers,
        system=system,
        user=user,
        **{**values, **changes},
    )
