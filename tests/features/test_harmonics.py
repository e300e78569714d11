from __future__ import annotations

import numpy as np
import pytest
from leg_markets import Drawing, own_features, start_at

from quorum.features.harmonic_patterns import PATTERN_NAMES, PATTERNS, ratio_table
from quorum.features.harmonics import HarmonicConstants
from quorum.features.table import Features
from quorum.market import Market

# X = 100 and A = 200 make every ratio readable; then B, C and D as the books draw them.
PERFECT = {
    "gartley": (138.2, 169.1, 121.4),
    "bat": (155.0, 186.5, 111.4),
    "butterfly": (121.4, 176.42, 73.0),
    "crab": (145.0, 189.0, 38.2),
    "deep_crab": (111.4, 164.56, 38.2),
    "shark": (150.0, 215.0, 100.0),
    "cypher": (150.0, 230.0, 127.82),
}
MIRROR = 400.0


def drawn(x: float, a: float, b: float, c: float, d: float) -> Drawing:
    """Draw a bullish pattern; its last but four candles reach D, the last four reject it."""
    drawing = start_at(x + 60)
    for price in (x, a, b, c, d):
        drawing.leg(price, 12)
    return drawing.leg(d + 12, 4)


def features_of(drawing: Drawing, **settings: object) -> tuple[Market, Features]:
    market = drawing.market()
    return market, own_features(market, atr=5.0, harmonics=HarmonicConstants(**settings))


def completion(out: Features) -> int:
    """Row of the one completed pattern."""
    rows = np.flatnonzero(out["harmonic_age"] == 0)
    assert len(rows) == 1
    return int(rows[0])


@pytest.mark.parametrize("name", PERFECT)
def test_a_perfect_pattern_completes_on_the_candle_that_rejects_d(name: str) -> None:
    market, out = features_of(drawn(100, 200, *PERFECT[name]))
    row = completion(out)
    assert row == len(market) - 4
    assert PATTERN_NAMES[int(out["harmonic_pattern"][row]) - 1] == name
    assert out["harmonic_direction"][row] == 1
    assert out["harmonic_error"][row] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", PERFECT)
def test_the_mirror_image_of_a_pattern_is_bearish(name: str) -> None:
    _, up = features_of(drawn(100, 200, *PERFECT[name]))
    _, down = features_of(drawn(100, 200, *PERFECT[name]).mirrored(MIRROR))
    row = completion(down)
    assert row == completion(up)
    assert down["harmonic_direction"][row] == -1
    assert down["harmonic_pattern"][row] == up["harmonic_pattern"][row]
    for price in ("stop", "target", "target_2"):
        column = f"harmonic_{price}"
        assert down[column][row] == pytest.approx(MIRROR - up[column][row])


@pytest.mark.parametrize(("mirror", "direction"), [(False, 1), (True, -1)])
def test_a_perfect_abcd_needs_no_x(mirror: bool, direction: int) -> None:
    drawing = drawn(150, 200, 100, 161.8, 61.8)
    _, out = features_of(drawing.mirrored(MIRROR) if mirror else drawing)
    row = completion(out)
    assert PATTERN_NAMES[int(out["harmonic_pattern"][row]) - 1] == "abcd"
    assert out["harmonic_direction"][row] == direction
    assert out["harmonic_error"][row] == pytest.approx(0, abs=1e-3)


def test_a_broken_ratio_completes_nothing() -> None:
    # B at 0.70 of XA is too deep for a Gartley and too shallow for a butterfly.
    _, out = features_of(drawn(100, 200, 130.0, 160.0, 121.4))
    assert not out["harmonic_direction"].any()
    assert not (out["harmonic_setup"] == 1).any()


def test_a_ratio_at_half_the_tolerance_makes_half_an_error() -> None:
    tolerance = HarmonicConstants().tolerance
    b = 200 - 61.8 * (1 + tolerance / 2)
    _, out = features_of(drawn(100, 200, b, b + 0.5 * (200 - b), 121.4))
    # One of the four ratios is off by half the tolerance.
    assert out["harmonic_error"][completion(out)] == pytest.approx(0.5 / 4, abs=1e-6)


def test_price_through_the_zone_ends_the_setup() -> None:
    x, a = 100.0, 200.0
    b, c, _ = PERFECT["gartley"]
    _, out = features_of(drawn(x, a, b, c, 100.0), patterns=("gartley",))
    assert out["harmonic_setup"].any()
    assert out["harmonic_setup"][-5:].tolist() == [0.0] * 5
    assert not out["harmonic_direction"].any()


def test_the_waiting_zone_is_where_the_projections_overlap() -> None:
    b, c, d = PERFECT["gartley"]
    _, out = features_of(drawn(100, 200, b, c, d), patterns=("gartley",), tolerance=0.05)
    waits = np.flatnonzero(out["harmonic_setup"] == 1)
    # C (row 48) is confirmed by the third candle after it on the strongest of the scales.
    assert waits[0] == 48 + 3
    near, far = out["harmonic_prz_near"][waits[0]], out["harmonic_prz_far"][waits[0]]
    assert near == pytest.approx(200 - 78.6 * 0.95)
    assert far == pytest.approx(max(200 - 78.6 * 1.05, c - 1.618 * 1.05 * (c - b)))
    assert far < d < near


def test_a_live_pattern_ends_at_its_first_target() -> None:
    b, c, d = PERFECT["gartley"]
    target = d + 0.382 * (200 - d)
    _, out = features_of(drawn(100, 200, b, c, d).leg(target + 5, 4))
    live = out["harmonic_direction"] == 1
    assert live[completion(out)]
    assert not live[-1]


def test_a_live_pattern_ends_at_its_stop() -> None:
    b, c, d = PERFECT["gartley"]
    _, out = features_of(drawn(100, 200, b, c, d).leg(d - 20, 4))
    row = completion(out)
    assert out["harmonic_stop"][row] < d
    assert out["harmonic_direction"][-1] == 0


def test_a_live_pattern_ends_after_the_hold() -> None:
    b, c, d = PERFECT["gartley"]
    quiet = drawn(100, 200, b, c, d).leg(d + 12, 30)
    _, out = features_of(quiet, hold=7)
    assert (out["harmonic_direction"] == 1).sum() == 8


def test_equal_legs_confirm_a_pattern() -> None:
    # C is placed so that CD is as long as AB.
    b = 138.2
    c = 121.4 + (200 - b)
    _, out = features_of(drawn(100, 200, b, c, 121.4), patterns=("gartley",))
    assert out["harmonic_confluence"][completion(out)] == 1


def test_only_wanted_patterns_are_found() -> None:
    _, out = features_of(drawn(100, 200, *PERFECT["crab"]), patterns=("gartley", "cypher"))
    assert not out["harmonic_pattern"].any()
    assert np.isnan(ratio_table(("crab",))[[p.name != "crab" for p in PATTERNS]]).all()


def test_level_swings_are_no_error() -> None:
    # A high of 100 is followed by rising lows, a gap and then one dip: a swing low of 100.
    drawing = start_at(130).leg(90, 12).leg(99.5, 10).bar(99.5, 100, 99.5, 99.8, 1.0)
    for i in range(6):
        drawing.bar(99.8, 99.9, 99.6 + 0.03 * i, 99.85, 1.0)
    for i in range(6):
        drawing.bar(102 + i, 103 + i, 101 + i, 102 + i, 1.0)
    drawing.bar(108, 110, 100, 109, 1.0).leg(130, 8).leg(110, 12)
    _, out = features_of(drawing, min_leg=0.0)
    swings = out.swings["base"]
    newest = swings.chain[swings.event[-1], :4]
    assert swings.price[newest].tolist() == [130.0, 100.0, 100.0, 90.0]
    assert not out["harmonic_setup"][swings.confirmed[newest[0]] :].any()


def test_columns_of_every_prefix_equal_those_of_the_whole(market: Market) -> None:
    whole = own_features(market, np.ones(len(market)))
    names = [n for n in whole if n.startswith("harmonic")]
    assert (whole["harmonic_age"] == 0).any()
    for n in np.random.default_rng(5).integers(20, len(market), 12):
        part = own_features(market.head(int(n)), np.ones(int(n)))
        for name in names:
            np.testing.assert_array_equal(part[name], whole[name][:n], err_msg=name)
