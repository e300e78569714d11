"""``quorum guards`` and ``quorum rearm``."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from guard_accounts import HOUR, START, account, guards
from typer.testing import CliRunner

from quorum.cli import app
from quorum.guards import Reason, SqlStore, State


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"db_url": f"sqlite:///{tmp_path / 'trades.sqlite'}"}))
    return path


@pytest.fixture
def bot(tmp_path):
    """Return the guards of the bot the configuration belongs to."""
    return guards(SqlStore(f"sqlite:///{tmp_path / 'trades.quorum.sqlite'}", "freqtrade"))


def run(config, *arguments):
    result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
    return result.exit_code, result.output


def test_guards_shows_state_limits_what_is_used_and_what_is_left(config, bot):
    bot.observe(account())
    bot.observe(account(98_500.0, START + HOUR))
    code, text = run(config, "guards")
    assert code == 0
    assert "ACTIVE since ?, preset default" in text
    assert "equity 98,500.00" in text
    rows = {
        line.split("│")[2].strip(): line.split("│")[3:6]
        for line in text.splitlines()
        if "│" in line
    }
    assert [cell.strip() for cell in rows["loss of the day"]] == ["1.50", "3", "1.50"]
    assert [cell.strip() for cell in rows["drawdown from peak"]] == ["1.50", "5", "3.50"]
    assert [cell.strip() for cell in rows["trades of the day"]] == ["0.00", "10", "10.00"]


def test_a_halt_is_shown_ended_by_rearm_and_both_are_kept(config, bot):
    bot.observe(account())
    bot.observe(account(94_000.0, START + HOUR))
    code, text = run(config, "guards")
    assert code == 0
    assert "HALTED (emergency_shutdown) since 2024-05-15 01:00 UTC" in text
    assert 'quorum rearm --reason "..."' in text
    assert run(config, "rearm", "--reason", "fat finger")[0] == 0
    bot.observe(account(94_000.0, START + timedelta(days=1)))
    assert bot.state is State.ACTIVE
    text = run(config, "guards")[1]
    assert "halted -> active (rearmed)  fat finger" in text
    assert "active -> halted (emergency_shutdown)" in text


def test_rearm_refuses_what_is_not_halted_and_asks_for_a_reason(config, bot, tmp_path):
    code, text = run(config, "rearm", "--reason", "why not")
    assert (code, "does not exist" in text) == (1, True)
    assert not (tmp_path / "trades.quorum.sqlite").exists(), "looking creates nothing"
    bot.observe(account())
    code, text = run(config, "rearm", "--reason", "why not")
    assert (code, "the state is active" in text) == (1, True)
    assert run(config, "rearm")[0] != 0
    bot.observe(account(94_000.0, START + HOUR))
    code, text = run(config, "rearm", "--reason", " ")
    assert (code, "needs a reason" in text) == (1, True)
    assert bot.closing is Reason.EMERGENCY_SHUTDOWN


def test_before_the_first_run_there_is_no_state(config, tmp_path):
    code, text = run(config, "guards")
    assert (code, "no state yet" in text) == (0, True)
    assert not (tmp_path / "trades.quorum.sqlite").exists()
    code, text = run(config, "guards", "--db", "sqlite://")
    assert (code, "in memory" in text) == (1, True)


def test_a_database_that_cannot_be_read_is_one_clear_message(config, tmp_path):
    (tmp_path / "trades.quorum.sqlite").write_bytes(b"no database at all, only some text" * 40)
    code, text = run(config, "guards")
    assert code == 1
    assert "cannot be read" in text
    assert "not a database" in text
