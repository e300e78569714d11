"""``quorum measure``: what signals did on the candles at hand, kept for a bot."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from backtests import ROOT, small_market
from freqtrade.enums import RunMode
from typer.testing import CliRunner

from quorum.bot.models import bot_models
from quorum.cli import app
from quorum.cli.inspect import open_config
from quorum.confidence import Outcomes

PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    small_market(folder / "market")
    own = {"user_data_dir": str(folder / "user"), "exchange": {"pair_whitelist": PAIRS}}
    (folder / "own.json").write_text(json.dumps(own), encoding="utf-8")
    return folder


def arguments(home) -> list[str]:
    files = ("-c", str(ROOT / "config.json"), "-c", str(home / "own.json"))
    return [*files, "--datadir", str(home / "market")]


def test_outcomes_are_kept_for_a_bot_of_the_same_settings(home):
    done = CliRunner().invoke(app, ["measure", *arguments(home)])
    assert done.exit_code == 0, done.output
    assert "what signals stated, and what they did" in done.output
    (file,) = (home / "user" / "quorum_outcomes").glob("1h-*.feather")
    paths = [ROOT / "config.json", home / "own.json"]
    config, settings = open_config(paths, home / "market", None)
    pool = bot_models({**config, "runmode": RunMode.DRY_RUN}, settings, "1h").outcomes
    assert pool is not None
    assert set(pool.parts) == set(PAIRS)
    assert pool.path == file
    assert f"{len(pool):,} outcomes" in " ".join(done.output.split())
    for part in pool.parts.values():
        assert np.all(part.known_at > part.time)
        assert np.all(np.isfinite(part.r))
        assert np.all(np.diff(part.time) > 0)
    # A backtest measures from its own candles: it neither reads nor writes the file.
    fresh = bot_models({**config, "runmode": RunMode.BACKTEST}, settings, "1h").outcomes
    assert fresh is not None
    assert len(fresh) == 0
    again = CliRunner().invoke(app, ["measure", *arguments(home)])
    assert again.exit_code == 0, again.output
    rewritten = bot_models({**config, "runmode": RunMode.DRY_RUN}, settings, "1h").outcomes
    assert isinstance(rewritten.parts[PAIRS[0]], Outcomes)
    pd.testing.assert_series_equal(
        pd.Series(rewritten.parts[PAIRS[0]].r), pd.Series(pool.parts[PAIRS[0]].r)
    )
