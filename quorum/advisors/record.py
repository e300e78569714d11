"""Record: one question and what came of it, as the ledger keeps it (spec A5)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from quorum.advisors.providers import Failure

#: Status of a record whose answer counts.
ANSWERED = "answered"
#: A question that was under way when its writer died: it may have been answered and paid for.
LOST = "lost"
#: What the model itself said or did not say. It is not asked again: that would be re-rolling.
FINAL = frozenset(
    {
        ANSWERED,
        LOST,
        Failure.REFUSED,
        Failure.TRUNCATED,
        Failure.NOT_JSON,
        Failure.WRONG_SCHEMA,
        Failure.TOO_LONG,
        Failure.UNREADABLE,
    }
)


def digest(*parts: str) -> str:
    """Return the hash of some texts that no other texts have."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class Record(BaseModel):
    """One question and what came of it; times in milliseconds since the epoch.

    Attributes
    ----------
    id, question : str
        Hash of what was asked and who answered, by the model as returned and as asked for.
    pair : str
        Empty for all pairs.
    candle : int
        Close of the last candle in the prompt.
    known_at : int
        When the answer had arrived.
    cut_off : int or None
        End of what the model has read, None where unknown.
    status : str
        ``answered``, or why there is no answer.
    numbers : mapping of pair to list of float or None
        What the answer comes to, by the fields of its question.
    inputs : tuple of (str, int)
        Id and first-seen time of whatever the prompt was made of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str
    kind: str
    version: int
    provider: str
    model: str
    model_asked: str
    role: str
    pair: str
    candle: int
    asked_at: int
    known_at: int
    cut_off: int | None = None
    status: str
    numbers: dict[str, list[float | None]] = {}
    inputs: tuple[tuple[str, int], ...] = ()
    system: str
    user: str
    raw: str = ""
    parsed: dict[str, Any] | None = None
    reason: str = ""
    finish: str = ""
    anonymous: bool = True
    sampling: dict[str, float] = {}
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    attempts: int = 1
    price: tuple[float, float, float] | None = None
    cost: float = 0.0
    latency: float = 0.0
    who: Literal["writer", "probe", "person", "test"] = "writer"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.candle <= self.asked_at <= self.known_at:
            raise ValueError("times: a candle closes, then it is asked, then answered")
        late = [name for name, seen in self.inputs if seen > self.asked_at]
        if late:
            raise ValueError(f"inputs: {late[0]} was not known yet when asked")
        names = (self.provider, self.model, self.role, self.pair, self.kind, self.status)
        if any("\x1f" in name for name in names):
            raise ValueError("names: one holds a control character")
        if (self.status == ANSWERED) != bool(self.numbers):
            raise ValueError("numbers: an answer has some, a failure none")
        return self

    @property
    def tokens(self) -> int:
        """Tokens that count against the budget."""
        return self.tokens_in + self.tokens_out


def question_id(
    kind: str,
    version: int,
    provider: str,
    model: str,
    sampling: Mapping[str, float],
    system: str,
    user: str,
) -> str:
    """Return the id of a question to a model, or of its answer by the model as returned."""
    settings = json.dumps(dict(sampling), sort_keys=True)
    return digest(kind, str(version), provider, model, settings, system, user)


def stated(numbers: Sequence[float]) -> list[float | None]:
    """Return numbers as JSON can hold them."""
    return [float(value) if math.isfinite(value) else None for value in numbers]
