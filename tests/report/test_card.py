"""The trade card: one trade in one screen, from a signal made by hand and from real trades."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from exported import exported
from published import agreeing, published, table_of
from rich.text import Text

from quorum.bot.results import load_backtest
from quorum.entry import Account, Signal, draw_up
from quorum.report.card import card_lines
from quorum.report.trades import Fill, TradeRecord
from quorum.settings import Settings

PAIR = "BTC/USDT:USDT"
OPENED = datetime(2024, 3, 1, 12, tzinfo=UTC)


def signal_of(side: int = 1) -> Signal:
    """Scenario 1 of spec E, or its mirror image; one head disagrees."""
    votes = [*agreeing(7, 0.80, 0.78, side)[:8], (-side, 0.6, 0.55)]
    frame = published([votes], close=43250.0, atr=300.0, zone_position=0.5)
    return draw_up(table_of(frame), 0, PAIR, 43250.0, Account(100_000.0), Settings())


def record(signal: Signal | None, *, closed: bool = True, side: int = 1) -> TradeRecord:
    rung = 43250.0 + side * 1350.0
    fills = [
        Fill(OPENED, 43250.0, 0.06, True, "7/9 very_high"),
        Fill(OPENED + timedelta(hours=5), rung, 0.042, False, "ladder_1"),
    ]
    if closed:
        fills.append(Fill(OPENED + timedelta(hours=9), 43250.0, 0.018, False, "trailing_stop_loss"))
    return TradeRecord(
        pair=PAIR,
        direction=side,
        opened=OPENED,
        closed=OPENED + timedelta(hours=9) if closed else None,
        open_rate=43250.0,
        close_rate=43250.0 if closed else None,
        profit=54.5,
        profit_ratio=0.021,
        funding=-0.25,
        best=rung,
        worst=43000.0,
        exit_reason="trailing_stop_loss" if closed else "",
        fills=tuple(fills),
        signal=signal,
    )


def card(trade: TradeRecord) -> str:
    """Return the card as it is read, without markup."""
    return "\n".join(Text.from_markup(line).plain for line in card_lines(trade))


@pytest.mark.parametrize(("side", "name", "other"), [(1, "long", "short"), (-1, "short", "long")])
def test_a_card_shows_votes_context_size_exits_and_what_happened(side, name, other):
    signal = signal_of(side)
    trade = record(signal, side=side)
    text = card(trade)
    assert f"{PAIR} {name}  opened 2024-03-01 12:00 UTC" in text
    assert f"7 of 9 agree   probability {signal.consensus_probability:.3f}" in text
    assert text.count(f" {name} ") >= 7
    assert "crypto" in text
    assert f"{other}" in next(line for line in text.splitlines() if line.startswith("  crypto"))
    assert "structure  flat" in text
    assert "context  entry zone status equilibrium" in text
    assert " ".join(signal.reasoning.split()) in " ".join(text.split())
    assert f"size  {signal.position_size_pct:.3f} % of capital" in text
    assert all(reason in text for reason in signal.reasons)
    assert f"stop {signal.stop_loss:g} ({signal.stop_kind}, 1.04 %)" in text
    assert f"70% at {signal.ladder[0]:g} (3.0 R)" in text
    assert "10% at" in text
    rung = 43250 + side * 1350
    assert f"2024-03-01 17:00  out 0.042 at {rung}  ladder_1" in text
    assert f"+54.50 (+2.10 %)   {54.5 / signal.risk_amount:+.2f} R" in text
    assert "trailing_stop_loss after 9 h" in text
    assert "funding -0.2500" in text


def test_a_card_fits_one_screen():
    lines = card(record(signal_of())).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 160


def test_an_open_trade_shows_what_is_out_and_no_result():
    text = card(record(signal_of(), closed=False))
    assert text.splitlines()[-1] == "  still open"
    assert "ladder_1" in text
    assert "+54.50" not in text


def test_a_trade_without_a_signal_says_so_and_shows_what_happened():
    text = card(record(None))
    assert "no signal is stored with this trade" in text
    assert "votes" not in text
    assert "+54.50 (+2.10 %)   trailing_stop_loss" in text


def test_a_loss_is_red_and_a_gain_is_green():
    gain = list(card_lines(record(None)))[-1]
    loss = list(card_lines(replace(record(None), profit=-1.0, profit_ratio=-0.0004)))[-1]
    assert "[green]+54.50" in gain
    assert "[red]-1.00 (-0.04 %)" in loss


def test_every_trade_of_a_backtest_has_a_card_that_can_be_printed(tmp_path_factory):
    for trade in load_backtest(exported(tmp_path_factory.getbasetemp()).result).trades:
        text = card(trade)
        assert len(text.splitlines()) <= 42
        assert len([line for line in text.splitlines() if "  out " in line]) == len(trade.fills) - 1
        assert trade.exit_reason in text
        assert "no signal" not in text
