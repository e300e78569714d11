"""Question: what advisors are asked, how often, and what counts as an answer (spec A2)."""

from __future__ import annotations

import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from quorum.advisors.facts import Facts
from quorum.answers import KINDS
from quorum.errors import DataError

#: Characters kept of a text in an answer, and items kept of a list.
TEXT_LIMIT, LIST_LIMIT = 400, 8
#: What JSON schema says of limits; providers refuse some of it, answers are checked here.
LIMITS = {
    "title", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minItems", "maxItems", "minLength", "maxLength", "default",
}  # fmt: skip


def _clean(text: str) -> str:
    """Take control characters out of a text and cut it."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(kept.split())[:TEXT_LIMIT]


Text = Annotated[str, AfterValidator(_clean)]
Texts = Annotated[tuple[Text, ...], AfterValidator(lambda items: items[:LIST_LIMIT])]
Share = Annotated[float, Field(ge=0, le=1)]


class Answer(BaseModel):
    """Base of every typed answer: nothing but its fields, and only finite numbers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, strict=False, coerce_numbers_to_str=False
    )


@dataclass(frozen=True)
class Asked:
    """What an answer refers to.

    Attributes
    ----------
    close : float
        Price that levels are relative to, 100 where the prompt was anonymous.
    labels : mapping of label in the prompt to pair
        Of every pair that was named.
    """

    close: float = 100.0
    labels: Mapping[str, str] = field(default_factory=dict)


A = TypeVar("A", bound=Answer)


class Question(ABC, Generic[A]):
    """One kind of question.

    Attributes
    ----------
    kind : str
    version : int
        Of template and answer; part of a record's identity.
    per_pair : bool
        Asked for each pair, or once for all of them.
    sections : tuple of str
        Sections of the facts that the prompt states.
    hours : int
        How often it is asked, at closes that are multiples of it since the epoch [h].
    fields : tuple of str
        Names of the numbers an answer comes to.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    per_pair: ClassVar[bool] = True
    sections: ClassVar[tuple[str, ...]]
    Answer: type[A]

    @property
    def hours(self) -> int:
        """How often it is asked [h]."""
        return KINDS[self.kind].hours

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the numbers an answer comes to."""
        return KINDS[self.kind].fields

    @abstractmethod
    def numbers(self, answer: A, asked: Asked, pair: str) -> tuple[float, ...]:
        """Return what an answer says of a pair, one number per field, NaN where nothing."""

    def check(self, answer: A, asked: Asked) -> None:
        """Raise ``ValueError`` where an answer does not fit what was asked."""

    def parse(self, text: str, asked: Asked) -> A:
        """Read an answer.

        Raises
        ------
        DataError
            Saying what is wrong with it, without quoting it.
        """
        try:
            answer = self.Answer.model_validate(json.loads(text))
            self.check(answer, asked)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problems[:3])
            raise DataError(f"{self.kind}: {told}") from error
        except (ValueError, RecursionError) as error:
            kind = "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"{self.kind}: {kind}") from error
        return answer

    def schema(self) -> dict[str, Any]:
        """Return the answer's JSON schema in the subset that every provider takes.

        Objects are closed and all their properties required; no references, no limits.
        """
        whole = self.Answer.model_json_schema()
        schema: dict[str, Any] = _inlined(whole, whole.get("$defs", {}))
        return schema

    def facts(self, facts: Facts) -> Facts:
        """Return the part of the facts that the prompt states."""
        return facts.only(self.sections)


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(deepcopy(definitions[node["$ref"].rsplit("/", 1)[1]]), definitions)
    out = {
        key: _inlined(value, definitions)
        for key, value in node.items()
        if key not in LIMITS and key not in ("$defs", "description")
    }
    if "properties" in node:
        # A property may be called like a limit.
        properties = node["properties"]
        out["properties"] = {name: _inlined(of, definitions) for name, of in properties.items()}
        out["required"] = list(properties)
        out["additionalProperties"] = False
    return out
