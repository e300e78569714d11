"""``quorum train`` and ``quorum models evidence`` on a market of two pairs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from backtests import ROOT
from typer.testing import CliRunner

from quorum.cli import app
from quorum.learning.store import ModelStore
from quorum.replay.synthetic import SyntheticSettings, make_market

PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
#: Few rows and rounds: what is tested is what the command does, not what is learned.
LEARNING = {
    "thin": 6,
    "folds": {"refit_days": 30, "window_days": 90, "min_rows": 300},
    "fitting": {"lightgbm": {"rounds": 5}, "xgboost": {"rounds": 5}},
    "promotion": {"worse_than_prior": 1.0, "worse_than_before": 1.0},
}


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "market"
    make_market(
        SyntheticSettings(bases=("BTC", "ETH"), start=date(2023, 1, 1), end=date(2023, 7, 1)),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def user_data(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user_data")


def configured(folder: Path, pairs: list[str] = PAIRS, **learning: object) -> list[str]:
    overlay = folder / "overlay.json"
    section = {
        "quorum": {"learning": {**LEARNING, **learning}},
        "user_data_dir": str(folder),
        "exchange": {"name": "binance", "pair_whitelist": pairs},
    }
    overlay.write_text(json.dumps(section), encoding="utf-8")
    return ["-c", str(ROOT / "config.json"), "-c", str(overlay)]


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_it_trains_judges_and_does_not_fit_again_what_was_fitted(user_data, candles):
    options = configured(user_data, [*PAIRS, "SOL/USDT:USDT"])
    status, out = call("train", *options, "-d", candles, "--jobs", 1)
    assert status == 0, out
    assert "SOL/USDT:USDT is left out" in out
    store = ModelStore(user_data / "models" / "quorum")
    chain = store.current()
    assert chain is not None
    n = len(chain.vintages)
    assert n >= 2
    assert f"{n} vintages, 0 fitted before" in out
    assert f"chain {chain.id} is in use" in out
    assert "out of sample" in out
    assert "What follows" in out

    status, again = call("models", "evidence", *options)
    assert status == 0, again
    assert "out of sample" in again

    status, out = call("train", *options, "-d", candles, "--jobs", 1)
    assert status == 0, out
    assert f"{n} vintages, {n} fitted before" in out
    assert store.current().vintages == chain.vintages


def test_too_little_history_is_said_before_anything_is_written(tmp_path, candles):
    options = configured(tmp_path, folds={"first_days": 5000})
    status, out = call("train", *options, "-d", candles, "--jobs", 1)
    assert status == 1
    assert "days of history are too few for one fold" in out
    assert ModelStore(tmp_path / "models" / "quorum").current() is None


def test_a_cluster_needs_the_address_of_its_scheduler(tmp_path, candles):
    status, out = call("train", *configured(tmp_path), "-d", candles, "--backend", "dask")
    assert status == 1
    assert "needs the address of its scheduler" in out


def test_without_candles_there_is_nothing_to_learn_from(tmp_path, candles):
    options = configured(tmp_path, ["SOL/USDT:USDT"])
    status, out = call("train", *options, "-d", candles)
    assert status == 1
    assert "no pair of the whitelist has candles" in out
