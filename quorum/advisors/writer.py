"""Writer: asks what is due and writes down what comes back (spec A4, A6).

A process of its own. It asks each provider from one thread, so that a slow one delays only
itself, and stops when it is told to: what is under way is finished and written down.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any, Literal, NamedTuple

from quorum.advisors.client import Client, Outcome
from quorum.advisors.facts import Facts
from quorum.advisors.ledger import Ledger, Reservation, Spent
from quorum.advisors.models import cost_of, cut_off_of, price_of
from quorum.advisors.prompts import Rendered, estimated_tokens, render
from quorum.advisors.providers import Failure, Usage
from quorum.advisors.questions import QUESTIONS, Question
from quorum.advisors.record import ANSWERED, LOST, Record, question_id, stated
from quorum.advisors.settings import AdvisorSettings, Member
from quorum.answers import HOUR_MS
from quorum.errors import DataError

logger = logging.getLogger(__name__)

#: A call that has not come back after this long never will [ms].
LOST_AFTER = 600_000
#: Seconds until what a service could not do is asked again.
AGAIN_AFTER = 300.0


class Due(NamedTuple):
    """One question to one advisor."""

    member: Member
    question: Question[Any]
    rendered: Rendered


def due_at(settings: AdvisorSettings, facts: Sequence[Facts], *, anonymous: bool) -> Iterable[Due]:
    """Yield every question that is due at the candle of some facts.

    Parameters
    ----------
    settings : AdvisorSettings
    facts : sequence of Facts
        Of all pairs at one candle.
    anonymous : bool
    """
    if not facts:
        return
    candle = facts[0].candle
    for kind in settings.questions:
        question = QUESTIONS[kind]
        if candle % (question.hours * HOUR_MS):
            continue
        groups = [[f] for f in facts] if question.per_pair else [list(facts)]
        for group in groups:
            for member in settings.members:
                rendered = render(
                    question,
                    member.role,
                    group,
                    anonymous=anonymous,
                )
                yield Due(member, question, rendered)


class Clock:
    """The market's clock while questions are asked: now, or moments of the past."""

    def asked(self, candle: int) -> int:
        """Return when a question about a candle is asked [ms since the epoch]."""
        return max(time.time_ns() // 1_000_000, candle)

    def answered(self, asked_at: int) -> int:
        """Return when its answer has arrived."""
        return max(time.time_ns() // 1_000_000, asked_at)


class MarketClock(Clock):
    """A clock on which every question is asked right after its candle: for simulated answers."""

    def asked(self, candle: int) -> int:
        """Return a second after the close."""
        return candle + 1_000

    def answered(self, asked_at: int) -> int:
        """Return two seconds later."""
        return asked_at + 2_000


@dataclass
class Writer:
    """Asks advisors.

    Attributes
    ----------
    ledger : Ledger
    settings : AdvisorSettings
    clients : mapping of member name to Client
    clock : Clock
    who : str
    tally : Counter
        Records written, by status.
    stopping : Event
        Set to end after what is under way.
    """

    ledger: Ledger
    settings: AdvisorSettings
    clients: Mapping[str, Client]
    clock: Clock = field(default_factory=Clock)
    who: Literal["writer", "probe", "person", "test"] = "writer"
    tally: Counter[str] = field(default_factory=Counter)
    stopping: Event = field(default_factory=Event)
    monotonic: Callable[[], float] = time.monotonic
    _tried: dict[str, float] = field(default_factory=dict)
    _silent: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    @property
    def limit(self) -> Spent:
        """Budget of a day."""
        return Spent(self.settings.tokens_per_day, self.settings.money_per_day)

    def ask(self, questions: Iterable[Due]) -> int:
        """Ask what has not been asked yet, each provider in a thread; return how many were.

        Raises
        ------
        QuorumError
            If the ledger cannot be written.
        """
        queues: dict[str, list[tuple[str, Due]]] = {}
        for due in questions:
            queues.setdefault(due.member.provider, []).append((self.identity(due), due))
        keys = [key for queue in queues.values() for key, _ in queue]
        finished = self.ledger.finished(keys)
        before = self.tally.total()
        self._silent.clear()
        with ThreadPoolExecutor(max(len(queues), 1), thread_name_prefix="advisor") as pool:
            for task in [pool.submit(self._work, queue, finished) for queue in queues.values()]:
                task.result()
        return self.tally.total() - before

    def _work(self, queue: Sequence[tuple[str, Due]], finished: set[str]) -> None:
        for key, due in queue:
            if self.stopping.is_set():
                return
            now = self.monotonic()
            if key in finished or now < self._tried.get(key, -1e9) + AGAIN_AFTER:
                continue
            self._tried[key] = now
            self._ask(key, due)

    def settle_lost(self) -> int:
        """Write down what was under way when a writer died; it is not asked again."""
        before = time.time_ns() // 1_000_000 - LOST_AFTER
        lost = self.ledger.under_way(before)
        for detail in lost.values():
            record = Record.model_validate_json(detail)
            self._write(record)
        return len(lost)

    def identity(self, due: Due) -> str:
        """Return the id of a question."""
        return self._identity(due, due.member.model)

    def _identity(self, due: Due, model: str) -> str:
        prompt, provider = due.rendered.prompt, self.clients[due.member.name].provider
        return question_id(
            due.question.kind,
            due.question.version,
            provider.name,
            model,
            provider.sampling,
            prompt.system,
            prompt.user,
        )

    def _ask(self, key: str, due: Due) -> None:
        """Reserve, ask, settle: one record, whatever happens."""
        prompt, client = due.rendered.prompt, self.clients[due.member.name]
        asked_at = self.clock.asked(due.rendered.candle)
        price, _ = price_of(due.member.model, self.settings.prices)
        most = Usage(estimated_tokens(prompt.system + prompt.user), prompt.max_output)
        lost = self._record(key, due, asked_at, LOST, reason="its writer died")
        lost = lost.model_copy(
            update={
                "tokens_in": most.input,
                "tokens_out": most.output,
                "cost": cost_of(most, price),
                "price": tuple(price),
            }
        )
        reserved = self.ledger.reserve(
            key,
            asked_at,
            lost.tokens,
            lost.cost,
            self.limit,
            lost.model_dump_json(),
        )
        if reserved is Reservation.UNDER_WAY:
            return
        if reserved is Reservation.NO_BUDGET:
            self._tried[key] = float("inf")
            reason = f"the day's budget of {self.limit.tokens} tokens and ${self.limit.cost:g}"
            self._write(self._record(key, due, asked_at, Failure.BUDGET, reason=reason))
            return
        began = self.monotonic()
        outcome = client.ask(due.member.model, prompt)
        latency = self.monotonic() - began
        self._write(self._settled(key, due, asked_at, outcome, lost, latency))

    def _settled(
        self, key: str, due: Due, asked_at: int, outcome: Outcome, most: Record, latency: float
    ) -> Record:
        """Return the record of an outcome: what was said, what it cost."""
        changes: dict[str, Any] = {
            "known_at": self.clock.answered(asked_at),
            "raw": outcome.raw,
            "reason": outcome.detail,
            "attempts": outcome.attempts,
            "latency": round(latency, 3),
        }
        if outcome.reply is None:
            # An answer that did not arrive may have been written, and is paid for.
            if outcome.failure in (Failure.TIMEOUT, Failure.DISCONNECTED, Failure.TOO_LONG):
                changes |= {"tokens_in": most.tokens_in, "tokens_out": most.tokens_out}
                changes |= {"cost": most.cost, "price": most.price}
            failure = outcome.failure or Failure.UNREADABLE
            return self._record(key, due, asked_at, failure, **changes)
        reply = outcome.reply
        price, known = price_of(reply.model, self.settings.prices)
        if not known:
            price, known = price_of(due.member.model, self.settings.prices)
        changes |= {
            "model": reply.model,
            "id": self._identity(due, reply.model),
            "finish": reply.finish,
            "tokens_in": reply.usage.input,
            "tokens_out": reply.usage.output,
            "tokens_cached": reply.usage.cached,
            "cost": cost_of(reply.usage, price),
            "price": tuple(price),
            "cut_off": cut_off_of(reply.model, self.settings.cut_offs),
        }
        if reply.failure is not None:
            return self._record(key, due, asked_at, reply.failure, **changes)
        status = self._parsed(due, reply.text, changes)
        return self._record(key, due, asked_at, status, **changes)

    def _parsed(self, due: Due, text: str, changes: dict[str, Any]) -> str:
        """Parse an answer into ``changes``; return its status."""
        question, asked = due.question, due.rendered.asked
        try:
            answer = question.parse(text, asked)
        except DataError as error:
            changes["reason"] = str(error)
            return Failure.NOT_JSON if "not JSON" in str(error) else Failure.WRONG_SCHEMA
        changes["parsed"] = answer.model_dump(mode="json", by_alias=True)
        changes["numbers"] = {
            pair: stated(question.numbers(answer, asked, pair)) for pair in asked.labels.values()
        }
        return ANSWERED

    def _record(self, key: str, due: Due, asked_at: int, status: str, **changes: Any) -> Record:
        rendered, member = due.rendered, due.member
        provider = self.clients[member.name].provider
        values: dict[str, Any] = {
            "id": key,
            "model": member.model,
            "known_at": asked_at,
            "inputs": rendered.inputs,
            "system": rendered.prompt.system,
            "user": rendered.prompt.user,
            "anonymous": rendered.anonymous,
            "sampling": dict(provider.sampling),
            "cut_off": cut_off_of(member.model, self.settings.cut_offs),
            **changes,
        }
        return Record(
            question=key,
            # What a probe asks is no opinion of the market.
            kind="probe" if self.who == "probe" else due.question.kind,
            version=due.question.version,
            provider=provider.name,
            model_asked=member.model,
            role=member.role,
            pair=rendered.pair,
            candle=rendered.candle,
            asked_at=asked_at,
            status=str(status),
            who=self.who,
            **values,
        )

    def _write(self, record: Record) -> None:
        written = self.ledger.append(record)
        with self._lock:
            if written is not None:
                self.tally[record.status] += 1
            silence = f"{record.provider} {record.model}: {record.status}"
            first = record.status != ANSWERED and silence not in self._silent
            self._silent.add(silence)
        if first:
            why = f" ({record.reason})" if record.reason else ""
            about = record.pair or "all pairs"
            logger.warning("%s on %s of %s%s", silence, record.kind, about, why)
