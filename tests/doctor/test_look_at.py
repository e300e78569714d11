"""What the doctor is told: real configurations, the real strategy, a real client."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorum.bot.inspection import layers_of, look_at, requirements
from quorum.bot.probe import ExchangeProbe
from quorum.cli import app
from quorum.doctor import Level, examine
from quorum.errors import DataError, SettingsError
from quorum.replay.server import HTTPError, LocalServer
from quorum.replay.synthetic import SyntheticSettings, make_market

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "config.json"
MARKET = SyntheticSettings(
    bases=("BTC", "ETH"), start=date(2023, 1, 1), end=date(2023, 3, 15), timeframes=("1h", "4h")
)


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    # The shipped configuration names folders relative to it.
    monkeypatch.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith("FREQTRADE__")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def market_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "market"
    make_market(MARKET, folder)
    return folder


def layer(tmp_path: Path, name: str = "mine.json", **content) -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def level_of(setup, check) -> list[Level]:
    return [finding.level for finding in examine(setup, [check])]


def test_the_shipped_configuration_has_no_problem():
    findings = examine(look_at([SHIPPED], online=False))
    bad = [f for f in findings if f.level in (Level.WARNING, Level.PROBLEM)]
    assert not bad


def test_values_of_a_configuration_that_override_the_strategy_are_found(tmp_path):
    mine = layer(
        tmp_path, stoploss=-0.03, minimal_roi={"0": 0.02}, trailing_stop=True, timeframe="4h",
        process_only_new_candles=False, unfilledtimeout={"entry": 10, "exit": 10},
    )  # fmt: skip
    setup = look_at([SHIPPED, mine], online=False)
    found = {f.where.split(" = ")[0]: f for f in examine(setup, ["overrides"])}
    assert set(found) == {
        "stoploss", "minimal_roi", "trailing_stop", "timeframe", "process_only_new_candles",
        "unfilledtimeout",
    }  # fmt: skip
    assert found["stoploss"].where == f"stoploss = -0.03 ({mine}), strategy: -0.9"
    assert {span.timeframe for span in setup.series if span.role == "base"} <= {"4h"}


def test_values_of_a_parameter_file_are_found_where_the_host_reads_it(tmp_path):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "quorum_strategy.py").write_bytes(
        (ROOT / "strategies/quorum_strategy.py").read_bytes()
    )
    params = {"buy": {"gate": 0.7}, "stoploss": {"stoploss": -0.04}}
    path = layer(folder, "quorum_strategy.json", strategy_name="Quorum", params=params)
    setup = look_at([SHIPPED, layer(tmp_path, strategy_path=str(folder))], online=False)
    (override,) = examine(setup, ["overrides"])
    assert override.where == "stoploss = -0.04 (parameter file), strategy: -0.9"
    named = [f.where for f in examine(setup, ["parameter file"])]
    assert named == [f"{path}: gate=0.7", f"{path}: stoploss=-0.04"]
    assert level_of(setup, "strategy file") == [Level.OK]


def test_later_files_the_files_they_name_and_the_environment_win_as_in_the_host(
    tmp_path, monkeypatch
):
    inner = layer(tmp_path, "inner.json", max_open_trades=3, bot_name="inner")
    outer = layer(tmp_path, "outer.json", add_config_files=["inner.json"], bot_name="outer")
    monkeypatch.setenv("FREQTRADE__EXCHANGE__KEY", "from-the-environment")
    assert [one.name for one in layers_of([SHIPPED, outer])] == [
        str(SHIPPED), str(inner), str(outer), "environment",
    ]  # fmt: skip
    setup = look_at([SHIPPED, outer], online=False)
    assert setup.place("max_open_trades") == f"max_open_trades = 3 ({inner})"
    assert setup.place("bot_name") == f"bot_name = 'outer' ({outer})"
    assert setup.value("exchange.key") == "from-the-environment"
    assert setup.source("exchange.key") == "environment"
    assert setup.value("exchange.name") == "binance", "groups are merged"


def test_a_strategy_that_does_not_load_is_a_finding_not_an_error(tmp_path):
    setup = look_at([SHIPPED, layer(tmp_path, strategy="NoSuch")], online=False)
    assert setup.strategy is None
    assert "NoSuch" in setup.strategy_error
    assert Level.PROBLEM in level_of(setup, "overrides")


DERIVED = """
from freqtrade.strategy import informative
from quorum_strategy import Quorum
{extra}

class Derived(Quorum):
    @informative("1d")
    def populate_indicators_1d(self, dataframe, metadata):
        return dataframe
"""


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("", ""),
        ("x = 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_derived_strategy_is_named_and_a_broken_file_is_a_finding(tmp_path, extra, problem):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "quorum_strategy.py").write_bytes(
        (ROOT / "strategies/quorum_strategy.py").read_bytes()
    )
    (folder / "derived.py").write_text(DERIVED.format(extra=extra), encoding="utf-8")
    mine = layer(tmp_path, strategy_path=str(folder), strategy="Derived")
    setup = look_at([SHIPPED, mine], online=False)
    assert problem in setup.strategy_error
    assert (setup.strategy is None) == bool(problem)
    if setup.strategy is not None:
        assert setup.strategy.name == "Derived"
    assert examine(setup)


def test_whatever_a_strategy_raises_is_a_finding(tmp_path):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "own.py").write_text(
        "from freqtrade.strategy import IStrategy\n\nclass Own(IStrategy):\n"
        "    timeframe = '1h'\n    minimal_roi = {}\n    stoploss = -0.1\n"
        "    def __init__(self, config):\n        raise KeyError('no_such_key')\n"
        "    def populate_indicators(self, d, m): return d\n"
        "    def populate_entry_trend(self, d, m): return d\n"
        "    def populate_exit_trend(self, d, m): return d\n",
        encoding="utf-8",
    )
    mine = layer(tmp_path, strategy_path=str(folder), strategy="Own")
    setup = look_at([SHIPPED, mine], online=False)
    assert "KeyError: 'no_such_key'" in setup.strategy_error


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        ({"quorum": {"nonsense": 1}}, SettingsError, "quorum.nonsense"),
        ({"exchange": {"name": "nosuchexchange"}}, DataError, "nosuchexchange"),
    ],
)
def test_what_cannot_be_examined_is_one_clear_error(tmp_path, content, error, text):
    with pytest.raises(error, match=text):
        look_at([SHIPPED, layer(tmp_path, **content)], online=False)


def test_candles_are_measured_where_the_host_looks_for_them(market_folder):
    setup = look_at([SHIPPED], datadir=market_folder, online=False)
    base = {span.pair: span for span in setup.series if span.role == "base"}
    assert base["BTC/USDT:USDT"].rows == 73 * 24
    assert base["SOL/USDT:USDT"].rows == 0
    roles = {span.role for span in setup.series if span.pair == "BTC/USDT:USDT"}
    assert {"higher 4h", "higher 1d", "funding_rate", "mark", "spot"} <= roles
    missing = {f.what.split()[0] for f in examine(setup, ["informative candles"]) if f.fix}
    assert "higher" in missing, "no daily candles were made"
    (few,) = [f for f in examine(setup, ["candles"]) if f.level is Level.PROBLEM]
    assert "8 of 10 pairs" in few.what


def test_start_up_is_counted_with_the_hosts_own_limit():
    setup = look_at([SHIPPED], online=False)
    (finding,) = examine(setup, ["start-up"])
    assert finding.where == "startup_candle_count = 1400, 499 1h candles per request"


def test_the_ranges_of_versions_come_from_the_package():
    ranges = requirements()
    assert {"python", "freqtrade", "numba", "pandas", "numpy"} <= set(ranges)
    assert "hypothesis" not in ranges, "a range of an extra"


# The exchange -----------------------------------------------------------------------------


class Exchange:
    """An exchange on this machine that tells the time and the rights of a key."""

    def __init__(self, ahead=0.0):
        self.ahead, self.asked = ahead, []
        routes = {
            ("GET", "/fapi/v1/time"): self.time,
            ("GET", "/sapi/v1/account/apiRestrictions"): self.rights,
        }
        self.server = LocalServer(routes, self.unknown)

    def time(self, request):
        return {"serverTime": int(1000 * (time.time() + self.ahead))}

    def rights(self, request):
        self.asked.append(request.parameters)
        return {"enableReading": True, "enableFutures": True, "enableWithdrawals": True}

    def unknown(self, request):
        self.asked.append(request.path)
        raise HTTPError(404, {"code": -1, "msg": "no"})

    def config(self, **exchange) -> dict:
        url = self.server.url
        paths = {"fapiPublic": f"{url}/fapi/v1", "sapi": f"{url}/sapi/v1"}
        own = {"urls": {"api": paths}, "options": {"fetchCurrencies": False}}
        return {"exchange": {"ccxt_config": own, **exchange}}


@pytest.fixture
def exchange():
    made = Exchange()
    with made.server:
        yield made


def test_the_clock_is_compared_with_the_exchanges(exchange, tmp_path):
    mine = layer(tmp_path, **exchange.config())
    assert level_of(look_at([SHIPPED, mine]), "clock") == [Level.OK]
    exchange.ahead = 3.0
    setup = look_at([SHIPPED, mine])
    assert setup.exchange.clock_offset() == pytest.approx(3000, abs=200)
    assert level_of(setup, "clock") == [Level.PROBLEM]


def test_rights_of_the_key_are_asked_for_signed_and_nothing_else_is(exchange, tmp_path):
    # Dry-run: the host itself would forget the keys.
    mine = layer(tmp_path, **exchange.config(key="my-key", secret="my-secret"))
    setup = look_at([SHIPPED, mine])
    assert level_of(setup, "keys") == [Level.PROBLEM]
    (asked,) = exchange.asked
    assert "signature" in asked
    assert "my-secret" not in str(asked)


def test_an_exchange_that_does_not_answer_is_asked_once(tmp_path):
    gone = Exchange()
    gone.server.start()
    config = gone.config()
    gone.server.stop()
    setup = look_at([SHIPPED, layer(tmp_path, **config)])
    began = time.perf_counter()
    assert (setup.exchange.clock_offset(), setup.exchange.listed()) == (None, None)
    assert time.perf_counter() - began < 5
    assert level_of(setup, "clock") == [Level.HINT]


def test_offline_nothing_is_asked(exchange, tmp_path):
    mine = layer(tmp_path, **exchange.config(key="k", secret="s"))
    examine(look_at([SHIPPED, mine], online=False))
    assert not exchange.asked


def test_a_probe_leaves_the_configuration_as_it_was(exchange):
    config = {**exchange.config(name="binance", key="k", secret="s"), "trading_mode": "futures"}
    before = json.dumps(config)
    ExchangeProbe({**config, "stake_currency": "USDT"}).close()
    assert json.dumps(config) == before


# The command ------------------------------------------------------------------------------


def test_the_command_ends_with_1_on_a_problem_and_prints_json(tmp_path):
    runner = CliRunner()
    good = runner.invoke(app, ["doctor", "-c", str(SHIPPED), "--offline"])
    assert good.exit_code == 0, good.output
    assert "0 problem" in good.output
    mine = layer(tmp_path, max_open_trades=0)
    arguments = ["doctor", "-c", str(SHIPPED), "-c", str(mine), "--offline"]
    bad = runner.invoke(app, arguments)
    assert bad.exit_code == 1
    assert f"max_open_trades = 0 ({mine})" in bad.output
    told = json.loads(runner.invoke(app, [*arguments, "--json"]).output)
    (problem,) = [finding for finding in told if finding["level"] == "problem"]
    assert problem["check"] == "open trades"
    assert problem["fix"]


def test_the_command_takes_the_configuration_the_host_would_take(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    nothing = runner.invoke(app, ["doctor"])
    assert nothing.exit_code == 1
    assert "quorum init" in nothing.output
    (tmp_path / "config.json").write_text(json.dumps({"exchange": {"name": "binance"}}))
    inner = tmp_path / "user_data" / "config.json"
    inner.parent.mkdir()
    inner.write_text(json.dumps({"exchange": {"name": "binance"}, "max_open_trades": 0}))
    told = runner.invoke(app, ["doctor", "--offline"])
    assert "max_open_trades = 0 (user_data/config.json)" in told.output
