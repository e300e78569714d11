"""``quorum ablation`` on a small market, and what the simulation may import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from backtests import ROOT, small_market
from test_layout import PACKAGE, imports
from typer.testing import CliRunner

from quorum.cli import app

SPAN = "20230420-20230801"


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return small_market(tmp_path_factory.mktemp("data") / "market")


def ablation(datadir: Path, *options: str):
    config = ["-c", str(ROOT / "config.json"), "-d", str(datadir)]
    return CliRunner().invoke(app, ["ablation", *config, "-p", "ETH/USDT:USDT", *options])


def test_the_command_prints_every_part_and_writes_the_rows(datadir, tmp_path):
    path = tmp_path / "rows.json"
    result = ablation(datadir, "--timerange", SPAN, "--runs", "20", "--json", str(path))
    assert result.exit_code == 0, result.output
    rows = json.loads(path.read_text(encoding="utf-8"))
    for row in rows:
        assert row["name"] in result.output
    assert rows[0]["kind"] == "full"
    assert rows[0]["trades"] > 0
    assert "of 20 runs" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--timerange", "tomorrow"), "--timerange 'tomorrow'"),
        (("--timerange", "20300101-20300201"), "no pair has candles"),
        (("--result", "nowhere.zip"), "does not tell the span"),
    ],
)
def test_what_cannot_be_simulated_is_one_message(datadir, options, words):
    result = ablation(datadir, *options)
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())


def test_the_simulation_knows_nothing_of_models_adapters_or_reports():
    for path in sorted((PACKAGE / "simulation").glob("*.py")):
        for later in ("learning", "bot", "cli", "report", "replay", "tuning"):
            assert not imports(path, f"quorum.{later}"), f"{path} imports {later}"
