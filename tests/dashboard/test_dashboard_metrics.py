"""Metrics: every query of the Grafana dashboard and of the alerts finds them in Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from journaled_bots import BOT, PAIR, PEER, STARTUP, JournaledBot, frames
from served import TOKEN, backtest_source, client, server

from quorum.dashboard.metrics import LABELS, bounded
from quorum.dashboard.source import BotSource, Places
from quorum.guards import Ledger, SqlStore
from quorum.settings import Settings
from quorum.state import Store

DOCKER = Path(__file__).parents[2] / "docker"
PANELS = json.loads((DOCKER / "grafana" / "quorum.json").read_text(encoding="utf-8"))["panels"]
RULES = (DOCKER / "prometheus" / "quorum.rules.yml").read_text(encoding="utf-8")
#: Counters that have no sample while nothing is counted.
WITHOUT_SAMPLES = {"quorum_faults_total", "quorum_advisor_calls_total"}
#: Metrics that need trained models.
OF_MODELS = {"quorum_model_age_seconds", "quorum_model_drift_ratio"}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> BotSource:
    """A bot that has journaled two pairs, refused an entry and written its guards."""
    folder = tmp_path_factory.mktemp("measured")
    url = f"sqlite:///{folder / 'state.sqlite'}"
    bot = JournaledBot(url, frames())
    for pair in (PAIR, PEER):
        for row in range(STARTUP, STARTUP + 2):
            bot.close_candle(row, pair)
    bot.journal.entry(PAIR, None, "loss_streak")
    bot.journal.entry(PEER, None, None)
    bot.journal.close()
    ledgers = SqlStore(Store(url), BOT)
    ledgers.load()
    ledgers.save(
        Ledger(equity=990.0, peak=1000.0, initial=1000.0, day_open=1000.0, last_at=time.time())
    )
    return BotSource(
        Places(
            database=f"sqlite:///{folder / 'trades.sqlite'}", bot=BOT,
            guards=SqlStore(Store(url, readonly=True), BOT), settings=Settings(),
            timeframe="1h", pairs=(PAIR, PEER), capital=1000.0, models=folder / "models",
            user_data=folder,
            backtest=lambda: None,
            history=lambda pair: None,
        )
    )  # fmt: skip


def scrape(source) -> dict[str, float]:
    with client(source) as found:
        lines = found.get("/metrics").text.splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def test_metrics_say_what_is_known(source):
    found = scrape(source)
    assert found["quorum_equity"] == 1000.0
    assert found['quorum_limit_used_ratio{limit="day loss of the day"}'] == pytest.approx(
        1 / 3, rel=1e-6
    )
    assert found['quorum_guard_state{state="active"}'] == 1.0
    assert found['quorum_guard_state{state="halted"}'] == 0.0
    assert found["quorum_entries_accepted_total"] == 1.0
    assert found['quorum_entries_refused_total{reason="loss_streak"}'] == 1.0
    assert found[f'quorum_candles_behind{{pair="{PAIR}"}}'] == 0.0


def test_a_backtest_is_measured_too():
    found = scrape(backtest_source(60))
    closed = [found[f'quorum_closed_trades_total{{result="{r}"}}'] for r in ("won", "lost")]
    assert sum(closed) == 60
    assert found["quorum_live"] == 0.0


def test_wrong_tokens_are_counted():
    with client(backtest_source(5)) as found:
        found.get("/api/v1/health", headers={"Authorization": "Bearer wrong-but-long-enough"})
        assert "quorum_wrong_tokens_total 1.0" in found.get("/metrics").text


def test_labels_are_bounded():
    counts = {f"reason {n}": n for n in range(1, 500)}
    kept = bounded(counts)
    assert len(kept) == LABELS
    assert sum(kept.values()) == sum(counts.values())
    assert "other" in kept
    assert bounded({"a": 1, "b": 2}) == {"b": 2, "a": 1}


def test_dashboard_and_alerts_name_metrics_that_there_are(source):
    known = {name.split("{")[0] for name in scrape(source)} | WITHOUT_SAMPLES | OF_MODELS
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]
    for text in (*queries, RULES):
        named = set(re.findall(r"\bquorum_[a-z_]+\b", text))
        assert named <= known, named - known


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs prometheus")
def test_alert_rules_are_valid_and_fire_when_they_should():
    for call in (["check", "rules", "quorum.rules.yml"], ["test", "rules", "quorum.test.yml"]):
        done = subprocess.run(
            ["promtool", *call], cwd=DOCKER / "prometheus", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus")
def test_every_panel_has_data_in_a_real_prometheus(source, tmp_path):
    port = free_port()
    with server(source) as url:
        target = urllib.parse.urlsplit(url).netloc
        (tmp_path / "token").write_text(TOKEN)
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: quorum\n"
            f"    authorization: {{credentials_file: {tmp_path / 'token'}}}\n"
            f"    static_configs: [{{targets: ['{target}']}}]\n"
        )
        running = subprocess.Popen(
            [
                "prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'db'}",
                f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
            ]
        )  # fmt: skip
        try:
            wait_for_data(port)
            for panel in PANELS:
                found = [row for t in panel["targets"] for row in query(port, t["expr"])]
                assert found, f"no data in {panel['title']!r}"
        finally:
            running.terminate()
            running.wait(20)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def query(port: int, expression: str) -> list[dict]:
    text = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{text}", timeout=5) as reply:
        result: list[dict] = json.loads(reply.read())["data"]["result"]
        return result


def wait_for_data(port: int) -> None:
    deadline = time.monotonic() + 30
    said = "nothing was scraped"
    while time.monotonic() < deadline:
        try:
            if query(port, "quorum_equity"):
                return
        except OSError as error:
            said = f"no answer yet: {error}"
        time.sleep(0.2)
    raise AssertionError(f"not in time: {said}")
