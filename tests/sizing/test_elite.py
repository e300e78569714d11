"""Elite sizing: the checks of spec S3, the worked example, its caps and its fallback."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
from sized_trades import (
    ALONE,
    BTC,
    DAY,
    ETH,
    EXAMPLE,
    OWN,
    SOL,
    UNCAPPED,
    account,
    peer,
    position,
    size,
    with_open,
)

from quorum.account import AccountState
from quorum.errors import SettingsError
from quorum.settings import load_settings
from quorum.sizing import SizingSettings, sizing_method
from quorum.sizing.elite_settings import CorrelationSettings, PerformanceConstants

# The checks of the specification -----------------------------------------------------------


def test_a_correlation_of_35_percent_leaves_82_5_percent():
    assert CorrelationSettings().factor(0.35) == pytest.approx(0.825)


@pytest.mark.parametrize(
    ("win_rate", "sharpe", "factor"),
    [
        (0.60, 0.85, 1.30),  # 1.32
        (0.50, 0.0, 1.0),
        (0.60, 0.0, 1.15),
        (0.50, 5.0, 1.2),
        (0.50, -5.0, 0.8),
        (0.20, -1.0, 0.7),
        (0.60, math.nan, 1.15),
        (math.nan, math.nan, 1.0),
    ],
)
def test_past_results_act_within_their_bounds(win_rate, sharpe, factor):
    assert PerformanceConstants().factor(win_rate, sharpe) == pytest.approx(factor)


def test_the_worked_example_comes_out_with_every_number():
    result = size(EXAMPLE, elite={"caps": {"pairs": {BTC: 5}}})
    expected = {
        "win_rate": 0.75,
        "risk_reward": 3.0,
        "expected_return": 0.75 * 3 - 0.25,
        "regime_factor": 1.0,
        "adjusted_return": 2.0,
        "min_expected_return": 0.3,
        "open_trades": 1,
        "known_correlations": 1,
        f"correlation_{ETH}": 0.35,
        "mean_correlation": 0.35,
        "diversification": 0.825,
        "closed_trades": 10,
        "past_win_rate": 0.60,
        "past_sharpe": 0.85,
        "performance": 1.30,
        "product": 1.0725,
        "multiplier": 1.0725,
        "risk_percent": 1.0,
        "equity": 180_791.0,
        "budget": 1_938.983475,
        "stop_loss_per_unit": 450.0,
        "loss_per_unit": 450.0,
        "units_wanted": 1_938.983475 / 450,
        "wanted": 186_357.856208,
        "cap_pair": 9_039.55,
        "cap_account": 18_079.10,
        "cap_headroom": 4000 / 450 * 43_250,
        "cap_concentration": 0.5 * 180_791 - 15_000,
        "notional": 9_039.55,
        "fraction": 0.05,
        "risk_amount": 9_039.55 * 450 / 43_250,
    }
    assert {name: result.record[name] for name in expected} == pytest.approx(expected)
    assert result.record["cvar_loss_per_unit"] < 450
    assert result.record["loss_source"] == "stop"
    assert result.record["binding"] == "pair"
    assert result.fraction == pytest.approx(0.05)
    assert result.notional == pytest.approx(9_039.55)
    assert result.reasons == (
        "elite=1%",
        "diversification=0.825",
        "performance=1.3",
        "cap_pair=0.0485",
    )


def test_in_the_worked_example_the_pair_binds_by_default_too():
    result = size(EXAMPLE)
    assert result.notional == pytest.approx(18_079.10)
    assert result.record["binding"] == "pair"


def test_without_caps_the_worked_example_risks_its_budget_at_the_stop():
    # 1 % x 1.0725 over a stop of 20 % is a position of 5.4 %.
    result = size(replace(EXAMPLE, stop=0.8 * 43_250))
    assert result.record["binding"] == "none"
    assert result.risk_amount == pytest.approx(1_938.983475)
    assert result.fraction == pytest.approx(0.010725 / 0.2)


# Expected return ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("win_rate", "risk_reward", "regime", "taken"),
    [
        (0.65, 1.0, 1.0, False),  # .30 does not exceed .30
        (0.66, 1.0, 1.0, True),
        (0.30, 2.0, 1.0, False),  # -.10
        (0.70, 1.0, 0.7, False),  # .40 in a range is .28
        (0.72, 1.0, 0.7, True),
        (0.63, 1.0, 1.2, True),  # .26 in a trend is .312
        (0.62, 1.0, 1.2, False),
        (0.10, 1.0, 0.7, False),  # a loss does not shrink in a range
    ],
)
def test_the_expected_return_must_exceed_its_threshold(win_rate, risk_reward, regime, taken):
    request = replace(ALONE, win_rate=win_rate, risk_reward=risk_reward, regime_factor=regime)
    result = size(request)
    assert (result.notional > 0) == taken
    if not taken:
        assert result.reasons == ("expected_return_too_low",)
        assert result.record["refused"] == "expected_return_too_low"


def test_the_expected_win_rate_goes_before_the_confidence():
    assert size(ALONE).record["win_rate"] == 0.75
    assert size(ALONE).record["win_rate_source"] == "confidence"
    known = size(replace(ALONE, win_rate=0.7))
    assert known.record["win_rate"] == 0.7
    assert known.record["win_rate_source"] == "expected"


# Loss per unit -----------------------------------------------------------------------------


def test_a_tail_worse_than_the_stop_makes_the_trade_smaller():
    calm, wild = size(ALONE, **UNCAPPED), size(replace(ALONE, returns=40 * OWN), **UNCAPPED)
    assert calm.record["loss_source"] == "stop"
    assert wild.record["loss_source"] == "cvar"
    share = wild.record["cvar"]
    assert share > 0.02
    assert wild.notional == pytest.approx(180_791 * 0.01 / share)


@pytest.mark.parametrize(
    "returns",
    [
        None,
        np.empty(0),
        OWN[:479],
        np.full(720, np.nan),
        np.where(np.arange(720) % 20, OWN, np.nan),
    ],
    ids=["none", "empty", "short", "unknown", "full of holes"],
)
def test_a_short_history_counts_the_stop_one_and_a_half_times(returns):
    request = replace(ALONE, returns=returns, stop=0.9 * 43_250)
    result = size(request)
    assert result.record["loss_source"] == "short_history"
    assert result.record["cvar"] == "unknown"
    assert result.record["loss_per_unit"] == pytest.approx(1.5 * 4325)
    assert result.fraction == pytest.approx(0.01 / 0.15)


def test_what_lies_before_the_history_changes_nothing():
    older = np.concatenate([np.full(500, 0.3), np.tile(OWN, 2)[-1000:]])
    request = replace(EXAMPLE, returns=np.tile(OWN, 2)[-1000:], peers={ETH: np.tile(peer(0.35), 2)})
    assert size(replace(request, returns=older)).record == size(request).record


def test_a_short_is_measured_against_rising_prices():
    returns = np.where(np.arange(720) == 300, 0.2, 0.0)
    long = size(replace(ALONE, returns=returns))
    short = size(replace(ALONE, returns=returns, direction=-1, stop=43_700.0))
    assert long.record["loss_source"] == "stop"
    assert short.record["loss_source"] == "cvar"


# Correlation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correlations", "factor"),
    [((0.35,), 0.825), ((0.9, 0.6), 0.625), ((0.8,), 0.6), ((0.0,), 1.0), ((-0.4,), 1.2)],
)
def test_the_mean_correlation_halves_itself_off_the_size(correlations, factor):
    pairs = (ETH, SOL)[: len(correlations)]
    peers = {pair: peer(rho) for pair, rho in zip(pairs, correlations, strict=True)}
    request = with_open(*(position(pair, notional=1.0) for pair in pairs), **peers)
    result = size(request)
    assert result.record["diversification"] == pytest.approx(factor)
    assert result.record["product"] == pytest.approx(factor)


@pytest.mark.parametrize("correlations", [(0.81,), (1.0,), (0.95, 0.70)])
def test_a_mean_correlation_over_80_percent_rejects(correlations):
    pairs = (ETH, SOL)[: len(correlations)]
    peers = {pair: peer(rho) for pair, rho in zip(pairs, correlations, strict=True)}
    result = size(with_open(*map(position, pairs), **peers))
    assert result.fraction == 0
    assert result.reasons == ("too_correlated",)


def test_the_opposite_side_of_an_alike_pair_offsets_it():
    short = with_open(position(direction=-1), **{ETH: peer(0.9)})
    assert size(short).record["mean_correlation"] == pytest.approx(-0.9)
    assert size(short).record["diversification"] == pytest.approx(1.45)


def test_a_correlation_that_is_not_known_is_left_out_of_the_mean():
    request = with_open(position(ETH), position(SOL), **{ETH: peer(0.5)})
    result = size(request)
    assert (result.record["open_trades"], result.record["known_correlations"]) == (2, 1)
    assert result.record["diversification"] == pytest.approx(0.75)
    assert result.record[f"correlation_{SOL}"] == "unknown"
    assert size(replace(request, peers={})).record["diversification"] == 1.0


# Multipliers and caps ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "multiplier"),
    [
        ({}, 1.0),
        ({"regime_trend": 1.2}, 1.2),
        ({"a": 0.5, "b": 0.5, "c": 0.7}, 0.4),
        ({"a": 1.5, "b": 1.5}, 1.5),
    ],
)
def test_the_product_of_all_multipliers_is_clamped(factors, multiplier):
    result = size(replace(ALONE, multipliers=factors))
    assert result.record["product"] == pytest.approx(math.prod(factors.values()))
    assert result.record["multiplier"] == pytest.approx(multiplier)
    assert any(r.startswith("multiplier_clamp") for r in result.reasons) == (
        result.record["product"] != result.record["multiplier"]
    )


def test_what_the_guards_leave_is_not_clamped():
    whole, tenth = size(ALONE), size(replace(ALONE, guard_factor=0.1))
    assert tenth.notional == pytest.approx(0.1 * whole.notional)
    assert "guards=0.1" in tenth.reasons


@pytest.mark.parametrize(
    ("changes", "binding"),
    [
        ({"headroom": 100.0}, "headroom"),
        ({"account": account(open=(position(SOL, notional=85_000.0),))}, "concentration"),
        ({"account": account(open=(position(BTC, notional=10_000.0),))}, "pair"),
        ({"capital": 100_000.0}, "account"),
        ({"account": AccountState(DAY, 1e5, 1e5, 180_791.0)}, "account"),
    ],
)
def test_the_smallest_cap_wins(changes, binding):
    result = size(replace(ALONE, **changes))
    assert result.record["binding"] == binding
    assert result.notional == pytest.approx(result.record[f"cap_{binding}"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"headroom": 0.0}, "no_room_headroom"),
        ({"headroom": -5.0}, "no_room_headroom"),
        ({"headroom": math.nan}, "no_room_headroom"),
        ({"account": account(open=(position(SOL, notional=91e3),))}, "no_room_concentration"),
        ({"account": account(open=(position(BTC, notional=19e3),))}, "no_room_pair"),
        ({"stop": 43_250.0}, "stop_at_entry"),
        ({"min_order": 1e6}, "below_minimum_order"),
    ],
)
def test_without_room_nothing_is_opened(changes, reason):
    result = size(replace(ALONE, **changes))
    assert (result.fraction, result.notional, result.risk_amount) == (0.0, 0.0, 0.0)
    assert result.reasons[-1] == result.record["refused"] == reason


def test_the_other_side_does_not_concentrate():
    hedge = replace(ALONE, account=account(open=(position(SOL, -1, notional=170e3),)))
    assert size(hedge).notional > 0


# Beginnings --------------------------------------------------------------------------------


def test_one_pair_alone_with_no_trade_closed_yet_is_neither_shrunk_nor_grown():
    result = size(ALONE)
    assert result.record["diversification"] == result.record["performance"] == 1.0
    assert result.record["mean_correlation"] == result.record["past_win_rate"] == "unknown"
    assert result.record["closed_trades"] == 0


def test_an_unknown_account_has_the_capital_for_equity():
    result = size(replace(ALONE, account=None))
    assert result.record["equity"] == 180_791.0
    assert result.record["multiplier"] == 1.0
    assert result.notional == size(ALONE).notional


# The record and the fallback ---------------------------------------------------------------


def read_line(caplog) -> dict:
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("size ")]
    assert len(lines) == 1
    assert "\n" not in lines[0]
    return json.loads(lines[0].removeprefix("size "), parse_constant=pytest.fail)


@pytest.mark.parametrize("changes", [{}, {"headroom": math.nan}, {"win_rate": 0.1}])
def test_every_number_is_logged_in_one_line(caplog, changes):
    with caplog.at_level(logging.DEBUG, logger="quorum.sizing.elite"):
        result = size(replace(EXAMPLE, **changes))
    assert read_line(caplog) == result.record
    assert result.record["method"] == "elite"
    assert result.record["pair"] == BTC
    assert result.record["at"] == DAY.isoformat()


@pytest.mark.parametrize(
    "changes",
    [
        {"risk_reward": math.nan},
        {"win_rate": 1.7},
        {"direction": 0},
        {"returns": OWN.reshape(-1, 2)},
        {"peers": {ETH: None, SOL: "no array"}, "account": account(open=(position(SOL),))},
    ],
    ids=["no R:R", "impossible win rate", "no direction", "wrong shape", "wrong type"],
)
def test_when_it_fails_the_bands_size_the_trade_and_the_traceback_is_logged(caplog, changes):
    request = replace(EXAMPLE, **changes)
    with caplog.at_level(logging.DEBUG, logger="quorum.sizing.elite"):
        result = size(request)
    bands = sizing_method(SizingSettings()).size(request)
    assert result.notional == bands.notional == pytest.approx(0.015 * 180_791)
    assert result.reasons == ("elite_failed", *bands.reasons)
    failures = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(failures) == 1
    assert failures[0].exc_info is not None
    assert failures[0].exc_info[2] is not None
    assert BTC in failures[0].getMessage()
    record = read_line(caplog)
    assert (record["method"], record["fallback_from"]) == ("bands", "elite")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"caps": {"pairs": {BTC: -1}}}, r"caps\.pairs\.BTC/USDT:USDT = -1: .*greater than 0"),
        ({"risk": 0}, "quorum.sizing.elite.risk = 0: .*greater than 0"),
    ],
)
def test_bad_settings_are_refused_by_name(section, message):
    with pytest.raises(SettingsError, match=message):
        load_settings({"sizing": {"elite": section}})
