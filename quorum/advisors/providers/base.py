"""Provider: how one service is asked for a typed answer, and how its reply is read (spec A6b).

A provider is two pure functions, from a prompt to a request and from a response body to a reply.
Everything that touches the network is in :mod:`quorum.advisors.client`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Failure(StrEnum):
    """Why there is no answer; kept in the ledger, so that every silence has a reason."""

    NO_KEY = "no_key"
    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad_request"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    NOT_JSON = "not_json"
    WRONG_SCHEMA = "wrong_schema"
    BUDGET = "budget"
    PAUSED = "paused"


@dataclass(frozen=True)
class Prompt:
    """One question as it is sent.

    Attributes
    ----------
    system, user : str
    name : str
        Of the answer's schema: letters, digits and underscores.
    schema : mapping
        JSON schema of the answer.
    max_output : int
        Largest answer [tokens].
    """

    system: str
    user: str
    name: str
    schema: Mapping[str, Any]
    max_output: int


@dataclass(frozen=True)
class Exchange:
    """One HTTP request: path behind the base address, headers, JSON body."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; ``cached`` is the part of ``input`` that came from a cache."""

    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True)
class Reply:
    """What a provider answered.

    Attributes
    ----------
    text : str
        The answer, meant to be JSON.
    model : str
        As the provider names it, which may be another than was asked for.
    finish : str
        Why the answer ended, in the provider's words.
    usage : Usage
    failure : Failure or None
        ``REFUSED`` or ``TRUNCATED`` where the answer is none.
    """

    text: str
    model: str
    finish: str
    usage: Usage = field(default_factory=Usage)
    failure: Failure | None = None


class Wire(BaseModel):
    """Base of what is read of a response; what is not named is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Provider(ABC):
    """One service and its wire format.

    Attributes
    ----------
    name : str
        As settings name it.
    base_url : str
        Default address; empty where there is none.
    key_variable : str
        Environment variable that holds the key.
    needs_key : bool
        Whether it answers no one without a key.
    sampling : mapping
        Sampling parameters that are sent; part of a record's identity.
    """

    name: ClassVar[str]
    base_url: ClassVar[str]
    key_variable: ClassVar[str]
    needs_key: ClassVar[bool] = True
    sampling: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def request(self, prompt: Prompt, model: str, key: str) -> Exchange:
        """Return the request that asks ``model`` the prompt; the key goes into a header."""

    @abstractmethod
    def read(self, body: bytes) -> Reply:
        """Read a response of status 200.

        Raises
        ------
        pydantic.ValidationError
            If it is not a response of this provider.
        """
