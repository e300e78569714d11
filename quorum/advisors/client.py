"""Client: one call to a provider, with its time limit, retries and circuit breaker (spec A6b).

Only the writer process makes one. A call never raises for what a provider or a network does:
its outcome says what came back, or why nothing did. Keys go into headers and nowhere else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from quorum.advisors.providers import Failure, Prompt, Provider, Reply
from quorum.errors import SettingsError

RETRIES = 2
#: Seconds before the first retry; each next one waits twice as long, give or take half.
FIRST_WAIT = 1.0
#: Longest pause that a provider may ask for before a retry [s]; longer ones open the breaker.
LONGEST_WAIT = 20.0
#: Largest response that is read [bytes].
LARGEST = 1_000_000
#: Hosts that a key may be sent to without encryption.
LOCAL = ("127.0.0.1", "localhost", "::1")
RETRIED = (
    Failure.RATE_LIMITED,
    Failure.SERVER_ERROR,
    Failure.TIMEOUT,
    Failure.DISCONNECTED,
)


@dataclass(frozen=True)
class Outcome:
    """What one question came to.

    Attributes
    ----------
    reply : Reply or None
    failure : Failure or None
        None for an answer that was read.
    detail : str
        In words, without secrets.
    raw : str
        The response body as it came, empty where there was none.
    attempts : int
        Calls made; each may have been paid for.
    retry_after : float
        Pause the provider asked for [s].
    """

    reply: Reply | None
    failure: Failure | None
    detail: str = ""
    raw: str = ""
    attempts: int = 1
    retry_after: float = 0.0


@dataclass
class Breaker:
    """Stops asking a provider that keeps failing, and tries again after a pause.

    Attributes
    ----------
    limit : int
        Failures in a row that open it.
    pause : float
        How long it stays open [s]; a refused key keeps it open ten times as long.
    """

    limit: int = 3
    pause: float = 300.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    closed_at: float = 0.0

    def open_for(self) -> float:
        """Return for how many seconds nothing is asked any more, 0 where it may be."""
        return max(0.0, self.closed_at - self.clock())

    def note(self, outcome: Outcome) -> None:
        """Count an outcome: what the provider itself could not do."""
        failure = outcome.failure
        if failure is Failure.UNAUTHORIZED:
            self.closed_at = self.clock() + 10.0 * self.pause
        elif failure in RETRIED:
            self.failures += 1
            if self.failures >= self.limit:
                self.closed_at = self.clock() + self.pause
        else:
            self.failures = 0
        if outcome.retry_after > LONGEST_WAIT:
            self.closed_at = max(self.closed_at, self.clock() + outcome.retry_after)


@dataclass
class Client:
    """Asks one provider.

    Attributes
    ----------
    provider : Provider
    key : str
        Never shown, logged or kept.
    base_url : str
        Address the provider's paths are added to.
    timeout : float
        Of one call, all in all [s].
    wait : callable
        Sleeps; returns True where the wait was cut short and no more must be asked.
    """

    provider: Provider
    key: str = field(repr=False)
    base_url: str
    timeout: float = 30.0
    wait: Callable[[float], bool] = lambda seconds: Event().wait(seconds)
    breaker: Breaker = field(default_factory=Breaker)
    jitter: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        local = parts.hostname in LOCAL
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{self.provider.name}: base_url = {self.base_url!r}: no address")
        if parts.username or parts.password or parts.query:
            raise SettingsError(f"{self.provider.name}: base_url holds more than an address")
        if self.key and parts.scheme == "http" and not local:
            raise SettingsError(
                f"{self.provider.name}: base_url = {self.base_url!r}: a key is sent "
                "over https or to this machine only"
            )
        # A proxy of the environment is not asked the way to this machine.
        self._http = httpx.Client(timeout=self.timeout, trust_env=not local)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, model: str, prompt: Prompt) -> Outcome:
        """Ask, and ask again where the provider or the network failed; never after a refusal."""
        if self.provider.needs_key and not self.key:
            return Outcome(None, Failure.NO_KEY, f"{self.provider.key_variable} is not set")
        pause = self.breaker.open_for()
        if pause:
            detail = f"{self.provider.name} failed before; asked again in {pause:.0f} s"
            return Outcome(None, Failure.PAUSED, detail, attempts=0)
        outcome = self._call(model, prompt)
        for attempt in range(1, RETRIES + 1):
            wait = FIRST_WAIT * 2.0 ** (attempt - 1) * self.jitter.uniform(0.5, 1.5)
            wait = max(wait, outcome.retry_after)
            if outcome.failure not in RETRIED or wait > LONGEST_WAIT or self.wait(wait):
                break
            again = self._call(model, prompt)
            outcome = Outcome(
                again.reply, again.failure, again.detail, again.raw, attempt + 1, again.retry_after
            )
        self.breaker.note(outcome)
        return outcome

    def _call(self, model: str, prompt: Prompt) -> Outcome:
        request = self.provider.request(prompt, model, self.key)
        deadline = time.monotonic() + self.timeout
        body = bytearray()
        try:
            url = self.base_url.rstrip("/") + request.path
            with self._http.stream(
                "POST", url, headers=dict(request.headers), json=dict(request.body)
            ) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        return Outcome(None, Failure.TOO_LONG, f"over {LARGEST} bytes")
                    if time.monotonic() > deadline:
                        return Outcome(None, Failure.TIMEOUT, f"not done in {self.timeout:g} s")
                return self._read(response, bytes(body))
        except httpx.TimeoutException:
            return Outcome(None, Failure.TIMEOUT, f"no answer in {self.timeout:g} s")
        except httpx.TransportError as error:
            return Outcome(None, Failure.DISCONNECTED, type(error).__name__)
        except httpx.DecodingError as error:
            return Outcome(None, Failure.UNREADABLE, type(error).__name__)

    def _read(self, response: httpx.Response, body: bytes) -> Outcome:
        raw = self._clean(body.decode("utf-8", "replace"))
        status = response.status_code
        if status != 200:
            detail = f"status {status}: {' '.join(raw.split())[:200]}"
            wait = _seconds(response.headers.get("retry-after"))
            return Outcome(None, _failure_of(status), detail, raw, retry_after=wait)
        try:
            reply = self.provider.read(body)
        except ValidationError as error:
            return Outcome(None, Failure.UNREADABLE, _problems(error), raw)
        return Outcome(reply, reply.failure, reply.finish, raw)

    def _clean(self, text: str) -> str:
        """Take the key out of what came back: some servers repeat it in their errors."""
        return text.replace(self.key, "***") if self.key else text


def _failure_of(status: int) -> Failure:
    if status in (401, 403):
        return Failure.UNAUTHORIZED
    if status == 429:
        return Failure.RATE_LIMITED
    return Failure.SERVER_ERROR if status >= 500 or status == 408 else Failure.BAD_REQUEST


def _seconds(header: Any) -> float:
    """Read a Retry-After header; dates and nonsense count as none."""
    try:
        return min(max(float(header), 0.0), 86_400.0)
    except (TypeError, ValueError):
        return 0.0


def _problems(error: ValidationError) -> str:
    """Name what was wrong with a body, without quoting it."""
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found[:3])
