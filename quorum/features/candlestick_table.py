"""The 61 candlestick patterns of TA-Lib: what each is made of and what it means.

Roles follow Nison, *Japanese Candlestick Charting Techniques*, and Morris, *Candlestick Charting
Explained*: a reversal is only one after a move it can reverse, a continuation only one inside
the move it continues. TA-Lib checks neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import talib

#: Roles: what the price must have done before the pattern.
ANY, REVERSAL, CONTINUATION = 0, 1, 2
#: Sorts of penetration parameter.
NO_PENETRATION, STAR, CLOUD = 0, 1, 2


class Pattern(NamedTuple):
    """One candlestick pattern.

    Attributes
    ----------
    name : str
    function : callable
        The TA-Lib function.
    candles : int
        Candles the pattern is made of; the prior trend is read before them.
    role : int
        ``REVERSAL``, ``CONTINUATION`` or ``ANY``.
    group : str
        The reason code it is reported under.
    one_sided : bool
        TA-Lib knows neither the other direction (or colour) nor, under another name, an exact
        mirror image (as of the morning star in the evening star); it is read from the mirrored
        candles.
    penetration : int
        Which penetration setting the function takes.
    """

    name: str
    function: Callable[..., Any]
    candles: int
    role: int
    group: str
    one_sided: bool = False
    penetration: int = NO_PENETRATION


PATTERNS: tuple[Pattern, ...] = (
    Pattern("engulfing", talib.CDLENGULFING, 2, REVERSAL, "engulfing"),
    Pattern("hammer", talib.CDLHAMMER, 1, REVERSAL, "pin_bar", True),
    Pattern("shooting_star", talib.CDLSHOOTINGSTAR, 1, REVERSAL, "pin_bar", True),
    Pattern("takuri", talib.CDLTAKURI, 1, REVERSAL, "pin_bar", True),
    Pattern("dragonfly_doji", talib.CDLDRAGONFLYDOJI, 1, REVERSAL, "pin_bar"),
    Pattern("gravestone_doji", talib.CDLGRAVESTONEDOJI, 1, REVERSAL, "pin_bar"),
    Pattern("inverted_hammer", talib.CDLINVERTEDHAMMER, 1, REVERSAL, "inverted_pin", True),
    Pattern("hanging_man", talib.CDLHANGINGMAN, 1, REVERSAL, "inverted_pin", True),
    Pattern("morning_star", talib.CDLMORNINGSTAR, 3, REVERSAL, "star", False, STAR),
    Pattern("evening_star", talib.CDLEVENINGSTAR, 3, REVERSAL, "star", False, STAR),
    Pattern("morning_doji_star", talib.CDLMORNINGDOJISTAR, 3, REVERSAL, "star", False, STAR),
    Pattern("evening_doji_star", talib.CDLEVENINGDOJISTAR, 3, REVERSAL, "star", False, STAR),
    Pattern("abandoned_baby", talib.CDLABANDONEDBABY, 3, REVERSAL, "abandoned_baby", False, STAR),
    Pattern("three_white_soldiers", talib.CDL3WHITESOLDIERS, 3, REVERSAL, "soldiers_crows", True),
    Pattern("three_black_crows", talib.CDL3BLACKCROWS, 3, REVERSAL, "soldiers_crows", True),
    Pattern("identical_three_crows", talib.CDLIDENTICAL3CROWS, 3, REVERSAL, "soldiers_crows", True),
    Pattern("piercing", talib.CDLPIERCING, 2, REVERSAL, "piercing_cloud", True),
    Pattern("dark_cloud", talib.CDLDARKCLOUDCOVER, 2, REVERSAL, "piercing_cloud", True, CLOUD),
    Pattern("harami", talib.CDLHARAMI, 2, REVERSAL, "harami"),
    Pattern("harami_cross", talib.CDLHARAMICROSS, 2, REVERSAL, "harami"),
    Pattern("homing_pigeon", talib.CDLHOMINGPIGEON, 2, REVERSAL, "harami", True),
    Pattern("three_inside", talib.CDL3INSIDE, 3, REVERSAL, "three_inside_outside"),
    Pattern("three_outside", talib.CDL3OUTSIDE, 3, REVERSAL, "three_inside_outside"),
    Pattern("kicking", talib.CDLKICKING, 2, ANY, "kicking"),
    Pattern("kicking_by_length", talib.CDLKICKINGBYLENGTH, 2, ANY, "kicking"),
    Pattern("marubozu", talib.CDLMARUBOZU, 1, ANY, "marubozu"),
    Pattern("closing_marubozu", talib.CDLCLOSINGMARUBOZU, 1, ANY, "marubozu"),
    Pattern("belt_hold", talib.CDLBELTHOLD, 1, REVERSAL, "marubozu"),
    Pattern("long_line", talib.CDLLONGLINE, 1, ANY, "marubozu"),
    Pattern("three_methods", talib.CDLRISEFALL3METHODS, 5, CONTINUATION, "three_methods"),
    Pattern("mat_hold", talib.CDLMATHOLD, 5, CONTINUATION, "three_methods", True, CLOUD),
    Pattern("three_line_strike", talib.CDL3LINESTRIKE, 4, CONTINUATION, "three_methods"),
    Pattern("tasuki_gap", talib.CDLTASUKIGAP, 3, CONTINUATION, "gap"),
    Pattern("gap_side_by_side", talib.CDLGAPSIDESIDEWHITE, 3, CONTINUATION, "gap", True),
    Pattern("gap_three_methods", talib.CDLXSIDEGAP3METHODS, 3, CONTINUATION, "gap"),
    Pattern("separating_lines", talib.CDLSEPARATINGLINES, 2, CONTINUATION, "meeting_lines"),
    Pattern("counterattack", talib.CDLCOUNTERATTACK, 2, REVERSAL, "meeting_lines"),
    Pattern("in_neck", talib.CDLINNECK, 2, CONTINUATION, "meeting_lines", True),
    Pattern("on_neck", talib.CDLONNECK, 2, CONTINUATION, "meeting_lines", True),
    Pattern("thrusting", talib.CDLTHRUSTING, 2, CONTINUATION, "meeting_lines", True),
    Pattern("matching_low", talib.CDLMATCHINGLOW, 2, REVERSAL, "tweezers", True),
    Pattern("stick_sandwich", talib.CDLSTICKSANDWICH, 3, REVERSAL, "tweezers", True),
    Pattern("hikkake", talib.CDLHIKKAKE, 3, ANY, "hikkake"),
    Pattern("hikkake_modified", talib.CDLHIKKAKEMOD, 4, ANY, "hikkake"),
    Pattern("two_crows", talib.CDL2CROWS, 3, REVERSAL, "fading", True),
    Pattern("upside_gap_two_crows", talib.CDLUPSIDEGAP2CROWS, 3, REVERSAL, "fading", True),
    Pattern("advance_block", talib.CDLADVANCEBLOCK, 3, REVERSAL, "fading", True),
    Pattern("stalled", talib.CDLSTALLEDPATTERN, 3, REVERSAL, "fading", True),
    Pattern("three_stars_in_south", talib.CDL3STARSINSOUTH, 3, REVERSAL, "exhaustion", True),
    Pattern("concealing_swallow", talib.CDLCONCEALBABYSWALL, 4, REVERSAL, "exhaustion", True),
    Pattern("ladder_bottom", talib.CDLLADDERBOTTOM, 5, REVERSAL, "exhaustion", True),
    Pattern("unique_three_river", talib.CDLUNIQUE3RIVER, 3, REVERSAL, "exhaustion", True),
    Pattern("breakaway", talib.CDLBREAKAWAY, 5, REVERSAL, "exhaustion"),
    Pattern("tristar", talib.CDLTRISTAR, 3, REVERSAL, "doji"),
    Pattern("doji_star", talib.CDLDOJISTAR, 2, REVERSAL, "doji"),
    Pattern("doji", talib.CDLDOJI, 1, REVERSAL, "doji"),
    Pattern("long_legged_doji", talib.CDLLONGLEGGEDDOJI, 1, REVERSAL, "doji"),
    Pattern("rickshaw_man", talib.CDLRICKSHAWMAN, 1, REVERSAL, "doji"),
    Pattern("high_wave", talib.CDLHIGHWAVE, 1, REVERSAL, "doji"),
    Pattern("spinning_top", talib.CDLSPINNINGTOP, 1, REVERSAL, "doji"),
    Pattern("short_line", talib.CDLSHORTLINE, 1, REVERSAL, "doji"),
)
NAMES: tuple[str, ...] = tuple(p.name for p in PATTERNS)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(p.group for p in PATTERNS))

#: What a one-sided pattern is called where its mirror image has a name of its own.
_MIRROR = {
    "hammer": "shooting_star",
    "inverted_hammer": "hanging_man",
    "morning_star": "evening_star",
    "morning_doji_star": "evening_doji_star",
    "three_white_soldiers": "three_black_crows",
    "piercing": "dark_cloud",
    "dragonfly_doji": "gravestone_doji",
    "matching_low": "matching_high",
    "identical_three_crows": "identical_three_soldiers",
    "two_crows": "two_rabbits",
    "ladder_bottom": "ladder_top",
    "gap_side_by_side": "gap_side_by_side",
}
_UPSIDE_DOWN = {**_MIRROR, **{bear: bull for bull, bear in _MIRROR.items()}}
#: The patterns that are bearish as TA-Lib draws them.
_BEARISH = frozenset(
    {
        "shooting_star",
        "gravestone_doji",
        "hanging_man",
        "evening_star",
        "evening_doji_star",
        "three_black_crows",
        "identical_three_crows",
        "dark_cloud",
        "in_neck",
        "on_neck",
        "thrusting",
        "two_crows",
        "upside_gap_two_crows",
        "advance_block",
        "stalled",
    }
)


def drawn_direction(pattern: Pattern) -> int:
    """Return which way a pattern points as TA-Lib draws it (0: it draws both ways)."""
    if pattern.name in _BEARISH:
        return -1
    return 1 if pattern.one_sided or pattern.name in _UPSIDE_DOWN else 0


def candlestick_name(code: int, direction: int) -> str:
    """Return the name of a ``candlestick_*_code`` (1 is the first of :data:`PATTERNS`).

    >>> candlestick_name(2, 1), candlestick_name(2, -1)
    ('hammer', 'shooting_star')
    """
    if code <= 0:
        return ""
    pattern = PATTERNS[code - 1]
    native = drawn_direction(pattern)
    if native == 0 or native == direction:
        return pattern.name
    return _UPSIDE_DOWN.get(pattern.name, f"inverse_{pattern.name}")
