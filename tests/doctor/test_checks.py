"""Checks of the doctor that read the configuration, the strategy and the candles."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from doctor_setups import CONFIG, HOUR, NOW, PAIRS, Answers, changed, sound_setup, spans, worst

from quorum.doctor import CHECKS, Finding, Level, Override, Setup, Span, examine
from quorum.settings import load_settings


@pytest.fixture
def sound(tmp_path) -> Setup:
    return sound_setup(tmp_path)


def test_a_sound_set_up_has_no_warning_and_every_check_says_something(sound):
    findings = examine(sound)
    bad = [f for f in findings if f.level in (Level.WARNING, Level.PROBLEM)]
    assert not bad
    silent = set(CHECKS) - {finding.check for finding in findings}
    assert silent == {"stake currency", "stake amount"}, "they only speak up"


def test_every_bad_finding_says_where_and_how_to_mend_it(sound):
    broken = changed(
        sound, trading_mode="spot", stake_amount=10, max_open_trades=0, dry_run_wallet=20,
        exchange__key="k", api_server={"enabled": True, "listen_ip_address": "0.0.0.0"},
        order_types={"entry": "market", "exit": "market", "stoploss": "limit"},
        entry_pricing={}, custom_price_max_distance_ratio=0.02,
    )  # fmt: skip
    broken = replace(
        broken, requirements={"numpy": "<1"}, series=spans(higher_4h=1, base=1), now=NOW
    )
    found = [f for f in examine(broken) if f.level in (Level.WARNING, Level.PROBLEM)]
    assert {f.check for f in found} == {
        "trading mode", "order book", "custom prices", "smallest order", "open trades",
        "candles", "api server", "versions",
    }  # fmt: skip
    for finding in found:
        assert finding.what, finding
        assert finding.where, finding
        assert finding.fix, finding


@pytest.mark.parametrize(
    ("name", "code", "effective", "level"),
    [
        ("stoploss", -0.2, -0.03, Level.PROBLEM),
        ("stoploss", -0.2, -0.1, Level.WARNING),
        ("minimal_roi", {"0": 10.0}, {"0": 0.02}, Level.WARNING),
        ("timeframe", "1h", "15m", Level.HINT),
        ("trailing_stop", False, True, Level.PROBLEM),
        ("process_only_new_candles", True, False, Level.WARNING),
        ("use_custom_stoploss", True, False, Level.PROBLEM),
        ("use_exit_signal", True, False, Level.PROBLEM),
        ("position_adjustment_enable", True, False, Level.PROBLEM),
        ("unfilledtimeout", {"entry": 20160}, {"entry": 10}, Level.WARNING),
        ("startup_candle_count", 1400, 200, Level.PROBLEM),
        ("startup_candle_count", 1400, 2000, Level.HINT),
        ("something_new", 1, 2, Level.HINT),
    ],
)
def test_an_override_is_named_with_both_values_and_its_file(sound, name, code, effective, level):
    setup = changed(sound, **{name: effective})
    strategy = replace(setup.strategy, overrides=(Override(name, code, effective),))
    finding = worst(replace(setup, strategy=strategy), "overrides")
    assert finding.level is level
    assert finding.where == f"{name} = {effective!r} (mine.json), strategy: {code!r}"
    assert finding.fix == f"remove {name} from mine.json"


def test_a_wider_leverage_makes_the_same_stop_a_problem(sound):
    override = (Override("stoploss", -0.2, -0.1),)
    setup = replace(sound, strategy=replace(sound.strategy, overrides=override))
    assert worst(setup, "overrides").level is Level.WARNING
    setup = replace(setup, settings=load_settings({"leverage": 3}))
    assert worst(setup, "overrides").level is Level.PROBLEM
    assert "parameter file" in worst(setup, "overrides").where, "no file of ours says so"


def test_a_strategy_that_cannot_be_loaded_ends_no_check(sound):
    setup = replace(sound, strategy=None, strategy_error="contains code errors")
    findings = examine(setup)
    assert "contains code errors" in worst(setup, "overrides").what
    assert {"folders", "databases", "keys"} <= {finding.check for finding in findings}


def test_a_parameter_file_is_named_with_what_it_changes(sound):
    path = sound.strategy.file.with_suffix(".json")
    params = {"buy": {"gate": 0.7, "quorum_heads": 5}, "sell": {}}
    path.write_text(json.dumps({"strategy_name": "Quorum", "params": params}))
    finding = worst(sound, "parameter file")
    assert (finding.level, finding.where) == (
        Level.WARNING,
        f"{path}: gate=0.7, quorum_heads=5",
    )
    for text in ("{", "[]", '{"params": 1}', '{"params": {"buy": 1}}'):
        path.write_text(text)
        assert worst(sound, "parameter file").level is Level.PROBLEM, text


def test_an_old_copy_of_the_strategy_is_found(sound, tmp_path):
    other = tmp_path / "quorum_strategy.py"
    other.write_text("class Quorum: new = True\n")
    assert worst(replace(sound, shipped_strategy=other), "strategy file").level is Level.WARNING


@pytest.mark.parametrize(
    ("check", "changes", "level"),
    [
        ("trading mode", {"trading_mode": "spot"}, Level.PROBLEM),
        ("trading mode", {"margin_mode": "cross"}, Level.PROBLEM),
        ("trading mode", {"exchange__pair_whitelist": ["BTC/USDT"]}, Level.PROBLEM),
        ("initial state", {}, Level.HINT),
        ("initial state", {"initial_state": "running"}, Level.OK),
        ("stake currency", {"stake_currency": "USDC"}, Level.PROBLEM),
        ("stake currency", {"exchange__pair_whitelist": []}, Level.HINT),
        ("stake amount", {"stake_amount": 100}, Level.HINT),
        ("order book", {"entry_pricing": {"price_side": "same"}}, Level.PROBLEM),
        ("order book", {"exit_pricing__price_side": "same"}, Level.HINT),
        ("custom prices", {"custom_price_max_distance_ratio": 0.14}, Level.PROBLEM),
        ("custom prices", {"custom_price_max_distance_ratio": 0.16}, Level.OK),
        ("open trades", {"max_open_trades": 0}, Level.PROBLEM),
        ("open trades", {"max_open_trades": -1}, Level.HINT),
        ("smallest order", {"dry_run_wallet": 100}, Level.PROBLEM),
        ("smallest order", {"dry_run_wallet": 400}, Level.WARNING),
        ("smallest order", {"dry_run_wallet": {"USDT": 1000}}, Level.OK),
        ("smallest order", {"dry_run": False}, Level.HINT),
        ("smallest order", {"dry_run": False, "available_capital": 100}, Level.PROBLEM),
        ("keys", {"dry_run": False}, Level.PROBLEM),
        ("api server", {"api_server": {"enabled": True}}, Level.PROBLEM),
    ],
)
def test_a_configured_value_is_judged(sound, check, changes, level):
    assert worst(changed(sound, **changes), check).level is level


def test_a_missing_ratio_is_the_hosts_small_one(sound):
    config = {k: v for k, v in CONFIG.items() if k != "custom_price_max_distance_ratio"}
    finding = worst(replace(sound, config=config), "custom prices")
    assert finding.level is Level.PROBLEM
    assert "further than 2%" in finding.what


@pytest.mark.parametrize(
    ("types", "level"),
    [
        ({"exit": "market"}, Level.PROBLEM),
        ({"entry": "market"}, Level.WARNING),
        ({"stoploss": "limit"}, Level.WARNING),
        ({"stoploss_on_exchange": True}, Level.OK),
    ],
)
def test_order_types_are_judged(sound, types, level):
    values = {**sound.strategy.values, "order_types": {**CONFIG["order_types"], **types}}
    setup = replace(sound, strategy=replace(sound.strategy, values=values))
    assert worst(setup, "order types").level is level


def test_a_stop_at_a_spot_exchange_is_named_with_what_it_costs_and_never_advised(sound):
    def judged(at_exchange: bool) -> list[Finding]:
        types = {**CONFIG["order_types"], "stoploss_on_exchange": at_exchange, "stoploss": "limit"}
        values = {**sound.strategy.values, "order_types": types}
        spot = changed(sound, trading_mode="spot", dry_run=False)
        spot = replace(spot, strategy=replace(sound.strategy, values=values))
        return [f for f in examine(spot) if f.check == "order types"]

    (warning,) = [f for f in judged(True) if f.level is Level.WARNING]
    assert "holds the coins" in warning.what
    assert not [f for f in judged(False) if '"stoploss_on_exchange": true' in (f.fix or "")]


def test_guards_without_their_reference_are_told_to_be_blind(sound):
    assert worst(sound, "guards").level is Level.OK
    named = load_settings({"guards": {"system": {"reference": "SOL"}}})
    assert worst(replace(sound, settings=named), "guards").level is Level.PROBLEM
    silent = replace(sound, exchange=None, settings=named)
    there = Span(PAIRS[0], "context SOL", "1h", "futures", 100, 0.0, HOUR)
    for rows, level in ((0, Level.WARNING), (100, Level.OK)):
        found = replace(silent, series=(*sound.series, there._replace(rows=rows)))
        assert worst(found, "guards").level is level
    off = replace(sound, settings=load_settings({"guards": {"preset": "off"}}))
    assert worst(off, "guards").level is Level.HINT


def test_stops_that_only_the_bot_holds_are_worse_with_real_money(sound):
    assert worst(sound, "order types").level is Level.HINT
    assert worst(changed(sound, dry_run=False), "order types").level is Level.WARNING


def test_the_exchanges_own_smallest_order_counts(sound):
    setup = replace(sound, exchange=Answers(orders={PAIRS[0]: 4000.0, PAIRS[1]: 2000.0}))
    findings = {f.level: f for f in examine(setup, ["smallest order"])}
    assert f"{PAIRS[0]} 4000" in findings[Level.PROBLEM].where
    assert f"{PAIRS[1]} 2000" in findings[Level.WARNING].where


@pytest.mark.parametrize(
    ("series", "check", "level", "named"),
    [
        (spans(base=1), "candles", Level.PROBLEM, PAIRS[0]),
        (spans(base=2), "candles", Level.HINT, "none of these pairs"),
        (spans(rows=1400), "candles", Level.PROBLEM, "1400"),
        (spans(rows=1401), "candles", Level.OK, ""),
        (spans(higher_4h=1), "informative candles", Level.WARNING, PAIRS[0]),
        (spans(premium_index=2), "informative candles", Level.HINT, PAIRS[1]),
        (spans(universe_SOL=2), "informative candles", Level.HINT, "universe SOL"),
    ],
)
def test_missing_candles_are_named(sound, series, check, level, named):
    finding = worst(replace(sound, series=series), check)
    assert finding.level is level
    assert named in finding.where
    if level is not Level.OK:
        assert finding.fix.startswith("freqtrade download-data") or named == "1400"


def test_a_series_that_ends_before_the_candles_is_named(sound):
    series = list(spans())
    short = next(i for i, span in enumerate(series) if span.role == "mark")
    series[short] = series[short]._replace(last=100 * HOUR)
    finding = worst(replace(sound, series=tuple(series)), "informative candles")
    assert finding.level is Level.HINT
    assert f"mark of {PAIRS[0]}" in finding.where
