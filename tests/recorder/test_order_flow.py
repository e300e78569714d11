"""Order flow: minute bars, the same from files, database and a running recorder, as columns."""

from __future__ import annotations

import asyncio

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import candle_frame
from test_recorder_feed import PAIR, PEER, SETTINGS, datadir, recorded
from test_recorder_sinks import DAY, book, trade

from quorum.errors import DataError
from quorum.features import compute_features
from quorum.market import Frames, build_market
from quorum.recorder.bars import (
    DELAY_MS,
    MINUTE_MS,
    SCHEMA,
    BarWriter,
    bars_between,
    minute_bars,
    read_bars,
)
from quorum.recorder.channels import BOOKS, LIQUIDATIONS, TRADES, folder_of
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.postgres import PostgresSink
from quorum.recorder.session import open_exchange, record
from quorum.records import RecordLoader

__all__ = ["datadir", "recorded"]


def bars_of(trades=(), books=(), liquidations=()) -> dict[str, list[float]]:
    tables = (TRADES.table(trades), BOOKS.table(books), LIQUIDATIONS.table(liquidations))
    return minute_bars(*tables).to_pydict()


def test_a_bar_sums_what_takers_did_and_means_what_books_showed():
    trades = [trade(0), trade(1), trade(2), trade(700)]
    liquidated = [(PAIR, DAY, DAY + 9, 100.0, 2.0, True), (PAIR, DAY, DAY + 10, 50.0, 1.0, False)]
    found = bars_of(trades, [book(0), book(1)], liquidated)
    assert found["known_at"] == [DAY + MINUTE_MS + DELAY_MS, DAY + 2 * MINUTE_MS + DELAY_MS]
    assert found["buy_volume"] == [0.1 + 0.2, 0.0], "number 0 bought, 1 and 2 sold"
    assert found["sell_volume"] == [2 * (0.1 + 0.2), 0.1 + 0.2]
    assert found["trades"] == [3.0, 1.0]
    assert found["spread"][0] == pytest.approx(1.0 / 100.5)
    assert np.isnan(found["spread"][1])
    assert (found["longs_liquidated"][0], found["shorts_liquidated"][0]) == (200.0, 50.0)


def test_depth_is_what_lies_near_the_middle_in_quote_currency():
    bids, asks = [99.95, 99.8, 99.0], [100.05, 100.2, 101.0]
    sizes = [1.0, 2.0, 4.0]
    one = (PAIR, DAY, DAY, 1, bids, sizes, asks, [3.0, 2.0, 4.0])
    found = bars_of(books=[one])
    assert found["bid_depth_near"] == [99.95]
    assert found["ask_depth_far"] == [pytest.approx(3 * 100.05 + 2 * 100.2)]
    assert found["imbalance"] == [pytest.approx((7 - 9) / 16)]
    assert found["microprice"][0] < 0, "more is offered than wanted"
    assert found["trades"] == [0.0], "a minute with a book and no trade has no volume"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 3000), max_size=60), st.randoms(use_true_random=False))
def test_order_and_repetition_of_arrival_do_not_matter(numbers, random):
    rows = [trade(n) for n in numbers]
    shuffled = [*rows, *rows[::2]]
    random.shuffle(shuffled)

    class Once:
        def read(self, channel, pair, start, end):
            from quorum.recorder.sink import between, distinct

            table = channel.table(shuffled if channel is TRADES else [])
            return between(distinct(table, channel), pair, start, end)

    end = DAY + 600 * MINUTE_MS
    found = bars_between(Once(), PAIR, DAY, end)
    truth = minute_bars(
        TRADES.table(sorted(set(rows), key=lambda row: row[2])), BOOKS.table([]),
        LIQUIDATIONS.table([]),
    )  # fmt: skip
    assert _bits(found) == _bits(truth)


def test_a_recorder_that_runs_its_files_and_its_database_give_the_same_bits(recorded, postgres_url):
    files, database = ParquetSink(recorded.folder), PostgresSink(postgres_url)

    async def run() -> None:
        stop = asyncio.Event()
        exchange = open_exchange(recorded.config(), futures=True)
        asyncio.get_running_loop().call_later(6.0, stop.set)
        await record(exchange, (PAIR, PEER), [files, database], SETTINGS, stop)

    asyncio.run(run())
    for pair in (PAIR, PEER):
        live = read_bars(recorded.folder, folder_of(pair))
        assert len(live) > 5
        first, last = live["known_at"][0].as_py(), live["known_at"][-1].as_py()
        start, end = first - MINUTE_MS - DELAY_MS, last - DELAY_MS
        for sink in (ParquetSink(recorded.folder), PostgresSink(postgres_url)):
            again = bars_between(sink, pair, start, end)
            assert _bits(again) == _bits(live)
            sink.close()


def _bits(table: pa.Table) -> dict[str, bytes]:
    return {name: table[name].to_numpy().tobytes() for name in table.column_names}


def test_bars_go_on_after_a_restart_without_a_difference(tmp_path):
    rows = [trade(n) for n in range(3000)]
    sink, bars = ParquetSink(tmp_path), BarWriter(tmp_path)
    sink.write({"trades": rows})
    bars.add({"trades": rows[:1500]})
    bars.write(rows[1500][2])
    again = BarWriter(tmp_path)
    again.resume(sink, [PAIR], rows[1800][2])
    again.add({"trades": [row for row in rows if row[2] >= rows[1800][2] // MINUTE_MS * MINUTE_MS]})
    again.write(rows[-1][2] + MINUTE_MS + 10_000)
    live = read_bars(tmp_path, folder_of(PAIR))
    end = rows[-1][2] // MINUTE_MS * MINUTE_MS + MINUTE_MS
    assert _bits(live) == _bits(bars_between(sink, PAIR, DAY, end))


# As columns -------------------------------------------------------------------------------

HOUR = 60 * MINUTE_MS


def write_bars(folder, start: int, minutes: int, missing: range = range(0)) -> pd.DataFrame:
    """Write bars in which takers buy 2 and sell 1 in every minute."""
    known_at = [start + (m + 1) * MINUTE_MS + DELAY_MS for m in range(minutes) if m not in missing]
    columns = {name: np.full(len(known_at), 0.001) for name in SCHEMA.names[1:]}
    columns |= {"buy_volume": np.full(len(known_at), 2.0), "sell_volume": np.ones(len(known_at))}
    table = pa.table([known_at, *columns.values()], schema=SCHEMA)
    path = folder / "bars" / "BTC_USDT_USDT" / "2024-01-01.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table.to_pandas()


def with_flow(folder, candles: int = 8):
    market = build_market(PAIR, "1h", Frames(candle_frame(candles)))
    return RecordLoader({"flow": str(folder)}, folder).join(market)


def test_recorded_flow_is_the_delta_of_the_candles_and_of_the_volume_head(tmp_path):
    bare = build_market(PAIR, "1h", Frames(candle_frame(400)))
    write_bars(tmp_path, int(bare.candles.time[0]), 60 * 400, missing=range(180, 190))
    market = with_flow(tmp_path, 400)
    assert market.taker_delta is not None
    assert np.isnan(market.taker_delta[3]), "ten minutes of it were not recorded"
    assert set(market.taker_delta[4:].tolist()) == {60.0}
    features, candle_only = compute_features(market), compute_features(bare)
    assert features["real_flow"][-1] == 1.0
    assert candle_only["real_flow"][-1] == 0.0
    assert features["cvd"][-1] > 0
    assert market.recorded("flow", "spread")[-1] == 0.001


def test_the_flow_of_a_candle_is_known_at_its_close(tmp_path):
    start = int(candle_frame(1)["date"].iloc[0].timestamp() * 1000)
    write_bars(tmp_path, start, 60 * 8)
    market = with_flow(tmp_path)
    for n in range(1, 9):
        cut = with_flow(tmp_path, n)
        np.testing.assert_array_equal(market.head(n).taker_delta, cut.taker_delta)
        np.testing.assert_array_equal(
            market.head(n).recorded("flow", "spread"), cut.recorded("flow", "spread")
        )


def test_other_pairs_have_no_flow_and_no_folder_is_refused(tmp_path):
    write_bars(tmp_path, 0, 10)
    other = build_market("SOL/USDT:USDT", "1h", Frames(candle_frame(8)))
    joined = RecordLoader({"flow": str(tmp_path)}, tmp_path).join(other)
    assert np.isnan(joined.taker_delta).all()
    with pytest.raises(DataError, match="no such folder"):
        RecordLoader({"flow": "nowhere"}, tmp_path)
