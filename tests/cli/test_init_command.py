"""``quorum init``: what it writes, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from freqtrade.resolvers.hyperopt_resolver import HyperOptLossResolver
from typer.testing import CliRunner

from quorum.bot.host import load_files
from quorum.bot.inspection import look_at
from quorum.cli import app
from quorum.doctor import Level, examine

ROOT = Path(__file__).parent.parent.parent
STRATEGY = "user_data/strategies/quorum_strategy.py"
THEIRS = {
    "strategy": "SampleStrategy",
    "stoploss": -0.1,
    "minimal_roi": {"0": 0.04},
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "max_open_trades": 3,
    "stake_currency": "USDT",
    "stake_amount": 50,
    "dry_run": True,
    "dry_run_wallet": 100_000,
    "entry_pricing": {"price_side": "same", "use_order_book": False},
    "exit_pricing": {"price_side": "same", "use_order_book": False},
    "exchange": {"name": "binance", "pair_whitelist": ["BTC/USDT:USDT"]},
    "pairlists": [{"method": "StaticPairList"}],
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def init(*options: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["init", *options])
    assert result.exit_code == status, result.output
    return result.output


def files() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file()}


def test_an_empty_folder_becomes_one_the_doctor_has_nothing_against():
    said = init()
    assert (Path(STRATEGY)).read_bytes() == (ROOT / "strategies/quorum_strategy.py").read_bytes()
    assert {name for name in files() if "overlays" not in name} == {
        "config.json",
        STRATEGY,
        "user_data/hyperopts/quorum_loss.py",
    }
    assert all(name in said for name in files()), "it says what it wrote"
    assert "quorum doctor" in said
    findings = examine(look_at([Path("config.json")], online=False))
    assert not [f for f in findings if f.level in (Level.WARNING, Level.PROBLEM)]


def test_the_configuration_keeps_its_comments_and_finds_the_strategy():
    init()
    shipped = load_files([ROOT / "config.json"])
    written = load_files([Path("config.json")])
    del shipped["strategy_path"]
    del shipped["config_files"], written["config_files"]
    assert written == shipped
    assert "// Targets rest in the order book" in Path("config.json").read_text()


def test_a_user_directory_elsewhere_is_named_in_its_configuration(tmp_path):
    init("--user-dir", "bots/one/data")
    assert load_files([Path("bots/one/config.json")])["user_data_dir"] == str(
        tmp_path / "bots/one/data"
    )
    findings = examine(look_at([Path("bots/one/config.json")], online=False))
    assert not [f for f in findings if f.level in (Level.WARNING, Level.PROBLEM)]


def test_doing_it_again_changes_nothing():
    init()
    before = files()
    said = init()
    assert files() == before
    assert "written" not in said
    assert "unchanged" in said


def test_a_dry_run_writes_nothing():
    said = init("--dry-run")
    assert not files()
    assert f"would be written {STRATEGY}" in said


def test_a_file_that_differs_is_kept_and_with_force_replaced_and_kept_beside():
    init()
    Path(STRATEGY).write_text("# mine\n")
    said = init()
    assert Path(STRATEGY).read_text() == "# mine\n"
    assert f"kept         {STRATEGY}" in said
    assert "--force" in said
    for number in (1, 2):
        assert f"replaced     {STRATEGY}" in init("--force")
        kept = Path(f"{STRATEGY}.{number}.bak")
        assert kept.read_text() == "# mine\n"
        assert Path(STRATEGY).read_text().startswith('"""Quorum')
        Path(STRATEGY).write_text("# mine\n")


@pytest.mark.parametrize("place", ["config.json", "user_data/config.json"])
def test_an_existing_configuration_is_left_alone_and_gets_an_overlay(place):
    path = Path(place)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(THEIRS))
    before = path.read_bytes()
    said = init()
    overlay = path.with_name("quorum.json")
    assert path.read_bytes() == before
    assert f"left alone   {place}" in said
    assert f"quorum doctor -c {place} -c {overlay}" in said
    setup = look_at([path, overlay], online=False)
    assert setup.strategy is not None, setup.strategy_error
    assert setup.strategy.name == "Quorum"
    found = [f for f in examine(setup) if f.level in (Level.WARNING, Level.PROBLEM)]
    # What an overlay cannot take away is what remains to be done, by name.
    assert sorted(f.where.split(" = ")[0] for f in found) == ["minimal_roi", "stoploss"]
    assert init("--force")
    assert path.read_bytes() == before, "not even with --force"


def test_an_edited_configuration_of_ours_is_left_alone():
    init()
    path = Path("config.json")
    path.write_text(path.read_text().replace('"max_open_trades": 10', '"max_open_trades": 4'))
    before = files()
    init("--force")
    assert files() == before


def test_what_is_in_the_way_is_named_before_anything_is_written():
    Path("user_data").write_text("a file")
    assert "user_data: is not a folder" in init(status=1)
    Path("user_data").unlink()
    Path(STRATEGY).mkdir(parents=True)
    assert f"{STRATEGY}: is in the way" in init(status=1)
    assert not files()
    Path("config.json").write_text("{ broken")
    assert "config.json: cannot be read" in init(status=1)


def test_the_host_finds_the_loss_in_the_user_directory():
    init()
    config = {"hyperopt_loss": "QuorumLoss", "user_data_dir": Path("user_data"), "timeframe": "1h"}
    loss = HyperOptLossResolver.load_hyperoptloss(config)
    assert Path(loss.__file__) == Path("user_data/hyperopts/quorum_loss.py")
