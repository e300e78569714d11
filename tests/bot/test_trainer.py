"""A running bot trains its models in a process of its own (spec M8)."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from backtests import ROOT
from freqtrade.configuration.load_config import load_from_files
from freqtrade.enums import RunMode

from quorum.bot.host import load_config, load_market
from quorum.bot.models import BotModels
from quorum.bot.trainer import Trainer
from quorum.features.predictions import SIGNAL_UP
from quorum.pipeline import evaluate
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.settings import load_settings

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
#: Few rows and rounds: what is tested is who trains when, not what is learned.
LEARNING = {
    "retrain": True,
    "download": False,
    "thin": 6,
    "folds": {"refit_days": 60, "window_days": 90, "min_rows": 300},
    "fitting": {"lightgbm": {"rounds": 5}, "xgboost": {"rounds": 5}},
    "meta": {"enabled": False},
    "promotion": {"worse_than_prior": 1.0},
}
NOW = datetime(2023, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trainer") / "market"
    make_market(
        SyntheticSettings(bases=("BTC", "ETH"), start=date(2023, 1, 1), end=date(2023, 7, 1)),
        folder,
    )
    return folder


def bot_of(folder: Path, candles: Path, **learning: object) -> tuple[Trainer, BotModels, dict]:
    section = {"learning": {**LEARNING, **learning}}
    # As a user has them: a later file moves what an earlier one, and one that it names, says.
    (folder / "named.json").write_text(json.dumps({"user_data_dir": str(folder / "named")}))
    base = folder / "base.json"
    base.write_text(
        json.dumps(
            {
                "add_config_files": ["named.json"],
                "user_data_dir": str(folder / "base"),
                "quorum": {"learning": {"thin": 1000, "retrain": False}},
            }
        )
    )
    overlay = folder / "overlay.json"
    overlay.write_text(
        json.dumps(
            {
                "quorum": section,
                "user_data_dir": str(folder),
                "exchange": {"name": "binance", "pair_whitelist": list(PAIRS)},
            }
        )
    )
    paths = [ROOT / "config.json", base, overlay]
    config = load_config(paths, datadir=candles)
    loaded = load_from_files([str(path) for path in paths])
    config |= {"runmode": RunMode.DRY_RUN, "config_files": loaded["config_files"]}
    settings = load_settings(section)
    models = BotModels(folder, settings, "1h", remember=True)
    return Trainer(config, settings, models), models, config


def wait(trainer: Trainer, seconds: float = 240.0) -> None:
    ends = time.monotonic() + seconds
    while trainer.busy:
        assert time.monotonic() < ends, "the training does not end"
        time.sleep(0.2)
    trainer.on_candle(NOW)


def test_a_bot_trains_when_a_refit_is_due_and_takes_up_the_models_by_itself(
    tmp_path, candles, caplog
):
    caplog.set_level("INFO")
    trainer, models, config = bot_of(tmp_path, candles)
    assert models.in_use() is None
    began = time.perf_counter()
    trainer.on_candle(NOW)
    assert time.perf_counter() - began < 1.0, "the candle does not wait for the training"
    assert trainer.busy
    wait(trainer)
    used = models.in_use()
    assert used is not None, trainer.log.read_text()
    assert used[1] < NOW
    market = load_market(config, load_settings({"learning": LEARNING}), PAIRS[0])
    columns = evaluate(market, load_settings({"learning": LEARNING}), models).features
    assert np.isfinite(columns[SIGNAL_UP][-1])
    trainer.on_candle(NOW)
    assert not trainer.busy, "nothing is due until the next refit"
    assert "Models have been trained" in caplog.text
    # A training on the same candles ends well and changes nothing: that is not called success.
    assert "no newer ones are in use" not in caplog.text
    trainer.on_candle(NOW + timedelta(days=60))
    wait(trainer)
    assert "no newer ones are in use" in caplog.text


def test_a_bot_whose_configuration_is_no_file_says_that_it_cannot_train(tmp_path, candles, caplog):
    _, models, config = bot_of(tmp_path, candles)
    settings = load_settings({"learning": LEARNING})
    trainer = Trainer({**config, "config_files": []}, settings, models)
    trainer.on_candle(NOW)
    assert not trainer.busy
    assert "was not read from files" in caplog.text


def test_a_training_that_fails_is_told_and_not_tried_at_every_candle(tmp_path, candles, caplog):
    trainer, models, _ = bot_of(tmp_path, candles, folds={"refit_days": 60, "first_days": 5000})
    trainer.on_candle(NOW)
    wait(trainer)
    assert "Training models failed with status 1" in caplog.text
    assert models.in_use() is None
    assert "folds" in trainer.log.read_text()
    trainer.on_candle(NOW)
    assert not trainer.busy


def test_without_the_setting_and_in_a_backtest_nothing_is_trained(tmp_path, candles):
    trainer, _, config = bot_of(tmp_path, candles, retrain=False)
    trainer.on_candle(NOW)
    assert not trainer.busy
    _, models, config = bot_of(tmp_path, candles)
    settings = load_settings({"learning": LEARNING})
    backtest = Trainer({**config, "runmode": RunMode.BACKTEST}, settings, models)
    backtest.on_candle(NOW)
    assert not backtest.busy
