"""Facts: what the package has measured of a pair at one candle, as a prompt states it (spec A3).

Facts are read from the columns of an evaluation, so the same candle always gives the same ones,
live, in a backtest and in a replay. They carry no opinion of a head, so that what an advisor
says is its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple, Self

import numpy as np

from quorum.market import HOUR_MS, Market
from quorum.pipeline import Evaluation
from quorum.signals import publish
from quorum.typing import Floats

#: Significant digits of a fact: recursive indicators remember their start beyond.
DIGITS = 4
#: Section of the base timeframe; shown under its name.
BASE = "base"
#: Characters of a quotation, and quotations in a prompt.
QUOTE_LIMIT, QUOTES = 200, 8


class Fact(NamedTuple):
    """One line of the facts: where it stands, what it is called, and its column."""

    section: str
    name: str
    column: str
    price: bool = False


def _rows(section: str, names: str, *, price: bool = False) -> tuple[Fact, ...]:
    """Return facts that are called like their columns, or ``name=column``."""
    pairs = [text.partition("=") for text in names.split()]
    return tuple(Fact(section, name, column or name, price) for name, _, column in pairs)


def _timeframe(name: str) -> tuple[Fact, ...]:
    """Return the facts of a higher timeframe."""
    return _rows(
        name,
        f"rsi=htf_rsi_{name} adx=htf_adx_{name} di_spread=htf_di_spread_{name} "
        f"fast_mean=htf_fast_distance_{name} slow_mean=htf_slow_distance_{name} "
        f"means_spread=htf_average_spread_{name} move=htf_move_{name} "
        f"bands=htf_band_position_{name} volume_ratio=htf_volume_ratio_{name} "
        f"structure=structure_trend_{name} range_position=range_position_{name}",
    )


FACTS: tuple[Fact, ...] = (
    *_rows(BASE, "rsi=rsi_14 adx di_spread macd_in_atr=ppo_atr aroon=aroon_oscillator"),
    *_rows(BASE, "mean_20=sma_distance_20 mean_50=sma_distance_50 mean_200=sma_distance_200"),
    *_rows(BASE, "bands=bollinger_percent_b structure=structure_trend_base"),
    *_timeframe("4h"),
    *_timeframe("1d"),
    *_rows("1w", "structure=structure_trend_1w range_position=range_position_1w"),
    *_rows("1w", "candles_since_break=break_age_1w"),
    *_rows("volume", "ratio=volume_ratio zscore=volume_zscore obv_slope mfi cmf delta=cvd"),
    *_rows("volume", "bullish_divergence=cvd_divergence_bull"),
    *_rows("volume", "bearish_divergence=cvd_divergence_bear"),
    *_rows("volume", "vwap_distance selling_climax buying_climax"),
    *_rows("derivatives", "funding_rate funding_z premium=perp_premium btc_correlation"),
    *_rows("derivatives", "open_interest_24h=oi_change_24h open_interest_z=oi_z"),
    *_rows("derivatives", "long_short_ratio taker_share"),
    *_rows("volatility", "atr_pct atr_expansion band_width=bollinger_width squeeze"),
    *_rows("volatility", "yang_zhang=yang_zhang_volatility atr_pct_4h=htf_atr_pct_4h"),
    *_rows("volatility", "atr_pct_1d=htf_atr_pct_1d"),
    *_rows("place", "in_range=range_position value_position retracement sweep_high sweep_low"),
    *_rows("levels", "swing_high swing_low swing_high_near swing_low_near poc", price=True),
    *_rows("levels", "value_area_high value_area_low vwap_week=vwap_long", price=True),
    *_rows("levels", "prior_day_high prior_day_low prior_week_high prior_week_low", price=True),
    *_rows("levels", "range_high_4h=dealing_range_high_4h", price=True),
    *_rows("levels", "range_low_4h=dealing_range_low_4h", price=True),
    *_rows("levels", "range_high_1d=dealing_range_high_1d", price=True),
    *_rows("levels", "range_low_1d=dealing_range_low_1d", price=True),
    *_rows("whole", "alts_ahead_of_bitcoin=phase_breadth eth_btc=phase_eth_btc"),
)
#: Spans of the returns [h].
RETURNS = {"1h": 1, "4h": 4, "24h": 24, "7d": 168, "30d": 720}
#: Spans of the volatility of 4h closes: two days, and what is usual [candles].
SHORT, USUAL = 12, 540


@dataclass(frozen=True)
class Quote:
    """A text from outside, quoted as data.

    Attributes
    ----------
    id : str
        Of the record it stands in.
    text : str
    known_at : int
        When it was first seen, milliseconds since the epoch.
    """

    id: str
    text: str
    known_at: int


@dataclass(frozen=True)
class Facts:
    """The facts of one pair at one candle.

    Attributes
    ----------
    pair : str
    candle : int
        Close of the candle, milliseconds since the epoch.
    close : float
    plain, prices : mapping of section to mapping of name to float
        Numbers of any unit, and prices; unknown ones are left out.
    quotes : tuple of Quote
    timeframe : str
        Base timeframe.
    """

    pair: str
    candle: int
    close: float
    plain: Mapping[str, Mapping[str, float]]
    prices: Mapping[str, Mapping[str, float]]
    quotes: tuple[Quote, ...] = field(default=())
    timeframe: str = "1h"

    def only(self, sections: Sequence[str]) -> Self:
        """Return the facts of some sections."""
        return replace(
            self,
            plain={s: self.plain[s] for s in sections if s in self.plain},
            prices={s: self.prices[s] for s in sections if s in self.prices},
        )

    def lines(self, *, anonymous: bool) -> str:
        """Return the facts as text, prices as percent of the last close where anonymous."""
        out = []
        for section in dict.fromkeys((*self.plain, *self.prices)):
            plain = self.plain.get(section, {}).items()
            told = [f"{name} {number(value)}" for name, value in plain]
            for name, value in self.prices.get(section, {}).items():
                shown = 100.0 * value / self.close if anonymous else value
                told.append(f"{name} {number(shown, DIGITS + 1)}")
            shown_as = self.timeframe if section == BASE else section
            out.append(f"[{shown_as}] {', '.join(told)}")
        return "\n".join(out)

    def quoted(self) -> str:
        """Return the quotations, each one line of JSON with its age, empty without any."""
        shown = self.quotes[:QUOTES]
        return "\n".join(
            f"{(self.candle - q.known_at) / HOUR_MS:.1f} h ago: {json.dumps(q.text[:QUOTE_LIMIT])}"
            for q in shown
        )

    def moment(self) -> str:
        """Return the time of the candle's close."""
        return f"{datetime.fromtimestamp(self.candle / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"


def number(value: float, digits: int = DIGITS) -> str:
    """Write a number with its significant digits, never as minus zero."""
    text = f"{value:.{digits}g}"
    return "0" if float(text) == 0 else text


def safe_label(pair: str) -> str:
    """Return a pair's name with nothing in it but what names of pairs are made of."""
    return re.sub(r"[^A-Za-z0-9/:._-]", "", pair)[:24] or "unnamed"


class FactReader:
    """Reads the facts of an evaluation's candles.

    Parameters
    ----------
    result : Evaluation
    """

    def __init__(self, result: Evaluation) -> None:
        self.market = result.market
        self._columns: dict[str, Floats] = {**publish(result), **result.features}

    def at(self, row: int, quotes: Sequence[Quote] = ()) -> Facts:
        """Return the facts that were known at the close of one candle.

        Parameters
        ----------
        row : int
        quotes : sequence of Quote
            Texts known by then; later ones are left out.
        """
        market = self.market
        row = range(len(market))[row]
        plain: dict[str, dict[str, float]] = {"returns": _returns(market, row)}
        prices: dict[str, dict[str, float]] = {}
        for fact in FACTS:
            column = self._columns.get(fact.column)
            value = math.nan if column is None else float(column[row])
            if math.isfinite(value):
                place = prices if fact.price else plain
                place.setdefault(fact.section, {})[fact.name] = float(f"{value:.{DIGITS + 4}g}")
        stress = _stress(market, row)
        if math.isfinite(stress):
            plain.setdefault("volatility", {})["two_days_over_usual"] = stress
        candle = int(market.close_time[row])
        known = tuple(q for q in quotes if q.known_at <= candle)
        close = float(market.candles.close[row])
        timeframe = market.candles.timeframe
        return Facts(market.pair, candle, close, plain, prices, known, timeframe)


def facts_at(result: Evaluation, row: int, quotes: Sequence[Quote] = ()) -> Facts:
    """Return the facts of one candle; see :class:`FactReader`."""
    return FactReader(result).at(row, quotes)


def _returns(market: Market, row: int) -> dict[str, float]:
    """Return the returns up to a candle over every span that its history holds [%]."""
    candles = market.candles
    opened = int(candles.time[row])
    before = candles.close_on(
        np.array([opened - hours * HOUR_MS for hours in RETURNS.values()], dtype=np.int64)
    )
    moves = 100.0 * (float(candles.close[row]) / before - 1.0)
    return {
        f"{span}_pct": round(float(move), 3)
        for span, move in zip(RETURNS, moves, strict=True)
        if math.isfinite(move)
    }


def _stress(market: Market, row: int) -> float:
    """Return the volatility of the last two days over the usual one, NaN where unknown."""
    source = market.higher.get("4h")
    if source is None or source.row[row] < USUAL:
        return math.nan
    last = int(source.row[row])
    moves = np.diff(np.log(source.candles.close[last - USUAL : last + 1]))
    usual = float(moves.std())
    return round(float(moves[-SHORT:].std()) / usual, 3) if usual > 0 else math.nan
