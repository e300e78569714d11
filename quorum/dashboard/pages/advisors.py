"""Advisors: what they answered, how often they fail, what they cost, whether they agree (U2)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from quorum.advisors.ledger import DAY_MS, MILLION, Ledger, Row
from quorum.advisors.record import ANSWERED
from quorum.answers import KINDS, TIMEFRAMES
from quorum.dashboard.decision import utc
from quorum.dashboard.render import sections_page, snapshot_of, when, words
from quorum.dashboard.snapshot import Snapshot
from quorum.errors import QuorumError
from quorum.report.page.blocks import Block, Cell, Section, Table, Text, number, percent

router = APIRouter(tags=["advisors"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
#: Answers listed.
LISTED = 40


class Advisor(BaseModel):
    """One advisor: how often it was asked, what came of it, and what it cost [US dollars]."""

    model_config = ConfigDict(frozen=True)

    provider: str
    model: str
    role: str
    asked: int
    answered: int
    failures: dict[str, int]
    tokens: int
    cost: float
    last_asked: datetime


class Advice(BaseModel):
    """One record of the ledger; ``numbers`` by pair, in the order of ``fields``."""

    model_config = ConfigDict(frozen=True)

    asked_at: datetime
    known_at: datetime
    kind: str
    pair: str
    advisor: str
    status: str
    fields: tuple[str, ...]
    numbers: dict[str, list[float | None]]


class Advisors(BaseModel):
    """Everything the ledger says of the advisors.

    ``agreement`` is the share of questions about timeframes on which all who answered lean to
    one side, of those that two or more answered; null without any.
    """

    model_config = ConfigDict(frozen=True)

    advisors: tuple[Advisor, ...]
    agreement: float | None
    compared: int
    tokens_today: int
    cost_today: float
    tokens_per_day: int
    cost_per_day: float
    problem: str


def rows_of(snapshot: Snapshot) -> Sequence[Row]:
    """Return the ledger, oldest first; empty where none is kept."""
    return [] if snapshot.store is None else Ledger(snapshot.store).rows()


def advisors_of(snapshot: Snapshot) -> Advisors:
    """Sum the ledger up."""
    settings, problem, rows = snapshot.settings.advisors, "", []
    try:
        rows = list(rows_of(snapshot))
    except QuorumError as error:
        problem = str(error)
    agreed, compared = _agreement(rows)
    today = snapshot.now().timestamp() * 1000 // DAY_MS
    of_today = [row for row in rows if int(row.asked_at) // DAY_MS == today]
    return Advisors(
        advisors=tuple(_advisors(rows)),
        agreement=agreed / compared if compared else None,
        compared=compared,
        tokens_today=sum(int(row.tokens) for row in of_today),
        cost_today=sum(int(row.cost) for row in of_today) / MILLION,
        tokens_per_day=settings.tokens_per_day,
        cost_per_day=settings.money_per_day,
        problem=problem,
    )


def _advisors(rows: Sequence[Row]) -> Iterator[Advisor]:
    by: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by[row.provider, row.model, row.role].append(row)
    for (provider, model, role), found in sorted(by.items()):
        status = Counter(row.status for row in found)
        yield Advisor(
            provider=provider,
            model=model,
            role=role,
            asked=len(found),
            answered=status[ANSWERED],
            failures={name: n for name, n in status.items() if name != ANSWERED},
            tokens=sum(int(row.tokens) for row in found),
            cost=sum(int(row.cost) for row in found) / MILLION,
            last_asked=utc(max(int(row.asked_at) for row in found)),
        )


def _agreement(rows: Sequence[Row]) -> tuple[int, int]:
    """Return on how many questions about timeframes all leaned to one side, and of how many."""
    leanings: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row.kind != "timeframes" or row.status != ANSWERED:
            continue
        for pair, values in json.loads(row.numbers).items():
            parts = zip(TIMEFRAMES.values(), values, strict=False)
            lean = sum(weight * (value or 0.0) for weight, value in parts)
            leanings[row.candle, pair].append((lean > 0) - (lean < 0))
    several = [found for found in leanings.values() if len(found) > 1]
    return sum(len(set(found)) == 1 for found in several), len(several)


@router.get("/advisors", response_class=HTMLResponse, include_in_schema=False)
def advisors(request: Request, snapshot: Now) -> HTMLResponse:
    """Show the advisors."""
    found = advisors_of(snapshot)
    if found.problem or not found.advisors:
        text = found.problem or "No advisor has been asked: `quorum advise` asks them."
        sections = [Section("none", "Nothing is known of advisors", [Text(text)])]
        return sections_page(request, snapshot, "Advisors", sections)
    sections = [
        Section("who", "Who was asked", list(_who(found))),
        Section("answers", "The last answers", [_latest(rows_of(snapshot))]),
    ]
    return sections_page(request, snapshot, "Advisors", sections)


def _who(found: Advisors) -> Iterator[Block]:
    money = f"{number(found.cost_today)} of {number(found.cost_per_day)} US dollars"
    tokens = f"{number(found.tokens_today, 0)} of {number(found.tokens_per_day, 0)} tokens"
    sentence = f"Spent today: {money}, {tokens}."
    if found.agreement is not None:
        sentence += (
            f" On {percent(found.agreement, 0)} of {number(found.compared, 0)} questions about "
            "timeframes all who answered lean to one side."
        )
    rows: list[list[Cell | str]] = [
        [
            f"{a.provider} {a.model}",
            words(a.role),
            number(a.asked, 0),
            Cell(percent(a.answered / a.asked, 0), "", a.answered / a.asked),
            ", ".join(f"{words(name)} {n}" for name, n in a.failures.items()),
            number(a.cost),
            when(a.last_asked),
        ]
        for a in found.advisors
    ]
    headings = [
        ("advisor", ""), ("role", ""), ("asked", ""), ("answered", ""), ("failed", ""),
        ("cost", "US dollars"), ("last asked", "UTC"),
    ]  # fmt: skip
    yield Table(headings, rows, sentence, words=frozenset({0, 1, 4}))


def _latest(rows: Sequence[Row]) -> Table:
    shown: list[list[Cell | str]] = [
        [
            when(utc(int(row.asked_at))),
            f"{row.provider} {row.model}",
            row.kind,
            row.pair or "all pairs",
            Cell(words(row.status), "" if row.status == ANSWERED else "bad"),
            _said(row),
        ]
        for row in list(rows)[: -LISTED - 1 : -1]
    ]
    headings = [("UTC", ""), ("advisor", ""), ("question", ""), ("pair", ""), ("", ""), ("", "")]
    return Table(headings, shown, words=frozenset(range(6)))


def _said(row: Row) -> str:
    """Return an answer in a few words; of several pairs how many."""
    numbers = json.loads(row.numbers)
    if len(numbers) != 1 or row.kind not in KINDS:
        return f"{len(numbers)} pairs" if numbers else ""
    (values,) = numbers.values()
    named = zip(KINDS[row.kind].fields, values, strict=False)
    known = [f"{words(name)} {value:g}" for name, value in named if value is not None]
    return ", ".join(known[:8])


@router.get("/api/v1/advisors")
def advisors_api(snapshot: Now) -> Advisors:
    """Return what the advisors did, cost and agreed on."""
    return advisors_of(snapshot)


@router.get("/api/v1/advisors/answers")
def answers_api(snapshot: Now, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Advice]:
    """Return records of the ledger, newest first."""
    return [
        Advice(
            asked_at=utc(int(row.asked_at)),
            known_at=utc(int(row.known_at)),
            kind=row.kind,
            pair=row.pair,
            advisor=f"{row.provider} {row.model} {row.role}",
            status=row.status,
            fields=KINDS[row.kind].fields if row.kind in KINDS else (),
            numbers=json.loads(row.numbers),
        )
        for row in list(rows_of(snapshot))[: -limit - 1 : -1]
    ]
