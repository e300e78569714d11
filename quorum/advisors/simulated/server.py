"""A server of all providers on this machine, with every fault a real one can have.

It speaks the wire formats of :mod:`quorum.advisors.simulated.wire`; behind them answers a
scripted analyst. It serves tests, drills and the demo, needs no key of anyone, costs nothing,
and its answers carry a model id that says they are simulated.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from threading import Event, Lock
from typing import Any, Self

from quorum.advisors.prompts import estimated_tokens
from quorum.advisors.simulated.analyst import SIMULATED, Analyst
from quorum.advisors.simulated.wire import FORMATS, Asked, Format, Said
from quorum.replay.server import HTTPError, LocalServer, Reply, Request, Service

#: What a refused answer is told.
APOLOGY = "I cannot help with that."


class Fault(StrEnum):
    """What can go wrong with an answer."""

    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    INVALID_JSON = "invalid_json"
    WRONG_SCHEMA = "wrong_schema"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    SLOW = "slow"
    DROPPED = "dropped"
    BROKEN_OFF = "broken_off"
    OTHER_MODEL = "other_model"
    ENDLESS = "endless"


#: Faults that an asker meets as an error of the service.
STATUS = {
    Fault.UNAUTHORIZED: 401,
    Fault.RATE_LIMITED: 429,
    Fault.SERVER_ERROR: 500,
    Fault.OVERLOADED: 529,
}


class ProviderServer(Service):
    """Answers like OpenAI, Anthropic, Gemini and their like, while its context is open.

    Parameters
    ----------
    analyst : Analyst, optional
    port : int, default=0
        0 takes a free one.
    rate : float, default=0
        Share of the answers that get a fault by chance.
    seed : int, default=0
        Of that chance.
    slow : float, default=40
        Seconds a slow answer takes.
    retry_after : float, default=1
        Pause that a rate-limited asker is told [s].
    keyless : bool, default=False
        Whether it answers without a key, as local servers do.

    Attributes
    ----------
    calls : Counter
        Requests by provider.
    asked : list of (str, Asked)
        Every question that was understood, with its provider.
    answers : callable or None
        Writes answers in the analyst's place: for hostile ones.
    """

    def __init__(
        self,
        analyst: Analyst | None = None,
        *,
        port: int = 0,
        rate: float = 0.0,
        seed: int = 0,
        slow: float = 40.0,
        retry_after: float = 1.0,
        keyless: bool = False,
    ) -> None:
        self.analyst = analyst or Analyst()
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, Asked]] = []
        self.answers: Callable[[Asked], str] | None = None
        self.retry_after = retry_after
        self._keyless = keyless
        self._slow = slow
        self._rate = rate
        self._chance = random.Random(seed)
        self._planned: dict[str, deque[Fault]] = {name: deque() for name in FORMATS}
        self._lock = Lock()
        self._stopping = Event()
        self._server = LocalServer({}, self._answer, port)

    @property
    def url(self) -> str:
        """For example ``"http://127.0.0.1:8123"``."""
        return self._server.url

    def start(self) -> Self:
        """Begin to serve."""
        self._stopping.clear()
        self._server.start()
        return self

    def stop(self) -> None:
        """End, also answers that are still being waited for."""
        self._stopping.set()
        self._server.stop()

    def plan(self, provider: str, *faults: Fault) -> None:
        """Let the next requests to a provider meet these faults, one each."""
        with self._lock:
            self._planned[provider].extend(faults)

    def _answer(self, request: Request) -> object:
        for name, spoken in FORMATS.items():
            if request.method == "POST" and re.fullmatch(spoken.path, request.path):
                return self._serve(name, spoken, request)
        raise HTTPError(404, {"error": {"message": f"{request.path}: not found"}})

    def _serve(self, name: str, spoken: Format, request: Request) -> object:
        with self._lock:
            self.calls[name] += 1
            fault = self._planned[name].popleft() if self._planned[name] else None
            if fault is None and self._chance.random() < self._rate:
                fault = self._chance.choice(list(Fault))
        if not (self._keyless or request.headers.get(spoken.key)):
            return Reply(spoken.error(401, "no key"), 401)
        if fault in STATUS:
            status = STATUS[fault]
            headers = {"Retry-After": f"{self.retry_after:g}"} if status == 429 else {}
            return Reply(spoken.error(status, f"simulated {fault}"), status, headers)
        if fault is Fault.DROPPED:
            return Reply(None, silent=True)
        if fault is Fault.SLOW:
            self._stopping.wait(self._slow)
        asked = spoken.read(request)
        with self._lock:
            self.asked.append((name, asked))
        return self._written(spoken, asked, fault)

    def _written(self, spoken: Format, asked: Asked, fault: Fault | None) -> Reply:
        """Return the answer to a question, spoiled by a fault."""
        text = self._text(asked)
        end, model = "stop", f"{SIMULATED}{asked.model}"
        if fault is Fault.REFUSAL:
            text, end = APOLOGY, "refusal"
        elif fault is Fault.TRUNCATED:
            text, end = text[: len(text) // 2], "length"
        elif fault is Fault.INVALID_JSON:
            text = "Certainly! Here is my answer: " + text[:-3]
        elif fault is Fault.WRONG_SCHEMA:
            text = json.dumps({"opinion": "up", "confidence": "very"})
        elif fault is Fault.OTHER_MODEL:
            model = f"{SIMULATED}another-model"
        elif fault is Fault.ENDLESS:
            text = json.dumps({"reasoning": "word " * 1_000_000})
        said = Said(
            text, model, end, estimated_tokens(asked.system + asked.user), estimated_tokens(text)
        )
        if fault is Fault.BROKEN_OFF:
            return Reply(spoken.write(said), kept=0.5, breaks=True)
        return Reply(spoken.write(said))

    def _text(self, asked: Asked) -> str:
        if self.answers is not None:
            return self.answers(asked)
        answer: dict[str, Any] = self.analyst.answer(asked.user, asked.schema, asked.model)
        return json.dumps(answer)
