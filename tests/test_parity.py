"""Parity: a bot decides what a backtest decides, and what differs is traced to its cause."""

from __future__ import annotations

import pandas as pd
import pytest
from journaled_bots import BOT, PAIR, STARTUP, Frames, JournaledBot, frames, replayed
from markets import START

from quorum import faults
from quorum.bot import candle_journal
from quorum.bot.source import Series
from quorum.entry import Account
from quorum.heads import HEADS
from quorum.journal.causes import Cause, Replay
from quorum.journal.reading import read_journal
from quorum.parity import Difference, PairParity, compare_pair, first_difference
from quorum.settings import load_settings
from quorum.state import Store

#: Midnight is row 1608: a 4h and a 1d candle close with the candle before it.
ROWS = range(1603, 1612)
FEW = range(1606, 1609)
#: One head alone has a valid vote here.
LONE = range(1598, 1600)
OTHER = {"consensus": {"quorum": 1, "quorum_share": 0.01}}


@pytest.fixture(scope="module")
def stored() -> Frames:
    return frames()


@pytest.fixture(scope="module")
def replay(stored: Frames) -> Replay:
    return replayed(stored)


@pytest.fixture(scope="module")
def journal(stored: Frames, tmp_path_factory) -> Store:
    return JournaledBot(tmp_path_factory.mktemp("clean"), stored).run(ROWS)


def parity(store: Store, replay: Replay, tolerance: float = 0.0) -> PairParity:
    return compare_pair(PAIR, read_journal(store, BOT), replay, tolerance)


def first_of(store: Store, replay: Replay) -> Difference:
    found = first_difference([parity(store, replay)])
    assert found is not None
    return found


def moment(row: int) -> int:
    return int((START + pd.Timedelta(hours=row)).timestamp() * 1000)


def test_a_bot_with_a_short_history_decides_what_a_backtest_over_everything_decides(
    journal, replay
):
    found = parity(journal, replay)
    assert found.candles == len(ROWS)
    assert found.differences == []
    assert found.absent == 0
    candle = read_journal(journal, BOT).candles[0]
    assert candle.inputs["base"].rows == STARTUP
    assert sum(name.startswith("vote ") for name in candle.values) == 5 * len(HEADS)


def test_every_candle_is_journaled_with_what_it_was_computed_from(journal, replay):
    candles = read_journal(journal, BOT).candles
    assert [c.time for c in candles] == [moment(row) for row in ROWS]
    for candle in candles:
        row = replay.table.row_at(candle.time)
        assert candle.values["candle close"] == replay.market.candles.close[row]
        assert candle.values["consensus confluence"] == replay.table.consensus.confluence[row]
        assert {"base", "4h", "1d", "1w", "funding_rate", "mark", "context BTC"} <= set(
            candle.inputs
        )


def test_an_altered_candle_is_named_with_both_values(stored, replay, tmp_path):
    at = START + pd.Timedelta(hours=FEW[1])

    def altered(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
        if series == Series(PAIR, "1h", "futures"):
            middle = (frame["open"] + frame["close"]) / 2
            frame["close"] = frame["close"].where(frame["date"] != at, middle)
        return frame

    kept = JournaledBot(tmp_path, stored, change=altered).run(FEW)
    found = parity(kept, replay)
    first = found.differences[0]
    assert (first.time, first.column) == (moment(FEW[1]), "candle close")
    assert first.reasons[0].cause is Cause.CANDLE
    assert float(first.replayed) == replay.market.candles.close[FEW[1]]
    assert float(first.live) != float(first.replayed)
    assert first.live in first.reasons[0].text
    # What follows from it is traced back to it.
    (later,) = found.differences[1:]
    assert later.time == moment(FEW[2])
    assert later.reasons[0].cause is Cause.EARLIER_CANDLE
    assert at.strftime("%Y-%m-%d %H:%M") in later.reasons[0].text


def test_a_candle_altered_before_the_journal_begins_is_told(stored, replay, tmp_path):
    at = START + pd.Timedelta(hours=FEW[0] - 5)

    def altered(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
        if series == Series(PAIR, "1h", "futures"):
            frame.loc[frame["date"] == at, ["high", "volume"]] *= 1.05
        return frame

    first = first_of(JournaledBot(tmp_path, stored, change=altered).run(FEW[:1]), replay)
    assert first.reasons[0].cause is Cause.EARLIER_CANDLE
    assert "older than this journal" in first.reasons[0].text


def test_a_short_history_is_told_with_its_length(stored, replay, tmp_path):
    first = first_of(JournaledBot(tmp_path, stored, history=500).run(FEW[:1]), replay)
    assert first.reasons[0].cause is Cause.HISTORY
    assert "500 candles" in first.reasons[0].text
    assert str(STARTUP) in first.reasons[0].text


@pytest.mark.parametrize(
    ("series", "role"),
    [
        (Series(PAIR, "4h", "futures"), "4h"),
        (Series(PAIR, "1d", "futures"), "1d"),
        (Series(PAIR, "1h", "funding_rate"), "funding_rate"),
    ],
)
def test_a_missing_series_is_named(series, role, stored, replay, tmp_path):
    def missing(asked: Series, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.iloc[:0] if asked == series else frame

    first = first_of(JournaledBot(tmp_path, stored, change=missing).run(FEW), replay)
    assert (first.reasons[0].cause, first.reasons[0].subject) == (Cause.MISSING, role)


def test_a_late_candle_is_told_from_the_series_that_are_always_missing(stored, replay, tmp_path):
    """The spot market is missing throughout, but only the late day changes anything."""
    day = START + pd.Timedelta(hours=FEW[2]) - pd.Timedelta(days=1)

    def late(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["date"] < day] if series == Series(PAIR, "1d", "futures") else frame

    rows = range(FEW[0] - 1, FEW[2] + 3)
    kept = JournaledBot(tmp_path, stored, change=late).run(rows)
    with_mark = replayed(stored, until=FEW[2] + 4)
    first = first_of(kept, with_mark)
    assert first.time >= moment(FEW[2] - 1)
    assert (first.reasons[0].cause, first.reasons[0].subject) == (Cause.LATE, "1d")
    newest = (day - pd.Timedelta(days=1)).strftime("%Y-%m-%d")
    assert newest in first.reasons[0].text


def test_stale_funding_is_told_with_its_age(stored, replay, tmp_path):
    end = START + pd.Timedelta(hours=FEW[0]) - pd.Timedelta(hours=40)

    def stale(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["date"] < end] if series.candle_type == "funding_rate" else frame

    first = first_of(JournaledBot(tmp_path, stored, change=stale).run(FEW), replay)
    assert (first.reasons[0].cause, first.reasons[0].subject) == (Cause.LATE, "funding_rate")


def test_other_values_of_a_series_are_told(stored, replay, tmp_path):
    def other(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
        changed = series == Series(PAIR, "4h", "futures")
        return frame.assign(close=frame["close"] * 1.01) if changed else frame

    first = first_of(JournaledBot(tmp_path, stored, change=other).run(FEW), replay)
    assert (first.reasons[0].cause, first.reasons[0].subject) == (Cause.VALUES, "4h")


def test_other_settings_are_named_with_both_values(stored, replay, tmp_path):
    kept = JournaledBot(tmp_path, stored, load_settings(OTHER)).run(LONE)
    first = first_of(kept, replay)
    assert first.column.startswith("consensus")
    assert first.reasons[0].cause is Cause.SETTINGS
    assert "quorum.consensus.quorum 1 live, default replayed" in first.reasons[0].text
    assert parity(kept, replayed(stored, load_settings(OTHER))).differences == []


def test_entries_are_compared_at_the_price_they_were_made_at(stored, tmp_path):
    lone = {**OTHER, "exits": {"ladder": {"min_first": 0.0}}}
    settings = load_settings({**lone, "consensus": {**OTHER["consensus"], "gate": 0.0}})
    bot = JournaledBot(tmp_path, stored, settings)
    row = LONE.start
    while not (PAIR in bot.desk.tables and bot.desk.tables[PAIR].entry[-1]):
        bot.close_candle(row)
        row += 1
    for price in (1.0, 1.003):
        at = START + pd.Timedelta(hours=row, seconds=5)
        bot.desk.vetoes.clear()
        close = float(bot.desk.tables[PAIR].columns["close"][-1])
        bot.desk.quote(PAIR, at.to_pydatetime(), price * close, Account(1e5))
        bot.desk.confirm(PAIR, lambda signal: f"account {signal.entry_price}")
    bot.journal.close()
    found = parity(bot.store, replayed(stored, settings))
    assert (found.entries, found.differences) == (2, [])
    wider = {**settings.model_dump(), "exits": {"stop": {"method": "atr", "atr_multiple": 2.2}}}
    first = first_of(bot.store, replayed(stored, load_settings(wider)))
    assert first.columns[:2] == ("entry 1 stop", "entry 1 target")
    assert "entry 2 stop" in first.columns
    assert first.reasons[0].cause is Cause.SETTINGS
    stricter = {**settings.model_dump(), "exits": {"ladder": {"first": "levels", "min_first": 4.9}}}
    columns = first_of(bot.store, replayed(stored, load_settings(stricter))).columns
    assert any("refused first_target_under_min_rr" in name for name in columns)


def test_another_version_and_other_models_are_told(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(candle_journal, "__version__", "0.0.9")
    monkeypatch.setattr(candle_journal, "live_vintage", lambda models, at: "20240101T000000-aa")
    kept = JournaledBot(tmp_path, stored).run(FEW[:1])
    settings = load_settings({"heads": {"volume": {"enabled": False}}})
    first = first_of(kept, replayed(stored, settings, version="0.2.0"))
    causes = {reason.cause: reason.text for reason in first.reasons}
    assert causes[Cause.VERSION] == "Quorum 0.0.9 live, 0.2.0 replayed"
    assert causes[Cause.MODELS] == "vintage 20240101T000000-aa live, none replayed"


@pytest.mark.parametrize("heard", [True, False])
def test_a_head_that_failed_live_is_named(heard, stored, replay, tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "_reported", set())
    head = next(head for head in HEADS if head.name == "volume")

    def broken(*_arguments):
        raise RuntimeError("broken on purpose")

    bot = JournaledBot(tmp_path, stored)
    if heard:
        bot.journal.listen()
    with monkeypatch.context() as patch:
        patch.setattr(head, "vote", broken)
        kept = bot.run(FEW[:2])
    first = first_of(kept, replay)
    assert first.time == moment(FEW[0])
    assert first.column.startswith("vote volume")
    assert first.reasons[0].cause is Cause.FAULT
    text = first.reasons[0].text
    assert (
        ("head volume failed live" in text and "RuntimeError" in text)
        if heard
        else ("volume abstained live" in text)
    )


def test_a_difference_that_nothing_explains_is_called_so(stored, journal, tmp_path):
    replay = replayed(stored, until=ROWS.stop)
    table = replay.table
    altered = dict(table.columns)
    row = table.row_at(moment(ROWS[2]))
    altered["atr"] = altered["atr"].copy()
    altered["atr"][row] *= 1 + 1e-9
    object.__setattr__(table, "columns", altered)
    first = first_of(journal, replay)
    assert first.column == "market atr"
    assert first.columns == ("market atr",)
    assert first.reasons[0].cause is Cause.UNEXPLAINED
    assert parity(journal, replay, tolerance=1e-8).differences == []


def test_what_the_data_directory_lacks_is_not_compared_and_told(stored, journal):
    found = parity(journal, replayed(stored, until=ROWS[4]))
    assert (found.candles, found.absent) == (4, len(ROWS) - 4)
    assert found.differences == []


def test_differences_are_counted_by_column_and_cause(stored, replay, tmp_path):
    kept = JournaledBot(tmp_path, stored, load_settings(OTHER)).run(LONE)
    found = parity(kept, replay)
    assert found.causes() == {Cause.SETTINGS: len(found.differences)}
    assert found.columns()["consensus direction"] >= 1
