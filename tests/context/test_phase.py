"""Market phases on universes whose drifts are known, their mirror images, what they do (T3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluations import varied
from markets import START, candle_frame
from regime_markets import daily, phase_market, sideways

from quorum.candles import DAY_MS, candles_from_frame
from quorum.context.base import Effect
from quorum.context.phase import (
    MarketPhase,
    Phase,
    PhaseSettings,
    coded_name,
    market_breadth,
    name_code,
)
from quorum.features.table import Features
from quorum.market import Frames, Market, build_market

#: Log drift per day of each coin.
TO_ALTS = {"BTC": 0.002, "ETH": 0.01, "SOL": 0.012, "BNB": 0.008, "XRP": 0.01, "ADA": 0.011}
FROM_ALTS = {name: -drift for name, drift in TO_ALTS.items()}
AMONG_ALTS = {
    "BTC": 0.0,
    "ETH": 0.009,
    "SOL": 0.02,
    "BNB": -0.01,
    "XRP": -0.011,
    "ADA": 0.01,
    "DOT": -0.02,
}


def columns_of(market: Market, settings: PhaseSettings | None = None) -> dict[str, np.ndarray]:
    return Phase(settings).columns(market, Features(len(market)))


#: The specification refuses; by default the gate is off.
GATED = PhaseSettings(gate=True)


def last(columns: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values[-1]) for name, values in columns.items()}


def walking_market(base: str = "SOL", days: int = 130) -> Market:
    """Return a pair in a universe of random walks, one of them listed late."""
    n = 24 * days
    universe = {
        name: candles_from_frame(candle_frame(days, seed=i, timeframe="1d"), "1d")
        for i, name in enumerate(("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOT", "LINK"))
    }
    universe["DOT"] = universe["DOT"].tail(40)
    frames = Frames(base=candle_frame(n, seed=50), universe=universe)
    return build_market(f"{base}/USDT:USDT", "1h", frames)


@pytest.mark.parametrize(
    ("drifts", "phase"),
    [
        (TO_ALTS, MarketPhase.RISK_ON),
        (FROM_ALTS, MarketPhase.RISK_OFF),
        (AMONG_ALTS, MarketPhase.ROTATION),
    ],
)
def test_drifts_of_one_kind_are_read_as_that_phase(drifts, phase):
    assert last(columns_of(phase_market("SOL", drifts)))["phase"] == phase


def test_ether_that_gets_nowhere_against_bitcoin_is_uncertain():
    bitcoin = daily(0.002)
    market = phase_market("SOL", TO_ALTS, BTC=bitcoin, ETH=sideways(bitcoin))
    row = last(columns_of(market))
    assert row["phase"] == MarketPhase.UNCERTAIN
    assert abs(row["phase_eth_btc"]) < 0.25


@pytest.mark.parametrize(
    ("drifts", "phase"),
    [
        (TO_ALTS, MarketPhase.RISK_OFF),
        (FROM_ALTS, MarketPhase.RISK_ON),
        (AMONG_ALTS, MarketPhase.ROTATION),
    ],
)
@pytest.mark.parametrize("base", ["SOL", "ADA", "BTC"])
def test_the_mirror_image_is_the_opposite_phase_with_the_opposite_leader(drifts, phase, base):
    row = last(columns_of(phase_market(base, drifts)))
    mirror = last(columns_of(phase_market(base, drifts, mirror=True)))
    assert mirror["phase"] == phase
    assert mirror["phase_leader"] == -row["phase_leader"]
    assert mirror["phase_eth_btc"] == pytest.approx(-row["phase_eth_btc"], abs=1e-6)
    assert mirror["phase_breadth"] == pytest.approx(1 - row["phase_breadth"])


def test_breadth_is_the_share_of_alts_ahead_of_bitcoin():
    row = last(columns_of(phase_market("SOL", AMONG_ALTS)))
    assert row["phase_breadth"] == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("base", "leader", "alt"),
    [("SOL", 1, 1), ("DOT", -1, 1), ("ETH", 0, 1), ("BTC", 0, 0)],
)
def test_the_leader_is_the_strongest_coin_and_the_laggard_its_opposite(base, leader, alt):
    row = last(columns_of(phase_market(base, AMONG_ALTS)))
    assert (row["phase_leader"], row["phase_alt"]) == (leader, alt)


def test_bitcoin_leads_when_no_alt_is_ahead_of_it():
    row = last(columns_of(phase_market("BTC", {**FROM_ALTS, "BTC": 0.01})))
    assert row["phase_leader"] == 1


def test_more_than_one_leader_can_be_counted():
    three = varied(PhaseSettings, leaders=3)
    sides = [
        last(columns_of(phase_market(base, AMONG_ALTS), three))["phase_leader"]
        for base in AMONG_ALTS
    ]
    assert dict(zip(AMONG_ALTS, sides, strict=True)) == {
        "BTC": 0,
        "ETH": 1,
        "SOL": 1,
        "BNB": -1,
        "XRP": -1,
        "ADA": 1,
        "DOT": -1,
    }


def test_a_pair_outside_the_universe_is_ranked_by_its_own_days():
    market = phase_market("ATOM", AMONG_ALTS)
    own = market.higher["1d"]
    days = daily(0.05, days=len(own.candles), seed=30)
    strong = replace(own, candles=replace(days, time=own.candles.time))
    ranked = replace(market, higher={"1d": strong})
    assert last(columns_of(market))["phase_leader"] == 0
    assert last(columns_of(ranked))["phase_leader"] == 1


def test_a_leader_that_cannot_be_ranked_is_unknown_and_not_refused():
    market = replace(phase_market("ATOM", AMONG_ALTS), higher={})
    row = last(columns_of(market))
    assert (row["phase"], np.isnan(row["phase_leader"])) == (MarketPhase.ROTATION, True)
    assert Phase().effect(row, 1).veto is None


def test_a_day_counts_once_it_has_closed_and_until_it_is_too_old():
    market = phase_market("SOL", TO_ALTS)
    later = daily(0.0, days=60)
    # Without the universe's last day, the day before it is what is known.
    short = replace(
        market, universe={name: c.head(len(later) - 1) for name, c in market.universe.items()}
    )
    whole, cut = columns_of(market), columns_of(short)
    at = int(np.searchsorted(market.close_time, later.close_time[-2]))
    hours = slice(at, at + 24)
    np.testing.assert_array_equal(whole["phase_eth_btc"][hours], cut["phase_eth_btc"][hours])
    # Every value holds from the close of one day to just before the close of the next.
    assert len(set(whole["phase_eth_btc"][at : at + 24])) == 1
    assert whole["phase_eth_btc"][at] != whole["phase_eth_btc"][at - 1]
    old = columns_of(short, PhaseSettings(max_age=12))
    assert np.isfinite(old["phase"][at : at + 13]).all()
    assert np.isnan(old["phase"][at + 13 : at + 24]).all()


def test_a_prefix_of_the_market_gives_the_prefix_of_the_phases():
    market = walking_market()
    whole = columns_of(market)
    assert np.isfinite(whole["phase"]).mean() > 0.6
    assert len(set(whole["phase"][np.isfinite(whole["phase"])])) > 2
    for n in (1, 23, 24, 863, 864, 1999, 2000, 3119):
        for name, values in columns_of(market.head(n)).items():
            np.testing.assert_array_equal(values, whole[name][:n], err_msg=f"{name} at {n}")


def test_phases_do_not_depend_on_where_the_history_starts():
    market = walking_market()
    whole, late = columns_of(market), columns_of(market.since(1600))
    for name, values in late.items():
        np.testing.assert_array_equal(values, whole[name][1600:], err_msg=name)
    start = int(market.universe["BTC"].time[60])
    cut = replace(
        market,
        universe={
            name: c.tail(int(np.searchsorted(c.time, start))) for name, c in market.universe.items()
        },
    )
    for name, values in columns_of(cut).items():
        np.testing.assert_array_equal(values[-500:], whole[name][-500:], err_msg=name)


def test_a_universe_missing_or_without_bitcoin_or_ether_is_unknown():
    market = walking_market()
    for dropped in (set(market.universe), {"BTC"}, {"ETH"}):
        kept = {name: c for name, c in market.universe.items() if name not in dropped}
        columns = columns_of(replace(market, universe=kept))
        assert tuple(columns) == Phase.published
        assert all(np.isnan(values).all() for values in columns.values())
        assert Phase().effect(last(columns), 1) == Effect()


def test_too_few_coins_have_no_phase():
    four = {name: TO_ALTS[name] for name in ("BTC", "ETH", "SOL", "BNB", "XRP")}
    market = phase_market("SOL", four)
    row = last(columns_of(market))
    assert np.isnan(row["phase"])
    assert np.isnan(row["phase_breadth"])
    assert Phase().effect(row, 1) == Effect()
    few = varied(PhaseSettings, min_coins=4)
    assert last(columns_of(market, few))["phase"] == MarketPhase.RISK_ON


def test_a_coin_listed_late_counts_from_its_thirtieth_day():
    market = phase_market("SOL", {**TO_ALTS, "DOT": -0.05})
    late = replace(market, universe={**market.universe, "DOT": market.universe["DOT"].tail(20)})
    reading = market_breadth(late.universe, varied(PhaseSettings, smooth=1))
    assert reading is not None
    # Days 30-49: five alts, all ahead; from day 50 on there is a sixth, far behind.
    assert (reading.breadth[40:50] == 1).all()
    np.testing.assert_allclose(reading.breadth[50:], 5 / 6)


def test_a_day_without_trade_makes_no_return():
    market = phase_market("SOL", TO_ALTS)
    candles = market.universe["ADA"]
    volume = candles.volume.copy()
    volume[-1] = 0.0
    untraded = {**market.universe, "ADA": replace(candles, volume=volume)}
    reading = market_breadth(untraded, varied(PhaseSettings, smooth=1))
    assert reading is not None
    assert np.isnan(reading.phase[-1])
    assert np.isfinite(reading.phase[-2])


def test_an_empty_market_and_an_empty_universe_are_unknown():
    market = walking_market()
    assert all(values.shape == (0,) for values in columns_of(market.head(0)).values())
    empty = {name: c.head(0) for name, c in market.universe.items()}
    assert np.isnan(columns_of(replace(market, universe=empty))["phase"]).all()
    one = {name: c.head(1) for name, c in market.universe.items()}
    assert np.isnan(columns_of(replace(market, universe=one))["phase"]).all()


def test_a_missing_day_is_never_replaced_by_its_neighbour():
    market = phase_market("SOL", TO_ALTS)
    ether = market.universe["ETH"]
    gap = np.arange(len(ether)) != 20
    patched = {
        "ETH": replace(
            ether,
            **{k: getattr(ether, k)[gap] for k in ("time", "open", "high", "low", "close")},
            volume=ether.volume[gap],
        )
    }
    row = last(columns_of(replace(market, universe={**market.universe, **patched})))
    assert row["phase_eth_btc"] == last(columns_of(market))["phase_eth_btc"]
    assert int(ether.time[1] - ether.time[0]) == DAY_MS
    assert ether.time[0] == START.value // 10**6


def row_of(phase: MarketPhase, *, alt: bool, leader: float = 0.0) -> dict[str, float]:
    row = dict.fromkeys(Phase.published, 0.0)
    return {**row, "phase": float(phase), "phase_alt": float(alt), "phase_leader": leader}


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("phase", "alt", "reasons", "veto"),
    [
        (MarketPhase.RISK_ON, True, {"phase_risk_on": 0.65}, None),
        (MarketPhase.RISK_ON, False, {"phase_risk_on": 0.65}, None),
        (MarketPhase.RISK_OFF, True, {}, "risk_off_alt"),
        (MarketPhase.RISK_OFF, False, {"phase_risk_off": 0.45}, None),
        (MarketPhase.UNCERTAIN, True, {}, "uncertain_alt"),
        (MarketPhase.UNCERTAIN, False, {}, None),
    ],
)
def test_each_phase_does_what_the_specification_says(direction, phase, alt, reasons, veto):
    effect = Phase(GATED).effect(row_of(phase, alt=alt), direction)
    assert (dict(effect.reasons), effect.veto, effect.confidence) == (reasons, veto, 1.0)
    assert effect.facts["market_phase"] == phase.name.lower()


@pytest.mark.parametrize("alt", [True, False])
@pytest.mark.parametrize(
    ("leader", "direction", "veto"),
    [
        (1, 1, None),
        (0, 1, "not_the_leader"),
        (-1, 1, "not_the_leader"),
        (-1, -1, None),
        (0, -1, "not_the_leader"),
        (1, -1, "not_the_leader"),
    ],
)
def test_a_rotation_is_traded_in_its_leader_alone(alt, leader, direction, veto):
    effect = Phase(GATED).effect(row_of(MarketPhase.ROTATION, alt=alt, leader=leader), direction)
    assert (dict(effect.reasons), effect.veto) == ({}, veto)


def test_without_the_gate_what_the_phase_forbids_is_sized_down():
    effect = Phase().effect(row_of(MarketPhase.RISK_OFF, alt=True), 1)
    assert (dict(effect.reasons), effect.veto) == ({"risk_off_alt": 0.45}, None)
    allowed = Phase().effect(row_of(MarketPhase.ROTATION, alt=True, leader=1), 1)
    assert dict(allowed.reasons) == {}


def test_only_risk_on_asks_for_tighter_stops():
    factors = {
        phase: Phase().effect(row_of(phase, alt=False, leader=1), 1).facts.get("stop_factor")
        for phase in MarketPhase
    }
    assert factors == {**dict.fromkeys(MarketPhase), MarketPhase.RISK_ON: 0.8}


def test_the_leader_is_named_and_what_is_to_be_done_is_said():
    row = last(columns_of(phase_market("SOL", AMONG_ALTS)))
    facts = Phase(GATED).effect(row, 1).facts
    assert facts["market_leader"] == "SOL"
    assert facts["phase_action"] == "enter"
    assert Phase(GATED).effect(row, -1).facts["phase_action"] == "stay out"
    assert Phase().effect(row, -1).facts["phase_action"] == "enter smaller"
    assert 0.5 <= facts["phase_confidence"] <= 1.0


@pytest.mark.parametrize("name", ["BTC", "1000PEPE", "A", "1INCH"])
def test_a_name_survives_being_a_number(name):
    assert coded_name(name_code(name)) == name


@pytest.mark.parametrize("name", ["", "币安人生", "VERYLONGNAMES", "a-b"])
def test_a_name_that_is_no_number_is_not_told(name):
    assert np.isnan(name_code(name))


def test_a_phase_is_the_clearer_the_further_ether_has_moved():
    s = PhaseSettings()
    sure = {
        z: Phase()._confidence(MarketPhase.RISK_ON, z * s.eth_btc) for z in (1.0, 1.5, 2.0, 5.0)
    }
    assert list(sure.values()) == [0.5, 0.75, 1.0, 1.0]
    assert Phase()._confidence(MarketPhase.UNCERTAIN, 0.0) == 1.0
    assert Phase()._confidence(MarketPhase.UNCERTAIN, -0.75 * s.eth_btc) == 0.25
