"""``quorum regimes``: accuracy and confusion on a market whose regimes are known."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorum.cli import app
from quorum.cli import regimes as regimes_module
from quorum.context.regime import REGIMES
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.report.regime_accuracy import regime_accuracy

CONFIG = str(Path(__file__).parent.parent.parent / "config.json")


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("regimes") / "market"
    make_market(
        SyntheticSettings(bases=("BTC", "SOL"), start=date(2023, 1, 1), end=date(2023, 9, 1)),
        folder,
    )
    return folder


def call(*arguments: str | Path):
    return CliRunner().invoke(app, ["regimes", "-c", CONFIG, *map(str, arguments)])


def test_it_prints_the_accuracy_of_every_pair_and_the_confusion_of_the_first(market):
    result = call("-d", market)
    assert result.exit_code == 0, result.output
    bitcoin, sol = regime_accuracy(market)
    lines = result.output.splitlines()
    for line, one in zip(lines[:2], (bitcoin, sol), strict=True):
        assert line.startswith(one.pair)
        assert f"regimes {one.accuracy:.1%} right" in line
        assert f"{one.hours} hours, {one.unknown} unknown" in line
    rows = {line.split()[0]: line for line in lines[5:]}
    assert list(rows) == list(REGIMES)
    for name, counts in zip(REGIMES, bitcoin.confusion, strict=True):
        cells = [int(cell) for cell in re.findall(r" (\d+)(?= )", rows[name] + " ")]
        assert cells == [round(100 * c / max(counts.sum(), 1)) for c in counts]


def test_one_pair_can_be_asked_for(market):
    result = call("-d", market, "-p", "SOL/USDT:USDT")
    assert result.output.startswith("SOL/USDT:USDT")
    assert "BTC" not in result.output


def test_the_settings_of_the_configuration_are_in_force(market, tmp_path):
    overlay = tmp_path / "own.json"
    overlay.write_text(
        json.dumps({"quorum": {"context": {"regime": {"timeframe": "1d"}}}}), encoding="utf-8"
    )
    default = call("-d", market)
    changed = call("-c", overlay, "-d", market)
    assert changed.exit_code == 0, changed.output
    assert changed.output != default.output


def test_without_a_folder_the_embedded_market_is_made(market, monkeypatch):
    made = []
    monkeypatch.setattr(regimes_module, "SYNTHETIC", market)
    monkeypatch.setattr(regimes_module, "write_market", made.append)
    result = call()
    assert result.exit_code == 0, result.output
    assert made == [market]
    assert result.output == call("-d", market).output


def test_recorded_candles_have_no_truth_to_compare_with(tmp_path):
    result = call("-d", tmp_path)
    assert result.exit_code == 1
    assert "regimes.feather: there is no such file" in result.output
