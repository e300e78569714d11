"""H9 crypto, its single readings: each says long, short or nothing, and how sure it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorum.features.cross_market import BITCOIN
from quorum.features.derivatives import CAPITULATION, NEW_LONGS, NEW_SHORTS, SHORT_COVERING
from quorum.features.series import held
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market
from quorum.typing import Bools, Floats


class CrowdConstants(NamedTuple):
    """Long/short ratio, premium and funding: a one-sided crowd pays for being there."""

    ratio_short: float = 3.0  # long/short ratio above which it is short [ratio]
    ratio_long: float = 0.33  # long/short ratio below which it is long [ratio]
    ratio_confidence: float = 0.85  # confidence of the ratio
    premium_short: float = 0.005  # perpetual premium above which it is short [fraction]
    premium_long: float = -0.003  # premium below which it is long [fraction]
    premium_confidence: float = 0.85  # confidence of the premium
    funding_z: float = 2.0  # funding z-score that is extreme [standard deviations]
    # longs are crowded only over this rate: the exchanges' interest part, which is paid in a quiet
    # market too [fraction per 8 h]
    funding_long_crowd: float = 1e-4
    funding_short_crowd: float = 0.0  # shorts are crowded only under this rate [fraction per 8 h]
    funding_confidence: float = 0.80  # confidence of funding


class PositionConstants(NamedTuple):
    """Open interest against price."""

    new_money_confidence: float = 0.75  # confidence of new longs and new shorts: go with them
    covering_confidence: float = 0.70  # confidence of short covering: a rise nobody buys, short
    # confidence of longs capitulating: sellers are done, long
    capitulation_confidence: float = 0.80
    unwind_z: float = 2.0  # fall of open interest both need [standard deviations]


class TradeFlowConstants(NamedTuple):
    """CVD divergence and taker flow."""

    divergence_confidence: float = 0.85  # confidence of a CVD divergence
    approximated: float = 0.92  # times that, where CVD is made of candle bodies only
    taker_long: float = 0.60  # taker buy share above which it is long [share]
    taker_short: float = 0.40  # taker buy share below which it is short [share]
    taker_confidence: float = 0.75  # confidence of taker flow


class SupplyConstants(NamedTuple):
    """Exchange reserves and the alt season."""

    reserves_confidence: float = 0.85  # confidence of reserves at a multi-year low: long
    netflow_z: float = 2.0  # netflow that is sharp [standard deviations]
    outflow_confidence: float = 0.75  # confidence of a sharp outflow: long
    inflow_confidence: float = 0.70  # confidence of a sharp inflow: short
    season_long: float = 75.0  # alt-season index above which alts are long [0-100]
    season_short: float = 25.0  # alt-season index below which alts are short [0-100]
    season_confidence: float = 0.80  # confidence of the season


class ReadingConstants(NamedTuple):
    """Thresholds and confidences of the readings."""

    crowd: CrowdConstants = CrowdConstants()
    position: PositionConstants = PositionConstants()
    flow: TradeFlowConstants = TradeFlowConstants()
    supply: SupplyConstants = SupplyConstants()
    hold: float = 6.0  # a reading stays alive after it ended [h]
    fade: float = 0.10  # share of its confidence it has lost by then


class Reading(NamedTuple):
    """One reading per candle.

    Attributes
    ----------
    name : str
    side : ndarray of shape (n_candles,), float64
        +1 long, -1 short, 0 nothing to say.
    confidence : ndarray of shape (n_candles,), float64
    known : ndarray of shape (n_candles,), bool
        Whether its source is there.
    background : bool
        Whether it describes a season rather than an event.
    long, short : str
        Reason codes ("" where that side does not exist).
    """

    name: str
    side: Floats
    confidence: Floats
    known: Bools
    background: bool
    long: str
    short: str


def _fading(code: Floats, hold: int, fade: float) -> tuple[Floats, Floats]:
    """Return a code held for ``hold`` candles, and the share of its confidence that is left."""
    kept, age = held(code, hold)
    return kept, 1 - fade * np.where(kept != 0, age / (hold + 1), 0.0)


def _between(values: Floats, low: float, high: float) -> Floats:
    """Return -1 above ``high``, +1 below ``low``, else 0 (NaN is 0): fade the extreme."""
    return (values < low).astype(np.float64) - (values > high)


_CODES = {
    "long_short_ratio": ("crowd_short", "crowd_long"),
    "premium": ("premium_low", "premium_high"),
    "funding": ("funding_low", "funding_high"),
    "taker": ("taker_buying", "taker_selling"),
    "netflow": ("exchange_outflow", "exchange_inflow"),
    "new_money": ("new_longs", "new_shorts"),
    "unwinding": ("capitulation", "short_covering"),
    "cvd_divergence": ("cvd_divergence_bull", "cvd_divergence_bear"),
    "reserves": ("reserves_low", ""),
    "alt_season": ("alt_season", "bitcoin_season"),
}
READING_CODES = tuple(code for pair in _CODES.values() for code in pair if code)


def _reading(
    name: str, source: Floats, side: Floats, confidence: Floats, background: bool = False
) -> Reading:
    # Nothing is held beyond the life of its source.
    known = np.isfinite(source)
    return Reading(name, np.where(known, side, 0.0), confidence, known, background, *_CODES[name])


def _crowd(features: Features, s: CrowdConstants) -> list[tuple[str, Floats, Floats, float]]:
    """Fade a crowd: name, source, side and confidence of ratio, premium and funding."""
    ratio, premium = features["long_short_ratio"], features["perp_premium"]
    zscore, rate = features["funding_z"], features["funding_rate"]
    longs = (zscore > s.funding_z) & (rate > s.funding_long_crowd)
    shorts = (zscore < -s.funding_z) & (rate < s.funding_short_crowd)
    funding = shorts.astype(np.float64) - longs
    by_ratio = _between(ratio, s.ratio_long, s.ratio_short)
    by_premium = _between(premium, s.premium_long, s.premium_short)
    return [
        ("long_short_ratio", ratio, by_ratio, s.ratio_confidence),
        ("premium", premium, by_premium, s.premium_confidence),
        ("funding", zscore, funding, s.funding_confidence),
    ]


def _events(features: Features, s: ReadingConstants, hold: int) -> list[Reading]:
    """Read what is an event as long as it stands, and for ``hold`` candles more."""
    share, netflow = features["taker_share"], features["exchange_netflow_z"]
    # Buyers who cross the spread are followed, coins that leave the exchanges are not for sale.
    taker = -_between(share, s.flow.taker_short, s.flow.taker_long)
    flow = _between(netflow, -s.supply.netflow_z, s.supply.netflow_z)
    readings = []
    for name, source, side, confidence in (
        *_crowd(features, s.crowd),
        ("taker", share, taker, s.flow.taker_confidence),
    ):
        kept, left = _fading(side, hold, s.fade)
        readings.append(_reading(name, source, kept, confidence * left))
    kept, left = _fading(flow, hold, s.fade)
    sure = np.where(kept > 0, s.supply.outflow_confidence, s.supply.inflow_confidence)
    return [*readings, _reading("netflow", netflow, kept, sure * left)]


def _open_interest(features: Features, s: ReadingConstants, hold: int) -> list[Reading]:
    """Read open interest against price: go with new money, against a run of covering."""
    quadrant, change = features["oi_quadrant"], features["oi_change_z"]
    code = np.nan_to_num(quadrant)
    unwinding = (code == SHORT_COVERING) | (code == CAPITULATION)
    # Of the two readings only the newest is alive: they describe the same positions.
    code = np.where(unwinding & (np.abs(change) < s.position.unwind_z), 0.0, code)
    code, left = _fading(code, hold, s.fade)
    p = s.position
    money = (code == NEW_LONGS).astype(np.float64) - (code == NEW_SHORTS)
    unwind = (code == CAPITULATION).astype(np.float64) - (code == SHORT_COVERING)
    sure = np.where(unwind > 0, p.capitulation_confidence, p.covering_confidence)
    return [
        _reading("new_money", quadrant, money, p.new_money_confidence * left),
        _reading("unwinding", quadrant, unwind, sure * left),
    ]


def _divergence(features: Features, s: ReadingConstants) -> Reading:
    """Read the CVD divergences, which fade by themselves; both at once say nothing."""
    bull, bear = features["cvd_divergence_bull"], features["cvd_divergence_bear"]
    alive = np.maximum(bull, bear)
    side = np.where((bull > 0) & (bear > 0), 0.0, np.sign(bull - bear))
    real = np.nan_to_num(features["real_flow"])
    quality = s.flow.approximated + (1 - s.flow.approximated) * real
    confidence = s.flow.divergence_confidence * quality * (1 - s.fade * (1 - alive))
    return _reading("cvd_divergence", features["cvd"], side, confidence)


def _background(market: Market, features: Features, s: SupplyConstants) -> list[Reading]:
    """Read what lasts for months: reserves at their low, and whose season it is."""
    low, season = features["exchange_reserves_low"], features["alt_season"]
    if market.base == BITCOIN:
        season = np.full(len(season), np.nan)
    # A season is followed, not faded.
    side = -_between(season, s.season_short, s.season_long)
    one = np.ones(len(low))
    return [
        _reading("reserves", low, (low > 0) * one, s.reserves_confidence * one, True),
        _reading("alt_season", season, side, s.season_confidence * one, True),
    ]


def read_all(market: Market, features: Features, constants: ReadingConstants) -> list[Reading]:
    """Return every reading of H9."""
    hold = int(constants.hold * HOUR_MS // market.candles.step)
    return [
        *_events(features, constants, hold),
        *_open_interest(features, constants, hold),
        _divergence(features, constants),
        *_background(market, features, constants.supply),
    ]
