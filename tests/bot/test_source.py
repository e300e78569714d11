"""FrameSource: what it asks for, what it shares, and what it does without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import candle_frame, resample

from quorum import faults
from quorum.bot.source import FrameSource, Series, sibling, spot_of
from quorum.errors import DataError
from quorum.market import MarketSettings

PAIR = "SOL/USDT:USDT"
MOOD = "known_at,source,score,weight,pair\n2024-01-02,news,0.5,1,SOL\n2024-01-03,news,-1,1,BTC\n"


class Exchange:
    """Serves frames and remembers what it was asked for."""

    def __init__(self, frames: dict[Series, pd.DataFrame]) -> None:
        self.frames = frames
        self.asked: list[Series] = []

    def fetch(self, series: Series) -> pd.DataFrame:
        self.asked.append(series)
        return self.frames[series]

    def source(
        self,
        timeframe: str = "1h",
        futures: bool = True,
        root: Path = Path(),
        **settings,
    ) -> FrameSource:
        return FrameSource(
            self.fetch,
            self.frames.__contains__,
            timeframe=timeframe,
            futures=futures,
            funding_timeframe="1h",
            settings=MarketSettings(**settings),
            root=root,
        )


@pytest.fixture
def base() -> pd.DataFrame:
    return candle_frame(300)


@pytest.fixture
def exchange(base) -> Exchange:
    """Serve everything a futures pair may have."""
    funding = base.iloc[::8][["date"]].assign(funding_rate=1e-4)
    interest = base[["date"]].assign(open_interest_amount=5.0, open_interest_value=np.nan)
    frames = {
        Series(PAIR, "4h", "futures"): resample(base, "4h"),
        Series(PAIR, "1d", "futures"): resample(base, "1d"),
        Series(PAIR, "1h", "funding_rate"): funding,
        Series(PAIR, "1h", "mark"): base,
        Series(PAIR, "1h", "index"): base,
        Series(PAIR, "1h", "premiumIndex"): base.assign(close=1e-4),
        Series(PAIR, "1h", "open_interest"): interest,
        Series("SOL/USDT", "1h", "spot"): base,
        Series("BTC/USDT:USDT", "1h", "futures"): candle_frame(300, seed=1),
        Series("ETH/USDT:USDT", "1h", "futures"): candle_frame(300, seed=2),
        Series("BTC/USDT:USDT", "1d", "futures"): candle_frame(12, seed=1, timeframe="1d"),
    }
    return Exchange(frames)


def test_names_of_related_markets():
    assert sibling("SOL/USDT:USDT", "BTC") == "BTC/USDT:USDT"
    assert sibling("SOL/USDT", "BTC") == "BTC/USDT"
    assert spot_of("SOL/USDT:USDT") == spot_of("SOL/USDT") == "SOL/USDT"


def test_a_market_has_every_series_there_is(exchange, base):
    market = exchange.source().market(PAIR, base)
    assert len(market) == len(base)
    assert set(market.higher) == {"4h", "1d", "1w"}
    assert set(market.published) == {
        "funding_rate", "mark", "index", "premium_index", "open_interest", "spot_close",
        "spot_volume",
    }  # fmt: skip
    assert set(market.context) == {"BTC", "ETH"}
    assert set(market.universe) == {"BTC", "SOL"}
    assert set(exchange.asked) == set(exchange.frames)


def test_what_cannot_be_had_is_not_asked_for(base):
    exchange = Exchange({})
    market = exchange.source().market(PAIR, base)
    assert exchange.asked == []
    assert market.higher == market.published == market.context == market.universe == {}
    assert market.records == {}
    assert market.candles.close.tolist() == base["close"].tolist()


def test_empty_frames_are_as_good_as_none(exchange, base):
    exchange.frames = {series: frame.head(0) for series, frame in exchange.frames.items()}
    market = exchange.source().market(PAIR, base)
    assert market.higher == market.published == market.context == market.universe == {}


def test_spot_pairs_have_no_derivatives(exchange):
    spot = {s._replace(candle_type="spot"): f for s, f in exchange.frames.items()}
    exchange.frames = spot | exchange.frames
    roles = exchange.source(futures=False).series("SOL/USDT")
    assert not {"funding_rate", "mark", "index", "open_interest", "premium_index", "spot"} & set(
        roles
    )
    assert all(series.candle_type == "spot" for series in roles.values())


@pytest.mark.parametrize(
    ("timeframe", "higher"), [("5m", ("4h", "1d")), ("1h", ("4h", "1d")), ("4h", ("1d",))]
)
def test_only_longer_timeframes_are_informative(exchange, timeframe, higher):
    assert exchange.source(timeframe).higher_timeframes() == higher


def test_settings_choose_spot_context_and_universe(exchange):
    roles = exchange.source(spot=False, context=("ETH",), universe=()).series(PAIR)
    assert "spot" not in roles
    assert [role for role in roles if role.startswith(("context", "universe"))] == ["context ETH"]


def test_series_of_several_pairs_are_listed_once(exchange):
    wanted = exchange.source().all_series([PAIR, "BTC/USDT:USDT"])
    assert len(wanted) == len(set(wanted))
    assert set(wanted) <= set(exchange.frames)
    assert Series("BTC/USDT:USDT", "1h", "futures") in wanted


def test_shared_candles_are_cleaned_once_per_new_candle(exchange, base):
    source = exchange.source()
    first = source.market(PAIR, base).context["BTC"]
    assert source.market("ETH/USDT:USDT", base).context["BTC"] is first
    key = Series("BTC/USDT:USDT", "1h", "futures")
    exchange.frames[key] = candle_frame(301, seed=1)
    later = source.market(PAIR, base).context["BTC"]
    assert len(later) == len(first) + 1


def test_defects_of_informative_candles_are_mended(exchange, base):
    key = Series(PAIR, "4h", "futures")
    frame = exchange.frames[key]
    exchange.frames[key] = pd.concat([frame.drop(index=range(10, 28)), frame.tail(3)])[::-1]
    candles = exchange.source().market(PAIR, base).higher["4h"].candles
    assert len(candles) == len(frame)
    assert (candles.volume[10:28] == 0).all()
    assert (candles.close[10:28] == frame["close"][9]).all()


def test_records_are_relative_to_the_root_and_of_the_pair(exchange, base, tmp_path):
    (tmp_path / "mood.csv").write_text(MOOD, encoding="utf-8")
    (tmp_path / "crowd.csv").write_text(
        "known_at,kind,value\n2024-01-01,long_short_ratio,1.5\n", encoding="utf-8"
    )
    source = exchange.source(
        root=tmp_path, records={"sentiment": "mood.csv", "derivatives": "crowd.csv"}
    )
    market = source.market(PAIR, base)
    assert market.records["sentiment"]["score"].tolist() == [0.5]
    assert market.published["long_short_ratio"].value.tolist() == [1.5]


@pytest.mark.parametrize("name", ["sentiment", "derivatives"])
def test_a_records_file_that_cannot_be_used_is_refused_at_once(exchange, tmp_path, name):
    path = tmp_path / "records.csv"
    with pytest.raises(DataError, match=r"records\.csv: no such file"):
        exchange.source(root=tmp_path, records={name: "records.csv"})
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"records\.csv: column known_at.* missing"):
        exchange.source(root=tmp_path, records={name: "records.csv"})


def test_records_that_break_while_running_are_left_out_and_reported_once(
    exchange, base, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(faults, "_reported", set())
    path = tmp_path / "mood.csv"
    path.write_text(MOOD, encoding="utf-8")
    source = exchange.source(root=tmp_path, records={"sentiment": "mood.csv"})
    path.write_text("half a li", encoding="utf-8")
    assert source.market(PAIR, base).records == {}
    assert source.market(PAIR, base).records == {}
    assert caplog.text.count("sentiment records failed on SOL/USDT:USDT") == 1
    path.write_text(MOOD, encoding="utf-8")
    assert set(source.market(PAIR, base).records) == {"sentiment"}


def test_base_candles_that_cannot_be_used_are_refused_by_name(exchange, base):
    with pytest.raises(DataError, match=r"SOL/USDT:USDT 1h: column\(s\) volume missing"):
        exchange.source().market(PAIR, base.drop(columns="volume"))
    with pytest.raises(DataError, match="no row has usable prices"):
        exchange.source().market(PAIR, base.assign(close=np.nan))
