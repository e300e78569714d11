"""``quorum parity``: what it prints, and with which status it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from journaled_bots import BOT, PAIR, PEER, JournaledBot, frames
from sqlalchemy import delete, insert
from typer.testing import CliRunner

from quorum.bot.host import candle_file
from quorum.bot.source import Series
from quorum.cli import app
from quorum.journal.writing import journal_row
from quorum.settings import load_settings
from quorum.state import Store
from quorum.state.kinds.journal import JOURNAL

BEGIN = 1598
FEW = range(BEGIN, BEGIN + 3)


class Place:
    """A user directory with candles, a configuration, and maybe journals."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stored = frames(seed=0)
        self.datadir = root / "data"
        (self.datadir / "futures").mkdir(parents=True)
        for series, frame in self.stored.items():
            self.store(series, frame)
        self.config = root / "config.json"
        content = {
            "user_data_dir": str(root),
            "datadir": str(self.datadir),
            "db_url": f"sqlite:///{root / 'trades.sqlite'}",
            "trading_mode": "futures",
            "exchange": {"name": "binance", "pair_whitelist": [PAIR, PEER]},
        }
        self.config.write_text(json.dumps(content))

    def store(self, series: Series, frame) -> None:
        frame.reset_index(drop=True).to_feather(candle_file(self.datadir, series))

    def journal(self, name: str, settings: dict | None = None, **options) -> Store:
        url = f"sqlite:///{self.root / 'trades.quorum.sqlite'}"
        bot = JournaledBot(url, self.stored, load_settings(settings), bot=name, **options)
        for row in FEW:
            bot.close_candle(row, PAIR)
            bot.close_candle(row, PEER)
        bot.journal.close()
        return bot.store

    def parity(self, *arguments: str | Path) -> tuple[int, str]:
        call = ["parity", "-c", str(self.config), *map(str, arguments)]
        result = CliRunner().invoke(app, call)
        assert "Traceback" not in result.output
        return result.exit_code, re.sub(r"\s+", " ", result.output)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="module")
def clean(place) -> Store:
    return place.journal(BOT)


def test_a_clean_replay_has_no_difference(place, clean):
    status, out = place.parity()
    assert status == 0, out
    assert f"no difference in {2 * len(FEW)} candles" in out
    status, out = place.parity("--pair", PEER, "--since", "2024-03-07T15:00")
    assert (status, "no difference in 2 candles" in out) == (0, True), out
    status, out = place.parity("--pair", PAIR, "--until", "2024-03-07T15:00")
    assert (status, "no difference in 1 candles" in out) == (0, True), out


def test_differences_end_it_with_status_1_and_name_column_candle_values_and_cause(place, clean):
    other = {"consensus": {"quorum": 1, "quorum_share": 0.01}}
    place.journal("other", other)
    status, out = place.parity("--bot", "other")
    assert status == 1
    assert re.search(
        rf"first difference {re.escape(PEER)} 2024-03-07 \d\d:00 UTC consensus \w+: \S+ live, "
        r"\S+ replayed likely cause(, as where candles agree)?: other settings: "
        "quorum.consensus.quorum 1 live, default "
        "replayed",
        out,
    ), out
    status, out = place.parity("--bot", "other", "--as-run")
    assert (status, "no difference" in out) == (0, True), out


def test_candles_that_differ_in_the_data_directory_are_told(place, clean):
    series = Series(PAIR, "1h", "futures")
    frame = place.stored[series].copy()
    frame.loc[FEW[1], "volume"] += 1.0
    place.store(series, frame)
    status, out = place.parity("--pair", PAIR)
    place.store(series, place.stored[series])
    assert status == 1
    assert f"first difference {PAIR} 2024-03-07 15:00 UTC candle volume" in out
    assert "likely cause: another candle" in out


def test_what_cannot_be_compared_is_refused_with_a_reason(place, clean, tmp_path):
    for arguments, reason in (
        (("--bot", "nobody"), "no journal of 'nobody'"),
        (("--since", "yesterday"), "--since 'yesterday': give a moment"),
        (("--since", "2030-01-01"), "no candle of these pairs and days"),
        (("--pair", "ADA/USDT:USDT"), "no candle of these pairs and days"),
    ):
        status, out = place.parity(*arguments)
        assert status == 1
        assert reason in out
    hourly = json.loads(place.config.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**hourly, "timeframe": "4h"}))
    result = CliRunner().invoke(app, ["parity", "-c", str(other)])
    assert "the bot of" in result.output
    assert "ran on 1h" in result.output


def test_candles_newer_than_the_data_are_told_and_nothing_compared_is_no_parity(place, clean):
    series = Series(PAIR, "1h", "futures")
    place.store(series, place.stored[series].iloc[: BEGIN + 1])
    status, out = place.parity("--pair", PAIR)
    assert (status, "2 candles are not compared" in out) == (0, True), out
    place.store(series, place.stored[series].iloc[:BEGIN])
    status, out = place.parity("--pair", PAIR)
    place.store(series, place.stored[series])
    assert status == 1
    assert f"has none of the {len(FEW)} candles" in out
    assert "no difference" not in out


def test_the_only_journal_there_is_found_and_several_are_named(place, tmp_path):
    own = Place(tmp_path)
    status, out = own.parity("--pair", PEER)
    assert (status, "no journal" in out) == (1, True)
    assert not (tmp_path / "trades.quorum.sqlite").exists(), "looking makes nothing"
    own.journal("alpha")
    assert own.parity("--pair", PEER)[0] == 0
    own.journal("beta")
    status, out = own.parity("--pair", PEER)
    assert status == 1
    assert "alpha, beta" in out


def test_a_damaged_line_is_named(place, clean):
    line = {"kind": "candle", "run": "none", "pair": PEER, "time": 0, "at": 0}
    with clean.write() as connection:
        row = journal_row(BOT, "2024-03-07", line)
        (position,) = connection.execute(insert(JOURNAL).values(**row)).inserted_primary_key
    status, out = place.parity("--pair", PEER)
    with clean.write() as connection:
        connection.execute(delete(JOURNAL).where(JOURNAL.c.id == position))
    assert status == 0
    assert f"journal {position} cannot be read" in out
