"""The ledger: it only grows, the first answer stands, an edit shows, a budget holds."""

from __future__ import annotations

import json
import random

import pytest
from advice import HOUR, record
from sqlalchemy import text

from quorum.advisors.ledger import Ledger, Reservation, Spent
from quorum.advisors.providers import Failure
from quorum.advisors.record import LOST
from quorum.errors import DataError
from quorum.state import Store

DAY = 24 * HOUR


@pytest.fixture
def ledger(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}", patience=60)
    yield Ledger(store)
    store.close()


def test_what_is_appended_comes_back_whole(ledger):
    records = [record(candle=i * HOUR) for i in range(1, 6)]
    records.append(record(candle=9 * HOUR, status=Failure.TIMEOUT, numbers={}, raw=""))
    for one in records:
        ledger.append(one)
    assert list(ledger.records(ledger.rows())) == records
    assert ledger.verify() == 6


def test_the_first_answer_stands(ledger):
    first = record()
    assert ledger.append(first) == 1
    again = first.model_copy(update={"raw": "a better one", "known_at": first.known_at + 5})
    assert ledger.append(again) is None
    assert [r.raw for r in ledger.records(ledger.rows())] == [first.raw]


@pytest.mark.parametrize("status", [Failure.REFUSED, Failure.WRONG_SCHEMA, LOST])
def test_what_a_model_said_is_not_rolled_again(ledger, status):
    ledger.append(record(status=status, numbers={}))
    assert ledger.append(record()) is None
    assert ledger.finished([record().question]) == {record().question}


def test_what_a_service_could_not_do_may_be_asked_again(ledger):
    ledger.append(record(status=Failure.TIMEOUT, numbers={}))
    assert ledger.finished([record().question]) == set()
    assert ledger.append(record()) == 2


COLUMNS = [
    ("quorum_advice", "numbers", "'{\"SOL/USDT:USDT\":[-1,-1,-1,-1,0.9,0.9,0.9,0.9]}'"),
    ("quorum_advice", "known_at", "known_at - 3600000"),
    ("quorum_advice", "asked_at", "asked_at - 1"),
    ("quorum_advice", "status", "'answered '"),
    ("quorum_advice", "cut_off", "0"),
    ("quorum_advice", "cost", "cost + 1"),
    ("quorum_advice", "detail", "replace(detail, 'a', 'b')"),
]


@pytest.mark.parametrize(("table", "column", "value"), COLUMNS)
def test_a_record_that_was_edited_is_refused_by_its_number(ledger, table, column, value):
    for i in range(1, 6):
        ledger.append(record(candle=i * HOUR))
    with ledger.store.write() as connection:
        connection.execute(text(f"UPDATE {table} SET {column} = {value} WHERE id = 3"))
    with pytest.raises(DataError, match=r"record 3 of the advisors' ledger was changed"):
        ledger.rows()


def test_a_text_that_was_edited_in_one_byte_is_refused_by_the_number_of_its_record(ledger):
    for i in range(1, 4):
        ledger.append(record(candle=i * HOUR, raw=f"answer {i}"))
    with ledger.store.write() as connection:
        change = "UPDATE quorum_advice_texts SET text = 'answer 9' WHERE text = 'answer 2'"
        connection.execute(text(change))
    with pytest.raises(DataError, match=r"raw text of record 2"):
        ledger.verify()


def test_a_record_that_was_taken_out_is_missed(ledger):
    for i in range(1, 5):
        ledger.append(record(candle=i * HOUR))
    with ledger.store.write() as connection:
        connection.execute(text("DELETE FROM quorum_advice WHERE id = 2"))
    with pytest.raises(DataError, match="record 3"):
        ledger.rows()


def test_a_reader_goes_on_where_it_was(ledger):
    ledger.append(record(candle=HOUR))
    (first,) = ledger.rows()
    ledger.append(record(candle=2 * HOUR))
    (second,) = ledger.rows(first.id, first.hash)
    assert int(second.candle) == 2 * HOUR
    with pytest.raises(DataError, match="record 2"):
        ledger.rows(first.id, "f" * 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"asked_at": HOUR - 1},
        {"known_at": HOUR - 1},
        {"inputs": (("news:1", 3 * HOUR),)},
        {"numbers": {}},
        {"model": "m\x1f-1"},
    ],
)
def test_a_record_that_knew_too_much_cannot_be_made(changes):
    with pytest.raises(ValueError, match=r"times|inputs|numbers|names"):
        record(**{"candle": HOUR, "asked_at": HOUR + 1, **changes})


# The budget -------------------------------------------------------------------------------


def test_a_budget_holds_whatever_happens_between(tmp_path):
    rng = random.Random(3)
    address, limit = f"sqlite:///{tmp_path / 'state.sqlite'}", Spent(10_000, 1.0)
    spent = Spent(0, 0.0)
    for i in range(60):
        ledger = Ledger(Store(address))  # the writer starts anew each time
        question = record(candle=i + 1, asked_at=i + 1, known_at=i + 1)
        tokens, cost = rng.randint(1, 900), rng.random() / 10
        if ledger.reserve(question.question, i + 1, tokens, cost, limit) is Reservation.MADE:
            used = question.model_copy(update={"tokens_in": tokens // 2, "cost": cost / 2})
            if rng.random() < 0.7:
                ledger.append(used)
        spent = ledger.spent(i)
        ledger.store.close()
        assert spent.tokens <= limit.tokens
        assert spent.cost <= limit.cost
    assert spent.cost > 0.8, "it was used"


def test_another_day_has_a_budget_of_its_own(ledger):
    limit = Spent(100, 1.0)
    assert ledger.reserve("a", DAY - 1, 100, 0.1, limit) is Reservation.MADE
    assert ledger.reserve("b", DAY - 1, 1, 0.1, limit) is Reservation.NO_BUDGET
    assert ledger.reserve("b", DAY, 100, 0.1, limit) is Reservation.MADE
    assert ledger.reserve("b", DAY, 0, 0.0, limit) is Reservation.UNDER_WAY
    ledger.release("a")
    assert ledger.spent(DAY - 1) == Spent(0, 0.0)
    assert set(ledger.under_way(1 << 60)) == {"b"}
    assert ledger.under_way(0) == {}


# Sharing ----------------------------------------------------------------------------------


def test_an_export_is_the_same_ledger_elsewhere(ledger, tmp_path):
    for i in range(1, 8):
        ledger.append(record(candle=i * HOUR))
    path = tmp_path / "ledger.jsonl"
    assert ledger.export(path) == 7
    other = Ledger(Store(f"sqlite:///{tmp_path / 'other.sqlite'}"))
    assert other.take_in(path) == 7
    assert other.take_in(path) == 0
    assert list(other.records(other.rows())) == list(ledger.records(ledger.rows()))
    assert other.rows()[-1].hash == ledger.rows()[-1].hash
    other.store.close()


def test_an_export_that_is_none_is_refused_by_its_line(ledger, tmp_path):
    path = tmp_path / "ledger.jsonl"
    good = record().model_dump_json()
    path.write_text(good + "\n" + json.dumps({**json.loads(good), "asked_at": 0}) + "\n")
    with pytest.raises(DataError, match="line 2"):
        ledger.take_in(path)
    assert ledger.rows() == [], "all or nothing"
