"""The command line: what each command prints, and one clear message for every bad input."""

from __future__ import annotations

import json
import logging
import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from quorum.bot.host import load_config, load_market, whitelist
from quorum.cli import app
from quorum.cli import demo as demo_module
from quorum.cli import run as run_module
from quorum.cli.inspect import open_config
from quorum.heads import HEADS
from quorum.pipeline import evaluate
from quorum.rates import vote_rates
from quorum.reference import settings_reference
from quorum.replay.datadir import DataDirectory
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.settings import Settings

ROOT = Path(__file__).parent.parent.parent
CONFIG = str(ROOT / "config.json")
PAIR = "BTC/USDT:USDT"
CANDLES = "futures/BTC_USDT_USDT-1h-futures.feather"
MARKET = SyntheticSettings(
    bases=("BTC", "ETH"),
    start=date(2023, 1, 1),
    end=date(2023, 4, 11),
    timeframes=("15m", "1h", "4h", "1d"),
)
EXPLAIN = ["explain", PAIR, "--at", "2023-04-01T12:00"]


@pytest.fixture(scope="module")
def market_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "market"
    make_market(MARKET, folder)
    return folder


@pytest.fixture
def datadir(market_folder, tmp_path) -> Path:
    """Return a copy of the market whose files may be spoilt."""
    folder = tmp_path / "data"
    for file in sorted(market_folder.rglob("*.feather")):
        copy = folder / file.relative_to(market_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(file)
    return folder


@pytest.fixture(autouse=True)
def own_logging():
    """Let every call of a command set up logging as a fresh process would."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


def call(*arguments: str | Path):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)


def succeed(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments: str | Path) -> str:
    """Return the one message of a command that must fail."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    messages = [line for line in result.output.splitlines() if line.strip()]
    assert messages[0].startswith("error ")
    assert not any(line.startswith(("error", "ERROR", "WARNING")) for line in messages[1:]), (
        messages
    )
    return result.output


def replace_file(path: Path, frame: pd.DataFrame) -> None:
    path.unlink(missing_ok=True)
    frame.reset_index(drop=True).to_feather(path)


def test_explain_prints_every_vote_its_readings_and_the_consensus(market_folder):
    out = succeed(*EXPLAIN, "-c", CONFIG, "-d", market_folder)
    assert f"{PAIR}  candle of 2023-04-01 11:00 UTC" in out
    for head in HEADS:
        assert re.search(rf"│ {head.name} +│ +{head.weight:.2f} ", out), head.name
    assert re.search(r"agreeing \d of \d +probability 0\.\d+ +confidence 0\.\d+", out)
    assert re.search(r"confluence \d+\.\d/100", out)
    assert "trade" in out.splitlines()[-1]
    assert out.count("harmonic") == 1
    assert re.search(r"│ harmonic .* pattern -?\d+ +setup -?\d+", out)


def test_explain_agrees_with_the_evaluation_of_the_whole_history(market_folder):
    config, settings = open_config([Path(CONFIG)], market_folder, None)
    market = load_market(config, settings, PAIR)
    result = evaluate(market, settings)
    row = len(market) - 30
    at = f"{pd.Timestamp(int(market.close_time[row]), unit='ms'):%Y-%m-%dT%H:%M}"
    out = succeed("explain", PAIR, "--at", at, "-c", CONFIG, "-d", market_folder)
    for name, votes in result.votes.items():
        line = next(line for line in out.splitlines() if line.startswith(f"│ {name} "))
        if votes.available[row]:
            assert f"{votes.probability[row]:.3f}" in line
            assert f"{votes.confidence[row]:.3f}" in line
        else:
            assert "abstains" in line


def test_explain_works_on_other_timeframes(market_folder):
    assert "candle of 2023-04-01 11:45 UTC" in succeed(
        *EXPLAIN, "-c", CONFIG, "-d", market_folder, "-i", "15m"
    )
    assert "candle of 2023-04-01 08:00 UTC" in succeed(
        *EXPLAIN, "-c", CONFIG, "-d", market_folder, "-i", "4h"
    )


def test_explain_reads_spot_pairs_in_spot_mode(market_folder, tmp_path):
    spot = tmp_path / "spot.json"
    spot.write_text('{"trading_mode": "spot", "timeframe": "1h"}', encoding="utf-8")
    command = ["explain", "BTC/USDT", *EXPLAIN[2:], "-c", CONFIG, "-c", spot, "-d", market_folder]
    out = succeed(*command)
    assert "BTC/USDT  candle of" in out
    command[1] = PAIR
    assert "BTC_USDT_USDT-1h.feather: no 1h spot candles of BTC/USDT:USDT" in fail(*command)


def test_verify_prints_a_clean_certificate(market_folder):
    out = succeed(
        "verify", "-c", CONFIG, "-d", market_folder, "-p", PAIR, "--stretch", "5",
        "--startup", "1400",
    )  # fmt: skip
    assert "5 prefixes, 5 moments, 5 starts of 1400 candles" in out
    for group in ("feature", "vote ict", "reading rules", "signal"):
        assert re.search(rf"│ {group} +│ +\d+ +│ +\d+ +│ +0 │", out), group
    assert re.search(r"0 rewritten of [\d,]{9,} compared values", out)
    assert out.rstrip().endswith("clean")
    assert "not clean" not in out


def test_verify_lists_every_column_with_its_lag(market_folder):
    out = succeed(
        "verify", "-c", CONFIG, "-d", market_folder, "-p", PAIR, "--stretch", "1", "--columns"
    )
    market = load_market(load_config([Path(CONFIG)], datadir=market_folder), Settings(), PAIR)
    columns = evaluate(market, Settings()).features.columns
    printed = dict(re.findall(r"│ feature (\S+) +│ +1 │ +(\d+) │", out))
    assert {name: int(lag) for name, lag in printed.items()} == {
        name: column.lag for name, column in columns.items()
    }


def test_verify_ends_with_an_error_status_when_a_column_is_rewritten(market_folder, monkeypatch):
    head = HEADS[0]
    vote = head.vote

    def peeking(self, market, features):
        votes = vote(self, market, features)
        votes.confidence[:] = float(len(market))
        return votes

    monkeypatch.setattr(head, "vote", peeking)
    result = call("verify", "-c", CONFIG, "-d", market_folder, "-p", PAIR, "--stretch", "2")
    assert result.exit_code == 1
    assert "not clean: 1 pair(s)" in result.output


def test_votes_prints_each_head_per_pair_and_year(market_folder):
    out = succeed("votes", "-c", CONFIG, "-d", market_folder)
    rows = [line for line in out.splitlines() if "│ 2023" in line]
    assert [line.split()[1] for line in rows] == [PAIR, "ETH/USDT:USDT"]
    cells = [cell.strip() for cell in rows[0].split("│")[3:-1]]
    config, settings = open_config([Path(CONFIG)], market_folder, None)
    market = load_market(config, settings, PAIR)
    rates = vote_rates(evaluate(market, settings), settings.consensus)
    want = [f"{100 * r.long:.1f}/{100 * r.short:.1f}" if r.available else "-" for r in rates]
    assert cells == want
    assert any(r.long > 0 for r in rates)
    assert any(r.short > 0 for r in rates)


def test_settings_prints_writes_and_checks_the_reference(tmp_path):
    assert succeed("settings") == settings_reference()
    path = tmp_path / "settings.md"
    assert "wrote" in succeed("settings", "--output", path)
    assert path.read_text(encoding="utf-8") == settings_reference()
    succeed("settings", "--check", path)
    path.write_text("old", encoding="utf-8")
    assert f"{path}: out of date" in fail("settings", "--check", path)
    assert "no/such/folder" in fail("settings", "--output", tmp_path / "no/such/folder/s.md")


def test_market_writes_a_market_freqtrade_can_read(tmp_path):
    out = tmp_path / "market"
    succeed(
        "market", "-o", out, "--mode", "random_walk", "--seed", "3", "-b", "BTC", "-i", "1h",
        "-i", "1d", "--start", "2024-01-01", "--end", "2024-01-20",
    )  # fmt: skip
    data = DataDirectory(out)
    assert data.pairs("futures") == (PAIR,)
    assert data.timeframes(PAIR, "futures") == ("1h", "1d")
    assert len(pd.read_feather(out / CANDLES)) == 19 * 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "2024-02-01", "--end", "2024-01-01"], "start to end is -31 days"),
        (["-i", "7m"], "timeframes = .*'7m' is not among 5m"),
        (["--seed", "-1"], "seed = -1: .*greater than or equal to 0"),
    ],
)
def test_market_refuses_what_it_cannot_make(arguments, message, tmp_path):
    assert re.search(message, fail("market", "-o", tmp_path / "m", *arguments))
    assert not (tmp_path / "m").exists()


def test_market_writes_over_nothing_it_has_not_made(tmp_path):
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    assert str(tmp_path) in fail("market", "-o", tmp_path, "-b", "BTC")
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "dear"


def test_replay_runs_a_freqtrade_command_offline_and_returns_its_status(
    market_folder, tmp_path, capfd
):
    overlay = tmp_path / "user.json"
    overlay.write_text(json.dumps({"user_data_dir": str(tmp_path)}), encoding="utf-8")
    command = ["replay", "-d", market_folder, "-c", CONFIG, "-c", overlay, "--"]
    assert call(*command, "list-pairs", "--print-list").exit_code == 0
    out = capfd.readouterr().out
    assert "BTC/USDT:USDT" in out
    assert "ETH/USDT:USDT" in out
    missing = json.dumps({"user_data_dir": str(tmp_path / "missing")})
    overlay.write_text(missing, encoding="utf-8")
    assert call(*command, "list-pairs").exit_code == 2
    # The host's log breaks lines at the width of the terminal.
    assert str(tmp_path / "missing") in "".join(capfd.readouterr().err.split())


def test_demo_tells_what_the_host_said_when_the_backtest_failed(
    market_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(demo_module, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(demo_module, "USER_DATA", tmp_path)
    overlay = tmp_path / "bad.json"
    section = {"user_data_dir": str(tmp_path), "quorum": {"leverage": 0.5}}
    overlay.write_text(json.dumps(section), encoding="utf-8")
    command = ["demo", "--no-models", "-c", CONFIG, "-c", overlay, "-d", market_folder]
    result = call(*command, "--timerange", "20230310-")
    assert result.exit_code == 1
    assert "error the backtest failed" in result.stderr
    assert "quorum.leverage = 0.5" in result.stderr


def test_replay_names_a_data_directory_that_is_missing_or_empty(tmp_path):
    missing = tmp_path / "missing"
    assert f"{missing}: there is no such data directory" in fail("replay", "-d", missing)
    assert f"{tmp_path}: no candle files" in fail("replay", "-d", tmp_path)


def test_demo_prepares_the_embedded_market(tmp_path, monkeypatch):
    folder = tmp_path / "synthetic"
    monkeypatch.setattr(demo_module, "SYNTHETIC", folder)
    short = MARKET.model_copy(update={"timeframes": ("1h",)})
    monkeypatch.setattr(run_module.SyntheticSettings, "given", lambda *_, **__: short)
    assert f"candles in {folder}" in succeed("demo", "--only-data", "-c", CONFIG)
    assert DataDirectory(folder).pairs("futures") == (PAIR, "ETH/USDT:USDT")


def test_demo_links_recorded_candles_and_names_the_pairs_it_leaves_out(
    market_folder, tmp_path, monkeypatch
):
    recorded = tmp_path / "recorded"
    monkeypatch.setattr(demo_module, "RECORDED", recorded)
    command = ["demo", "--only-data", "-c", CONFIG, "-d", market_folder]
    out = succeed(*command, "--timerange", "20230201-20230401")
    assert "SOL/USDT:USDT is left out: no candles" in out
    assert f"candles in {recorded}" in out
    assert (recorded / CANDLES).is_symlink()
    alone = call(*command, "--timerange", "20230201-20230401", "--print-datadir")
    assert alone.stdout == f"{recorded}\n"
    assert (
        "no pair of the whitelist covers 20210101-20220101"
        in call(*command, "--timerange", "20210101-20220101").output
    )


@pytest.mark.parametrize("timerange", ["nonsense", "20230101", "20230101-20239999", "1-2"])
def test_demo_refuses_a_time_range_it_cannot_read(timerange, market_folder):
    out = fail("demo", "--only-data", "-c", CONFIG, "-d", market_folder, "--timerange", timerange)
    assert f"--timerange '{timerange}': give two days" in out


def test_demo_names_a_missing_data_directory(tmp_path):
    assert f"{tmp_path / 'x'}: there is no such data directory" in fail(
        "demo", "-c", CONFIG, "-d", tmp_path / "x"
    )


@pytest.mark.parametrize("command", [EXPLAIN, ["verify"], ["votes"]])
def test_an_unknown_setting_is_refused_with_its_path(command, market_folder, tmp_path):
    overlay = tmp_path / "bad.json"
    overlay.write_text('{"quorum": {"consensus": {"quorom": 5}}}', encoding="utf-8")
    out = fail(*command, "-c", CONFIG, "-c", overlay, "-d", market_folder)
    assert "quorum.consensus.quorom: unknown setting (known: " in out


@pytest.mark.parametrize("command", [EXPLAIN, ["verify"], ["votes"]])
@pytest.mark.parametrize("timeframe", ["1m", "1d", "7h"])
def test_an_unsupported_timeframe_is_refused(command, timeframe, market_folder):
    out = fail(*command, "-c", CONFIG, "-d", market_folder, "-i", timeframe)
    assert f"timeframe = '{timeframe}': Quorum runs on 5m, 15m, 30m, 1h, 2h, 4h" in out


@pytest.mark.parametrize("command", [EXPLAIN, ["verify"], ["votes"]])
def test_a_missing_data_directory_is_named(command, tmp_path):
    out = fail(*command, "-c", CONFIG, "-d", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: no such data directory" in out


@pytest.mark.parametrize("command", [EXPLAIN, ["verify"], ["votes"], ["demo", "--only-data"]])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such configuration file"),
        ('{"exchange": {', "cannot be read: "),
        ("[1, 2]", r"must hold a group of settings, not \[1, 2\]"),
    ],
)
def test_a_bad_configuration_file_is_named(command, content, message, market_folder, tmp_path):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    out = fail(*command, "-c", path, "-d", market_folder)
    assert re.search(f"{re.escape(str(path))}: {message}", out)


@pytest.mark.parametrize("command", [["verify"], ["votes"]])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "exchange = None: the configuration needs an exchange section"),
        ({"exchange": "binance"}, "exchange = 'binance': "),
        ({"exchange": {"pair_whitelist": []}}, "exchange.pair_whitelist = []: "),
        (
            {"exchange": {"pair_whitelist": ["X/USDT"]}},
            "no 1h spot candles of the whitelist (X/USDT)",
        ),
    ],
)
def test_a_configuration_without_pairs_is_refused(
    command, content, message, market_folder, tmp_path
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert message in fail(*command, "-c", path, "-d", market_folder)


def test_a_missing_candle_file_is_named(datadir):
    (datadir / CANDLES).unlink()
    for command in (EXPLAIN, ["verify", "-p", PAIR], ["votes", "-p", PAIR]):
        out = fail(*command, "-c", CONFIG, "-d", datadir)
        assert f"{datadir / CANDLES}: no 1h futures candles of {PAIR}: no such file" in out


def test_an_unknown_pair_is_named(market_folder):
    for pair in ("DOGE/USDT:USDT", "nonsense", "BTC/USDT"):
        out = fail("explain", pair, *EXPLAIN[2:], "-c", CONFIG, "-d", market_folder)
        assert f"no 1h futures candles of {pair}: no such file" in out


def test_an_empty_pair_is_named(datadir):
    replace_file(datadir / CANDLES, pd.read_feather(datadir / CANDLES).head(0))
    for command in (EXPLAIN, ["verify", "-p", PAIR], ["votes", "-p", PAIR]):
        out = fail(*command, "-c", CONFIG, "-d", datadir)
        assert f"{datadir / CANDLES}: no 1h futures candles of {PAIR}: the file is empty" in out


@pytest.mark.parametrize(
    "name",
    [
        CANDLES,
        "futures/BTC_USDT_USDT-4h-futures.feather",
        "futures/BTC_USDT_USDT-1h-funding_rate.feather",
        "futures/ETH_USDT_USDT-1h-futures.feather",
        "BTC_USDT-1h.feather",
    ],
)
def test_a_corrupt_feather_file_is_named(name, datadir):
    (datadir / name).unlink()
    (datadir / name).write_bytes(b"ARROW1 but not really")
    out = fail(*EXPLAIN, "-c", CONFIG, "-d", datadir)
    assert f"{datadir / name}: cannot be read as a feather file" in out


def test_fifty_candles_give_votes_but_no_signal_and_no_rates(datadir):
    replace_file(datadir / CANDLES, pd.read_feather(datadir / CANDLES).head(50))
    place = ["-c", CONFIG, "-d", datadir]
    out = succeed("explain", PAIR, "--at", "2023-01-03T02:00", *place)
    assert "candle of 2023-01-03 01:00 UTC" in out
    assert "no trade" in out
    assert f"{PAIR} is left out: 50 candles, 300 needed" in succeed("votes", *place)
    assert "no pair has enough candles" in call("votes", "-p", PAIR, *place).output
    out = succeed("verify", "-p", PAIR, *place)
    assert "49 prefixes" in out
    assert "start-up not tested: 50 candles, 1401 needed" in out


def test_a_gap_of_three_days_pauses_the_signals(datadir):
    frame = pd.read_feather(datadir / CANDLES)
    gap = frame["date"].between("2023-03-01", "2023-03-03 23:00")
    replace_file(datadir / CANDLES, frame[~gap])
    place = ["-c", CONFIG, "-d", datadir]
    assert int(gap.sum()) == 72
    inside = succeed("explain", PAIR, "--at", "2023-03-02T12:00", *place)
    assert "no trade" in inside
    assert "candle of 2023-03-02 11:00 UTC" in inside
    market = load_market(load_config([Path(CONFIG)], datadir=datadir), Settings(), PAIR)
    assert len(market) == len(frame)
    rows = np.flatnonzero(gap)
    recovery = Settings().market.gap_recovery
    assert not market.tradable[rows[0] : rows[-1] + 1 + recovery].any()
    assert market.tradable[rows[-1] + 1 + recovery]
    assert succeed("verify", "-p", PAIR, "--stretch", "3", *place).rstrip().endswith("clean")


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("yesterday", "--at 'yesterday': give a time like 2024-03-01T12:00"),
        ("2023-13-01", "--at '2023-13-01'"),
        ("2020-01-01", f"{PAIR}: no candle had closed at 2020-01-01 00:00"),
        ("2023-04-11T01:00", f"{PAIR}: the candles end at 2023-04-11 00:00"),
        ("2030-01-01", f"{PAIR}: the candles end at 2023-04-11 00:00"),
    ],
)
def test_a_moment_that_cannot_be_explained_is_refused(at, message, market_folder):
    out = fail("explain", PAIR, "--at", at, "-c", CONFIG, "-d", market_folder)
    assert message in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("known_at,source,score\n2023-01-01,news,0.1\n", "column weight missing"),
        (
            "known_at,source,score,weight\n2023-01-01,news,7,1\n",
            r"column score, row 1: '7' is not in \[-1, 1\]",
        ),
    ],
)
def test_a_bad_records_file_is_named(content, message, market_folder, tmp_path):
    records = tmp_path / "mood.csv"
    if content is not None:
        records.write_text(content, encoding="utf-8")
    overlay = tmp_path / "records.json"
    section = {"quorum": {"market": {"records": {"sentiment": str(records)}}}}
    overlay.write_text(json.dumps(section), encoding="utf-8")
    out = fail(*EXPLAIN, "-c", CONFIG, "-c", overlay, "-d", market_folder)
    assert re.search(f"{re.escape(str(records))}: {message}", out)


def test_an_unknown_file_format_is_named(market_folder, tmp_path):
    overlay = tmp_path / "format.json"
    overlay.write_text('{"dataformat_ohlcv": "xls"}', encoding="utf-8")
    out = fail(*EXPLAIN, "-c", CONFIG, "-c", overlay, "-d", market_folder)
    assert "dataformat_ohlcv = 'xls'" in out


def test_values_in_messages_are_not_taken_for_markup(tmp_path):
    assert "--at '[bold]'" in fail("explain", PAIR, "--at", "[bold]", "-c", CONFIG)


def test_the_shipped_configuration_lists_ten_pairs():
    assert len(whitelist(load_config([Path(CONFIG)], datadir=ROOT))) == 10
