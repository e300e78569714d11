from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorum.cli import app
from quorum.cli.live import LiveOptions
from quorum.errors import DataError
from quorum.replay.synthetic import SyntheticSettings, make_market

SETTINGS = SyntheticSettings(start=date(2023, 1, 1), end=date(2023, 1, 10), bases=("BTC",))


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "market"
    make_market(SETTINGS, folder)
    return folder


@pytest.mark.parametrize("text", ["20230105", "2023-01-05", "2023-01-05T00:00+00:00"])
def test_the_start_is_a_day_or_a_moment(text: str):
    assert LiveOptions(text).start_ms == 1_672_876_800_000


@pytest.mark.parametrize("text", ["", "yesterday", "2023"])
def test_another_start_is_refused(text: str):
    with pytest.raises(DataError, match="--from"):
        _ = LiveOptions(text).start_ms


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live"], "--live needs --from"),
        (["--speed", "60"], "need --live"),
        (["--live", "--from", "20300101"], "the candles in"),
    ],
)
def test_what_cannot_be_replayed_is_refused(datadir: Path, arguments: list[str], message: str):
    done = CliRunner().invoke(app, ["replay", "--datadir", str(datadir), *arguments])
    assert done.exit_code == 1
    assert message in done.output


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_it_serves_until_ended_and_tells_how_to_trade_there(
    datadir: Path, tmp_path: Path, number: int, status: int
):
    call = [sys.executable, "-c", "from quorum.cli import app; app()", "replay", "--live"]
    call += ["--datadir", str(datadir), "--from", "20230105", "--speed", "600", "--orders"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            call,
            stdout=stream,
            env=environment,
            # A shell's background jobs ignore Ctrl-C, and so would their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    deadline = time.monotonic() + 180
    while "/quorum/clock" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    told = log.read_text()
    overlay = Path(told.split("--config ")[2].split()[0])
    config = json.loads(overlay.read_text())
    assert config["dry_run"] is False
    assert len(config["exchange"]["key"]) == 64
    assert overlay.stat().st_mode & 0o077 == 0
    assert config["exchange"]["key"] not in told
    assert "quorum.replay.live.accelerate" in told
    process.send_signal(number)
    assert process.wait(60) == status
    assert not overlay.parent.exists()
