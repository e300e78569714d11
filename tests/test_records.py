"""Records files: what is read, and what is refused with path, column, row and value."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from recorded import load_derivatives, load_sentiment, sources_of

from quorum.errors import DataError
from quorum.records import RecordLoader
from quorum.records.sentiment import SentimentRecords
from quorum.records.sources import (
    binance_metrics_records,
    fear_greed_records,
    news_records,
    open_interest_candles,
)

SENTIMENT = """known_at,source,score,weight,pair
2024-01-01T00:00:00Z,fear_greed,-0.5,1,
2024-01-01T01:30:00Z,news:site,0.25,2,BTC
2024-01-01T02:00:00Z,news:site,0.75,1,ETH/USDT:USDT
"""
DERIVATIVES = """known_at,pair,kind,value
2024-01-01T00:00:00Z,BTC/USDT:USDT,long_short_ratio,1.5
2024-01-01T01:00:00Z,,long_short_ratio,2.5
2024-01-01T01:00:00Z,,taker_buy_share,0.4
2024-01-01T01:00:00Z,,taker_buy_share,0.6
"""
MIDNIGHT = 1_704_067_200_000  # 2024-01-01T00:00:00Z
HOUR = 3_600_000
NOW = pd.Timestamp("2024-01-02T00:00:00Z")


@pytest.fixture
def write(tmp_path):
    def _write(text: str, name: str = "records.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


# --- loading


def test_a_pair_gets_its_own_records_and_those_of_the_whole_market(write):
    records = load_sentiment(write(SENTIMENT), "BTC/USDT:USDT")
    assert records.known_at.tolist() == [MIDNIGHT, MIDNIGHT + 3 * HOUR // 2]
    assert records["score"].tolist() == [-0.5, 0.25]
    assert records["weight"].tolist() == [1.0, 2.0]
    assert sources_of(records) == ["fear_greed", "news:site"]
    assert load_sentiment(write(SENTIMENT), "ETH/USDT:USDT")["score"].tolist() == [-0.5, 0.75]


def test_without_a_pair_column_records_are_about_the_whole_market(write):
    text = "known_at,source,score,weight\n2024-01-01,social,1,1\n"
    assert load_sentiment(write(text), "XRP/USDT")["score"].tolist() == [1.0]


def test_a_file_without_anything_on_a_pair_gives_empty_records(write):
    text = "known_at,source,score,weight,pair\n2024-01-01,social,1,1,BTC\n"
    records = load_sentiment(write(text), "XRP/USDT:USDT")
    assert len(records.known_at) == 0
    assert records.labels["source"] == ()


def test_feather_and_csv_read_the_same(write, tmp_path):
    path = write(SENTIMENT)
    frame = pd.read_csv(path)
    frame["known_at"] = pd.to_datetime(frame["known_at"], format="ISO8601", utc=True)
    frame.to_feather(tmp_path / "records.feather")
    one = load_sentiment(path, "BTC/USDT:USDT")
    other = load_sentiment(tmp_path / "records.feather", "BTC/USDT:USDT")
    np.testing.assert_array_equal(one.known_at, other.known_at)
    for name in ("score", "weight", "source"):
        np.testing.assert_array_equal(one[name], other[name])


def test_a_time_with_a_zone_is_converted_and_one_without_is_utc(write):
    text = "known_at,source,score,weight\n2024-01-01T02:00:00+02:00,news,0,1\n2024-01-01T01:00,news,0,1\n"  # noqa: E501
    assert load_sentiment(write(text), "BTC/USDT").known_at.tolist() == [MIDNIGHT, MIDNIGHT + HOUR]


def test_a_changed_file_is_read_again(write):
    path, kind = write(SENTIMENT), SentimentRecords()
    loader = RecordLoader({"sentiment": str(path)}, path.parent, kinds=[kind])
    assert len(loader.records(kind, "BTC/USDT:USDT")) == 2
    write(SENTIMENT + "2024-01-01T03:00:00Z,news:site,1,1,BTC\n")
    assert len(loader.records(kind, "BTC/USDT:USDT")) == 3


def test_derivatives_prefer_the_pair_and_keep_the_last_of_equal_times(write):
    path = write(DERIVATIVES)
    series = load_derivatives(path, "BTC/USDT:USDT")
    assert series["long_short_ratio"].value.tolist() == [1.5]
    assert series["taker_buy_share"].value.tolist() == [0.6]
    assert load_derivatives(path, "ETH/USDT:USDT")["long_short_ratio"].value.tolist() == [2.5]


# --- refusing


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("-0.5", "-1.5", ["column score, row 1", "'-1.5'", "[-1, 1]"]),
        ("0.25", "", ["column score, row 2", "nothing"]),
        ("0.25", "high", ["column score, row 2", "'high'", "finite number"]),
        ("0.25", "inf", ["column score, row 2", "'inf'"]),
        (",2,BTC", ",-2,BTC", ["column weight, row 2", "'-2'"]),
        ("news:site,0.25", ",0.25", ["column source, row 2", "nothing"]),
        ("T02:00", "T00:10", ["column known_at, row 3", "not after"]),
        ("2024-01-01T01:30:00Z", "yesterday", ["column known_at, row 2", "'yesterday'"]),
        ("2024-01-01T01:30:00Z", "", ["column known_at, row 2", "nothing"]),
        ("score", "points", ["column score missing"]),
    ],
)
def test_a_bad_sentiment_row_is_named(write, old, new, words):
    path = write(SENTIMENT.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        load_sentiment(path, "SOL/USDT:USDT")  # even for a pair the row is not about
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("taker_buy_share,0.4", "taker_buy_share,1.4", ["column value, row 3", "taker_buy_share"]),
        ("taker_buy_share,0.4", "taker_sell,0.4", ["column kind, row 3", "'taker_sell'"]),
        ("1.5", "-1.5", ["column value, row 1", "'-1.5'", "long_short_ratio"]),
        ("1.5", "nan?", ["column value, row 1"]),
    ],
)
def test_a_bad_derivatives_row_is_named(write, old, new, words):
    path = write(DERIVATIVES.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        load_derivatives(path, "BTC/USDT:USDT")
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("load", [load_sentiment, load_derivatives])
def test_missing_empty_corrupt_and_unknown_files_are_refused(write, tmp_path, load):
    cases = [
        (tmp_path / "nowhere.csv", "no such file"),
        (tmp_path, "no such file"),
        (write("", "a.csv"), "empty"),
        (write("known_at,source,score,weight,kind,value\n", "b.csv"), "no rows"),
        (write("not a feather file", "c.feather"), "cannot be read"),
        (write("{}", "d.json"), "is not .csv or .feather"),
    ]
    for path, words in cases:
        with pytest.raises(DataError, match=words) as error:
            load(path, "BTC/USDT:USDT")
        assert str(path) in str(error.value)


def test_numbers_are_not_taken_for_dates(tmp_path):
    path = tmp_path / "records.feather"
    pd.DataFrame({"known_at": [1, 2], "source": "news", "score": 0.0, "weight": 1.0}).to_feather(
        path
    )
    with pytest.raises(DataError, match=r"column known_at, row 1: '1' is a number"):
        load_sentiment(path, "BTC/USDT")


# --- converters


def test_fear_and_greed_becomes_a_score_known_at_midnight(write, tmp_path):
    path = write("date,value,classification\n2024-01-01,10,Extreme Fear\n2024-01-02,75,Greed\n")
    frame = fear_greed_records(path)
    assert frame["score"].tolist() == [-0.8, 0.5]
    frame.to_csv(tmp_path / "out.csv", index=False)
    records = load_sentiment(tmp_path / "out.csv", "BTC/USDT:USDT")
    assert records.known_at.tolist() == [MIDNIGHT, MIDNIGHT + 24 * HOUR]
    assert records.labels["source"] == ("fear_greed",)


def test_fear_and_greed_outside_its_range_is_refused(write):
    with pytest.raises(DataError, match="column value, row 1: '101'"):
        fear_greed_records(write("date,value\n2024-01-01,101\n"))


def test_a_day_that_comes_twice_is_refused(write):
    with pytest.raises(DataError, match="column date, row 2"):
        fear_greed_records(write("date,value\n2024-01-01,1\n2024-01-01,2\n"))


def test_open_interest_becomes_the_hosts_candles(tmp_path):
    path = tmp_path / "oi.feather"
    dates = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC").as_unit("ms")
    pd.DataFrame({"date": dates, "open_interest": [1.0, 2.0, 3.0]}).to_feather(path)
    frame = open_interest_candles(path)
    assert list(frame.columns) == ["date", "open_interest_amount", "open_interest_value"]
    assert frame["open_interest_amount"].tolist() == [1.0, 2.0, 3.0]
    assert frame["open_interest_value"].isna().all()
    assert str(frame["date"].dtype) == "datetime64[ms, UTC]"


def metrics(tmp_path, **columns):
    path = tmp_path / "metrics.feather"
    dates = pd.date_range("2024-01-01", periods=2, freq="5min", tz="UTC").as_unit("ms")
    pd.DataFrame({"date": dates, **columns}).to_feather(path)
    return path


def test_binance_metrics_become_ratio_and_share_one_period_later(tmp_path):
    path = metrics(
        tmp_path,
        count_long_short_ratio=[2.0, np.nan],
        sum_taker_long_short_vol_ratio=[1.0, 3.0],
    )
    frame = binance_metrics_records(path, "BTC/USDT:USDT")
    frame.to_csv(tmp_path / "out.csv", index=False)
    series = load_derivatives(tmp_path / "out.csv", "BTC/USDT:USDT")
    assert series["long_short_ratio"].value.tolist() == [2.0]
    assert series["taker_buy_share"].value.tolist() == [0.5, 0.75]
    assert series["taker_buy_share"].known_at.tolist() == [
        MIDNIGHT + HOUR // 12,
        MIDNIGHT + HOUR // 6,
    ]
    assert load_derivatives(tmp_path / "out.csv", "ETH/USDT:USDT") == {}


def test_a_negative_ratio_is_refused(tmp_path):
    path = metrics(
        tmp_path, count_long_short_ratio=[1.0, -1.0], sum_taker_long_short_vol_ratio=[1.0, 3.0]
    )
    with pytest.raises(DataError, match=r"column count_long_short_ratio, row 2: '-1.0'"):
        binance_metrics_records(path, "BTC/USDT:USDT")


def headline(**changes):
    votes = {"positive": 0, "negative": 0, **changes.pop("votes", {})}
    return {
        "source": "site",
        "published_at": "2024-01-01T10:00:00Z",
        "currencies": [],
        "kind": "news",
        "votes": votes,
        **changes,
    }


def test_votes_make_the_score_of_a_headline_known_when_it_was_fetched(write):
    items = [
        headline(votes={"positive": 3}, currencies=["BTC", "ETH", "BTC"]),
        headline(votes={"positive": 1, "negative": 2}, kind="media"),
        headline(),
    ]
    frame = news_records(write(json.dumps(items), "news.json"), fetched_at=NOW)
    assert frame["pair"].tolist() == ["BTC", "ETH", ""]
    assert frame["source"].tolist() == ["news:site", "news:site", "social:site"]
    assert frame["score"].tolist() == pytest.approx([1, 1, -1 / 3])
    assert frame["weight"].tolist() == [2, 2, 2]
    assert (frame["known_at"] == NOW).all()


def test_headlines_without_votes_give_no_records(write):
    path = write(json.dumps([headline(), headline()]), "news.json")
    assert news_records(path, fetched_at=NOW).empty


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "an empty one"),
        ("{", "cannot be read"),
        (json.dumps([{"source": "site"}]), "column published_at, row 1"),
        (json.dumps([headline(), headline(published_at="soon")]), "column published_at, row 2"),
        (json.dumps([headline(votes={"positive": -1})]), "column votes.positive, row 1: -1"),
        (json.dumps([headline(published_at="2025-01-01T00:00:00Z")]), "is after fetched_at"),
    ],
)
def test_bad_news_files_are_refused(write, content, words):
    path = write(content, "news.json")
    with pytest.raises(DataError, match=words) as error:
        news_records(path, fetched_at=NOW)
    assert str(path) in str(error.value)


def test_news_fetched_at_an_unknown_zone_are_refused(write):
    path = write(json.dumps([headline()]), "news.json")
    with pytest.raises(DataError, match="no time zone"):
        news_records(path, fetched_at=NOW.tz_localize(None))
